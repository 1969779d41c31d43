"""An ordinary FastAPI application without any reference to Pallasite, whose responses are printed as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import fastapi
import starlette
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from pydantic import BaseModel

journal: list[str] = []


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class OutOfStock(Exception):
    pass


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
    journal.append("started")
    yield {"greeting": "hello"}
    journal.append("stopped")


async def database() -> AsyncGenerator[str]:
    journal.append("connected")
    try:
        yield "database"
    finally:
        journal.append("disconnected")


Database = Annotated[str, Depends(database)]
app = FastAPI(title="Shop", version="1.0", lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
app.add_middleware(GZipMiddleware, minimum_size=500)


@app.middleware("http")
async def stamp(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["X-Stamp"] = request.method
    return response


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
    return JSONResponse({"sold": request.url.path}, status_code=409)


router = APIRouter(prefix="/items", tags=["items"])


@router.get("/{number}")
async def read_item(number: int, q: Annotated[str | None, Query(max_length=5)] = None) -> dict[str, Any]:
    return {"number": number, "q": q}


@router.post("/", status_code=201)
async def create_item(item: Item, database: Database, background: BackgroundTasks) -> Item:
    background.add_task(journal.append, f"indexed {item.name}")
    return item


@router.delete("/{number}")
def delete_item(number: int) -> None:
    raise OutOfStock if number > 1 else HTTPException(404, "no such item", headers={"X-Why": "gone"})


app.include_router(router)


@app.get("/greeting")
async def greeting(request: Request, accept_language: Annotated[str, Header()] = "en") -> PlainTextResponse:
    return PlainTextResponse(f"{request.state.greeting} {accept_language} {request.url_for('read_item', number=3)}")


@app.post("/form")
async def form(name: Annotated[str, Form()], copies: Annotated[int, Form()] = 1) -> dict[str, Any]:
    return {"name": name, "copies": copies}


@app.post("/upload")
async def upload(document: UploadFile, other: Annotated[bytes, File()]) -> dict[str, Any]:
    return {
        "name": document.filename,
        "type": document.content_type,
        "size": len(await document.read()),
        "other": len(other),
    }


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncGenerator[str]:
        for number in range(400):
            yield f"part {number}\n"

    return StreamingResponse(parts(), media_type="text/plain")


@app.websocket("/echo/{name}")
async def echo(websocket: WebSocket, name: str, database: Database, shout: bool = False) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_json({name: text.upper() if shout else text, "database": database})
    except WebSocketDisconnect as goodbye:
        journal.append(f"left with {goodbye.code}")


def seen(response: Any) -> list[Any]:
    """Return what a client can compare of a response. Dates and entity tags differ from run to run."""
    headers = {name: value for name, value in response.headers.items() if name not in {"date", "etag", "last-modified"}}
    headers.pop("content-length" if "content-encoding" in headers else "", None)  # levels of compression may differ
    return [response.status_code, headers, response.text]


def observe() -> dict[str, Any]:
    """Everything that this application does, by name."""
    folder = Path(tempfile.mkdtemp())
    (folder / "style.css").write_text("body { color: green }")
    app.mount("/static", StaticFiles(directory=folder), name="static")
    found: dict[str, Any] = {}
    with TestClient(app) as client:
        for path in ("/items/3?q=x", "/items/x", "/items/3?q=toolong", "/greeting", "/nowhere", "/stream", "/docs"):
            found[f"GET {path}"] = seen(client.get(path))
        for path in ("/static/style.css", "/static/none.css", "/static/../x", "/items", "/openapi.json"):
            found[f"GET {path}"] = seen(client.get(path, headers={"Origin": "https://shop.example"}))
        found["range"] = seen(client.get("/static/style.css", headers={"Range": "bytes=0-3"}))
        found["HEAD"] = seen(client.head("/static/style.css"))
        found["preflight"] = seen(
            client.options(
                "/items/", headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
            )
        )
        found["item"] = seen(client.post("/items/", json={"name": "lamp", "price": 2.5, "tags": ["ä"]}))
        found["bad item"] = seen(client.post("/items/", json={"name": 1}))
        found["no JSON"] = seen(client.post("/items/", content=b"{", headers={"Content-Type": "application/json"}))
        found["sold"] = seen(client.delete("/items/2"))
        found["gone"] = seen(client.delete("/items/1"))
        found["not allowed"] = seen(client.put("/items/1"))
        found["form"] = seen(client.post("/form", data={"name": "Ada & Grace", "copies": "2"}))
        found["bad form"] = seen(client.post("/form", data={"copies": "many"}))
        files: dict[str, Any] = {"document": ("ä.txt", b"x" * 100_000, "text/plain"), "other": ("b.bin", b"yz")}
        found["upload"] = seen(client.post("/upload", files=files))
        with client.websocket_connect("/echo/ada?shout=true") as session:
            session.send_text("hi")
            found["websocket"] = session.receive_json()
        try:
            with client.websocket_connect("/echo/ada?shout=maybe"):
                found["refused"] = "accepted"
        except WebSocketDisconnect as refusal:
            found["refused"] = refusal.code
    found["journal"] = journal
    return found


if __name__ == "__main__":
    names = [f"{cls.__module__}.{cls.__qualname__}" for cls in FastAPI.__mro__]
    on_pallasite = sys.modules.get("pallasite.applications") is not None
    observed = {"starlette": starlette.__version__, "fastapi": fastapi.__version__, "classes": names, **observe()}
    sys.stdout.write(json.dumps({"on_pallasite": on_pallasite, "observed": observed}) + "\n")
