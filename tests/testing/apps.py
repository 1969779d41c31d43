"""The application that the clients of these tests talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel

from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Route, WebSocketRoute
from pallasite.sse import EventSourceResponse, ServerSentEvent
from pallasite.websockets import WebSocket, WebSocketDisconnect

STEPS: list[Any] = []
VISITOR: ContextVar[str] = ContextVar("VISITOR", default="nobody")


async def about(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "client": list(request.client or ()),
            "agent": request.headers["user-agent"],
            "visitor": VISITOR.get(),
            "state": getattr(request.state, "pool", None),
        }
    )


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def broken(request: Request) -> Response:
    raise LookupError("broken")


async def hangs(request: Request) -> Response:
    await anyio.sleep_forever()
    return Response()


async def stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            for number in range(1_000_000):
                STEPS.append(number)
                yield b"%d;" % number
        finally:
            STEPS.append("closed")

    return StreamingResponse(chunks())


async def breaks(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise LookupError("in the middle")

    return StreamingResponse(chunks())


async def answers(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            if chunk:
                yield chunk.upper()

    return StreamingResponse(chunks())


async def events(request: Request) -> Response:
    async def items() -> AsyncIterator[ServerSentEvent]:
        start = int(request.headers.get("last-event-id", "0"))
        for number in range(start + 1, start + 3):
            yield ServerSentEvent(f"line\n{number}", event="tick", id=str(number))
        await anyio.sleep_forever()

    return EventSourceResponse(items())


async def later(request: Request) -> Response:
    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        STEPS.append("background")

    return Response(background=BackgroundTask(work))


async def reads(request: Request) -> Response:
    try:
        while True:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            STEPS.append(message["body"])
            if not message["more_body"]:
                return Response()
    except ClientDisconnect:
        STEPS.append("gone")
        raise


async def chat(websocket: WebSocket) -> None:
    await websocket.accept("chat" if "chat" in websocket.scope["subprotocols"] else None, [(b"x-room", b"1")])
    try:
        while True:
            text = await websocket.receive_text()
            if text == "bytes":
                await websocket.send_bytes(b"\x00")
            elif text == "close":
                await websocket.close(4000, "enough")
                return
            elif text == "return":
                return
            elif text == "fail":
                raise LookupError("in the chat")
            elif text == "hang":
                await anyio.sleep_forever()
            else:
                await websocket.send_text(f"{text} {VISITOR.get()}")
    except WebSocketDisconnect:
        pass
    finally:
        STEPS.append("left")


async def rejects(websocket: WebSocket) -> None:
    if "politely" in websocket.query_params:
        await websocket.send_denial_response(PlainTextResponse("members only", 401))
    else:
        await websocket.close(4001, "no")


ROUTES = [
    Route("/about", about),
    Route("/echo", echo, methods=["POST"]),
    Route("/broken", broken),
    Route("/hangs", hangs),
    Route("/stream", stream),
    Route("/breaks", breaks),
    Route("/answers", answers, methods=["POST"]),
    Route("/events", events),
    Route("/later", later),
    Route("/reads", reads, methods=["POST"]),
    WebSocketRoute("/chat", chat),
    WebSocketRoute("/rejects", rejects),
]
APP = Pallasite(routes=ROUTES)
