"""Applications for the tests of the test client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocket

OK = PlainTextResponse("ok")


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def endpoint(function: Callable[[Request], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await function(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


def messages(*sent: Message) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in sent:
            await send(message)

    return app


def websocket_app(function: Callable[[WebSocket], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await function(WebSocket(scope, receive, send))

    return app


@websocket_app
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for item in websocket.iter_text():
        await websocket.send_text(item)


async def thread_identity(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await JSONResponse(threading.get_ident())(scope, receive, send)
