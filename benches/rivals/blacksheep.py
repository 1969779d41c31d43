"""The small application on BlackSheep."""

from __future__ import annotations

from blacksheep import Application, Response, json

app = Application()


@app.router.get("/")
async def hello() -> Response:
    return json({"hello": "world"})


@app.router.get("/items/{item_id}")
async def item(item_id: int) -> Response:
    return json({"item_id": item_id})
