"""An application that is drained before it ends."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import anyio

from pallasite.applications import Pallasite
from pallasite.health import Health
from pallasite.middleware import Middleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.shutdown import Drain
from pallasite.sse import EventSourceResponse, ServerSentEvent
from pallasite.websockets import WebSocket


async def page(request: Request) -> Response:
    await anyio.sleep(0.01)
    return PlainTextResponse(str(os.getpid()))


async def events(request: Request) -> Response:
    async def forever() -> AsyncIterator[str]:
        yield "first"
        await anyio.sleep_forever()

    return EventSourceResponse(forever(), farewell=ServerSentEvent(retry=5000))


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


app = Pallasite(
    routes=[Route("/", page), Route("/events", events), WebSocketRoute("/chat", chat)],
    middleware=[Middleware(Health, cache=0)],
    lifespan=Drain(grace=float(os.environ.get("GRACE", "1"))),
)
