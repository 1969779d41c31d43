"""The small application on Falcon's ASGI side."""

from __future__ import annotations

import falcon.asgi


class Hello:
    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        response.media = {"hello": "world"}


class Item:
    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response, item_id: int) -> None:
        response.media = {"item_id": item_id}


app = falcon.asgi.App()
app.add_route("/", Hello())
app.add_route("/items/{item_id:int}", Item())
