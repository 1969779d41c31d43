"""Server-Sent Events: streams below middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite import sse
from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Route
from pallasite.sse import EventSourceResponse
from tests.sse.streams import Client, Stream


async def add_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["x-layer"] = "passed"
    return response


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["disconnect", "shutdown", "failure"])
async def test_function_middleware_lets_events_through_and_the_stream_end(end: str) -> None:
    stream = Stream("one")
    proceed = anyio.Event()

    async def events() -> AsyncIterator[Any]:
        inner = stream()
        async with aclosing(inner):
            yield await anext(inner)
            if end == "failure":
                await proceed.wait()
                raise LookupError("broken")
            await anext(inner)

    async def endpoint(request: Request) -> Response:
        return EventSourceResponse(events(), ping_seconds=0.01)

    app = Pallasite(routes=[Route("/", endpoint)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=add_header)] * 2)
    client = Client(app)

    async def run() -> None:
        if end == "failure":
            with pytest.raises(LookupError, match="broken"):
                await client.run()
        else:
            await client.run()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await client.until("one\n\n: ping\n\n")
        if end == "disconnect":
            client.gone.set()
        elif end == "shutdown":
            sse.end_streams()
        else:
            proceed.set()
    assert (b"x-layer", b"passed") in client.sent[0]["headers"]
    assert stream.ended == ["ended"]
    if end != "disconnect":  # messages to a client that has disconnected do not matter
        assert client.is_complete == (end == "shutdown")
