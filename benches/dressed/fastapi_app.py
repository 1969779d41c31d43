"""The dressed application on FastAPI, on whatever is called Starlette where this is imported."""

from typing import Any

from fastapi import FastAPI, Request

from benches.case import Framework
from benches.dressed.app import ITEMS, middleware_of, quiet


def make() -> FastAPI:
    quiet()
    app = FastAPI(middleware=middleware_of(Framework("starlette")))

    @app.get("/items")
    async def items(request: Request, page: int = 1) -> Any:
        return {"page": page, "user": request.session.get("user"), "items": ITEMS}

    return app
