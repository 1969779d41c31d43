"""Cases about websockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benches.case import Framework, case
from benches.exchange import get

TALK = replace(get("/echo"), texts=tuple(f"message number {i}" for i in range(10)))


@case("websocket: accept, echo 10 texts, close", group="core", request=TALK, needs=("applications", "websockets"))
def websocket_echo(web: Framework) -> Any:
    async def echo(websocket: Any) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    return web.applications.Starlette(routes=[web.routing.WebSocketRoute("/echo", echo)])


ORDERS = replace(
    get("/orders"), texts=tuple(f'{{"order": {i}, "stones": ["pallasite", "chondrite"]}}' for i in range(10))
)


@case("websocket: accept, 10 JSON messages, close", group="core", request=ORDERS, needs=("applications", "websockets"))
def websocket_json(web: Framework) -> Any:
    async def confirm(websocket: Any) -> None:
        await websocket.accept()
        async for order in websocket.iter_json():
            await websocket.send_json({"confirmed": True, **order})

    return web.applications.Starlette(routes=[web.routing.WebSocketRoute("/orders", confirm)])
