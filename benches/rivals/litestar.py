"""The small application on Litestar."""

from __future__ import annotations

from litestar import Litestar, get
from litestar.params import FromPath


@get("/")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


@get("/items/{item_id:int}")
async def item(item_id: FromPath[int]) -> dict[str, int]:
    return {"item_id": item_id}


app = Litestar([hello, item])
