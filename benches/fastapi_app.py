"""What the FastAPI cases serve. Imported only where FastAPI stands on the framework that is measured."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

ROUTERS, ROUTES = 20, 25


class Line(BaseModel):
    sku: str
    quantity: int
    price: float


class Order(BaseModel):
    customer: str
    paid: bool = False
    lines: list[Line]


class Receipt(BaseModel):
    customer: str
    total: float
    count: int


class Address(BaseModel):
    name: str
    street: str
    city: str
    postcode: str
    country: str
    phone: str
    email: str
    company: str
    note: str
    newsletter: bool


def small() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/items/{item_id}")
    async def item(
        item_id: int,
        page: Annotated[int, Query(ge=1)] = 1,
        size: Annotated[int, Query(ge=1, le=100)] = 20,
        q: Annotated[str | None, Query(max_length=50)] = None,
    ) -> dict[str, Any]:
        return {"item_id": item_id, "page": page, "size": size, "q": q}

    @app.post("/orders")
    async def order(order: Order) -> Receipt:
        total = sum(line.quantity * line.price for line in order.lines)
        return Receipt(customer=order.customer, total=total, count=len(order.lines))

    return app


def with_sync_endpoint() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def with_nested_dependencies() -> FastAPI:
    async def settings(size: int = 20) -> int:
        return size

    def database(size: Annotated[int, Depends(settings)]) -> str:
        return f"database of {size}"

    async def user(database: Annotated[str, Depends(database)], size: Annotated[int, Depends(settings)]) -> str:
        return f"user in {database}, {size}"

    app = FastAPI()

    @app.get("/")
    async def use(user: Annotated[str, Depends(user)]) -> dict[str, str]:
        return {"user": user}

    return app


def with_dependency() -> FastAPI:
    async def connection() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield "connection"
        await asyncio.sleep(0)

    app = FastAPI()

    @app.get("/")
    async def use(connection: Annotated[str, Depends(connection)]) -> dict[str, str]:
        return {"used": connection}

    return app


def with_function_layers(count: int) -> FastAPI:
    app = small()

    async def timing(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-process-time"] = "0.1"
        return response

    for _ in range(count):
        app.middleware("http")(timing)
    return app


def forms() -> FastAPI:
    app = FastAPI()

    @app.post("/address")
    async def address(address: Annotated[Address, Form()]) -> Address:
        return address

    @app.post("/upload")
    async def upload(file: Annotated[UploadFile, File()], title: Annotated[str, Form()]) -> dict[str, Any]:
        return {"title": title, "filename": file.filename, "size": file.size, "begin": list(await file.read(16))}

    return app


def with_static_files(folder: Path) -> FastAPI:
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=folder), name="static")
    return app


def many_routes() -> FastAPI:
    """`ROUTES` routes in each of `ROUTERS` included routers, every other one with a parameter."""
    app = FastAPI()
    for group in range(ROUTERS):
        router = APIRouter()
        for number in range(ROUTES):
            add_route(router, number)
        app.include_router(router, prefix=f"/group{group}")
    return app


def flat_routes() -> FastAPI:
    """As many routes in the application itself."""
    app = FastAPI()
    for number in range(ROUTERS * ROUTES):
        add_route(app.router, number)
    return app


def add_route(router: APIRouter, number: int) -> None:
    if number % 2:

        @router.get(f"/thing{number}")
        async def plain() -> dict[str, int]:
            return {"number": number}

    else:

        @router.get(f"/thing{number}/{{thing_id}}")
        async def with_parameter(thing_id: int) -> dict[str, int]:
            return {"number": number, "thing_id": thing_id}
