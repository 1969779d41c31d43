"""The application that hostile clients attack: a route for each way of reading and for each way of answering.

Everything is there twice: bare, and below `/wrapped` behind the middleware that comes with the framework.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import BaseRoute, Mount, Route, WebSocketRoute
from pallasite.sse import EventSourceResponse
from pallasite.staticfiles import StaticFiles
from pallasite.websockets import WebSocket

from .probe import Probe

MANY = 10**6
MAX_BODY_BYTES = 64 * 1024 * 1024
DOWNLOAD_BYTES = 64 * 1024 * 1024

files = Path("files")  # in the directory of this run, which is the server's working directory
files.mkdir(exist_ok=True)
with (files / "large.bin").open("wb") as large:
    large.truncate(DOWNLOAD_BYTES)


async def ping(request: Request) -> Response:
    return PlainTextResponse("pong")


async def body(request: Request) -> Response:
    content = await request.body()
    return JSONResponse({"length": len(content), "sha256": hashlib.sha256(content).hexdigest()})


async def echo(request: Request) -> Response:
    return StreamingResponse(request.stream(), media_type="application/octet-stream")


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse({"fields": len(fields.multi_items())})


async def large_form(request: Request) -> Response:
    async with request.form(max_files=MANY, max_fields=MANY) as fields:
        return JSONResponse({"fields": len(fields.multi_items())})


async def document(request: Request) -> Response:
    try:
        return JSONResponse({"type": type(await request.json()).__name__})
    except (ValueError, RecursionError):
        return PlainTextResponse("not JSON", 400)


async def upload(request: Request) -> Response:
    length = 0
    async with anyio.TemporaryFile() as file:
        async for piece in request.stream():
            length += await file.write(piece)
    return JSONResponse({"length": length})


async def told(request: Request) -> Response:
    """All that can be read of a head."""
    request.url_for("ping")
    return JSONResponse(
        [len(request.headers), len(request.cookies), len(request.query_params.multi_items()), len(str(request.url))]
    )


async def page(request: Request) -> Response:
    return PlainTextResponse("x" * 4_000_000)


async def download(request: Request) -> Response:
    return FileResponse(files / "large.bin")


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(pieces())


async def events(request: Request) -> Response:
    async def ticks() -> AsyncIterator[dict[str, str]]:
        while True:
            yield {"data": "x" * 10_000}
            await anyio.sleep(0.001)

    return EventSourceResponse(ticks())


async def converse(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def flood(websocket: WebSocket) -> None:
    """More than the buffers of a connection hold, and no more than memory can: whether `send` waits for a client that
    does not read, and whether it fails for one that is gone, is the server's.
    """
    await websocket.accept()
    for _ in range(100):
        await websocket.send_bytes(bytes(65536))
    await websocket.receive()


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


def routes() -> list[BaseRoute]:
    return [
        Route("/ping", ping, name="ping"),
        Route("/body", body, methods=["POST"]),
        Route("/echo", echo, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/large-form", large_form, methods=["POST"]),
        Route("/json", document, methods=["POST"]),
        Route("/upload", upload, methods=["PUT"]),
        Route("/told", told),
        Route("/page", page),
        Route("/download", download),
        Route("/stream", stream),
        Route("/events", events),
        WebSocketRoute("/converse", converse),
        WebSocketRoute("/flood", flood),
        Mount("/static", StaticFiles(directory=files)),
    ]


app = Probe(
    Pallasite(
        routes=[
            Mount(
                "/wrapped",
                routes=routes(),
                middleware=[
                    Middleware(CORSMiddleware, allow_origins=["http://example.com"]),
                    Middleware(SessionMiddleware, secret_key="a secret of the tests, which keeps nothing secret"),
                    Middleware(GZipMiddleware),
                    Middleware(Passing),
                ],
            ),
            *routes(),
        ],
        max_body_size=MAX_BODY_BYTES,
    )
)
tempfile.gettempdir()  # tries the directory out, which is nothing for a request
