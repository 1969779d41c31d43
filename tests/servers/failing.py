"""An application whose responses fail midway, below each kind of middleware; for test_failing_streams.py."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.body_limit import RequestBodyLimitMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route
from pallasite.sse import EventSourceResponse
from pallasite.types import Receive, Scope, Send

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pallasite.middleware.wsgi import WSGIMiddleware

PIECE = b"piece " * 100
TAKEN = "a body was taken for whole"
_logger = logging.getLogger(__name__)


async def breaks_off() -> AsyncIterator[bytes]:
    yield PIECE
    yield PIECE
    raise LookupError("broken on purpose")


def breaks_off_in_a_thread() -> Iterator[bytes]:
    yield PIECE
    raise LookupError("broken on purpose")


async def stream(request: Request) -> Response:
    return StreamingResponse(breaks_off())


async def threaded(request: Request) -> Response:
    return StreamingResponse(breaks_off_in_a_thread())


async def declared(request: Request) -> Response:
    return StreamingResponse(breaks_off(), headers={"content-length": str(10 * len(PIECE))})


async def short(request: Request) -> Response:
    return StreamingResponse([PIECE], headers={"content-length": str(10 * len(PIECE))})


async def shrunk_file(request: Request) -> Response:
    whole = os.stat(__file__)
    return FileResponse(__file__, stat_result=os.stat_result((*whole[:6], whole.st_size + 1_000_000, *whole[7:])))


async def events(request: Request) -> Response:
    return EventSourceResponse(breaks_off())


async def handled(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield PIECE
        raise KeyError("it has a handler, which comes too late")

    return StreamingResponse(pieces())


async def answer(request: Request, exc: Exception) -> Response:
    return PlainTextResponse("never seen")


async def twice(scope: Scope, receive: Receive, send: Send) -> None:
    await StreamingResponse([PIECE])(scope, receive, _without_end(send))
    await PlainTextResponse("a second response")(scope, receive, send)


def _without_end(send: Send) -> Send:
    async def passed_on(message: Any) -> None:
        if message.get("more_body", True):
            await send(message)

    return passed_on


async def unfinished(scope: Scope, receive: Receive, send: Send) -> None:
    await StreamingResponse([PIECE])(scope, receive, _without_end(send))


async def background(request: Request) -> Response:
    def task_that_fails() -> None:
        raise LookupError("broken on purpose")

    return PlainTextResponse("whole", background=BackgroundTask(task_that_fails))


def wsgi(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield PIECE
    raise LookupError("broken on purpose")


async def body(request: Request) -> Response:
    content = await (request.json() if request.url.path.endswith("json") else request.body())
    _logger.error(TAKEN)
    return PlainTextResponse(str(content))


async def form(request: Request) -> Response:
    async with request.form() as fields:
        _logger.error(TAKEN)
        return PlainTextResponse(str(fields))


async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


async def wrap(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response: Any = await call_next(request)
    pieces = response.body_iterator

    async def again() -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece

    response.body_iterator = again()
    return response  # type: ignore[no-any-return]


FUNCTION = Middleware(BaseHTTPMiddleware, dispatch=pass_on)
LAYERS = {
    "none": [],
    "function": [FUNCTION],
    "functions": [FUNCTION, FUNCTION, FUNCTION],
    "wrapping function": [Middleware(BaseHTTPMiddleware, dispatch=wrap)],
    "gzip": [Middleware(GZipMiddleware, minimum_size=1)],
    "session": [Middleware(SessionMiddleware, secret_key="not a secret here")],
    "cors": [Middleware(CORSMiddleware, allow_origins=["*"])],
    "limit": [Middleware(RequestBodyLimitMiddleware, max_body_size=1_000_000)],
}
LAYERS["all"] = [layer for layers in list(LAYERS.values()) for layer in layers]

KINDS = {
    "stream": stream,
    "threaded": threaded,
    "declared": declared,
    "short": short,
    "file": shrunk_file,
    "events": events,
    "handled": handled,
    "background": background,
}
TAKERS = {"body": body, "json": body, "form": form}


class _Plain:
    """An application that is not a function, so that a route calls it unchanged."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


app = Pallasite(
    routes=[
        Mount(
            "/" + name.replace(" ", "-"),
            Pallasite(
                routes=[
                    *(Route("/" + kind, endpoint) for kind, endpoint in KINDS.items()),
                    *(Route("/" + kind, endpoint, methods=["POST"]) for kind, endpoint in TAKERS.items()),
                    Route("/twice", _Plain(twice)),
                    Route("/unfinished", _Plain(unfinished)),
                    Mount("/wsgi", WSGIMiddleware(wsgi)),
                ],
                middleware=layers,
                exception_handlers={KeyError: answer},
            ),
        )
        for name, layers in LAYERS.items()
    ]
)
