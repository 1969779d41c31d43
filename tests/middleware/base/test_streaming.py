"""`BaseHTTPMiddleware`: backpressure, and tasks that send at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, StreamingResponse
from pallasite.types import Message, Receive, Scope, Send
from tests.middleware.base.places import Place, chunk, pass_on, start
from tests.support.asgi import STALL_SECONDS, Client

pytestmark = pytest.mark.anyio


async def test_application_is_at_most_one_chunk_ahead(layer: Any, place: Place) -> None:
    made = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        for number in range(6):
            made.append(number)
            await send(chunk(b"%d" % number))
        await send(chunk(b"", more_body=False))

    ahead = []

    async def slow(message: Message) -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        if message["type"] == "http.response.body" and message["body"]:
            ahead.append(len(made) - int(message["body"]) - 1)

    client = await Client(on_send=slow).request(layer(place(app), dispatch=pass_on))
    assert client.body == b"012345"
    assert max(ahead) <= 1


async def test_application_goes_on_once_its_chunk_was_taken(layer: Any, place: Place) -> None:
    """A dispatch that takes a chunk and then waits for what the application does next must not wait for ever."""
    went_on = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(chunk(b"one "))
        went_on.set()
        await send(chunk(b"two", more_body=False))

    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(STALL_SECONDS):
            await went_on.wait()
        rest = [part async for part in response.body_iterator]
        return PlainTextResponse(b"".join([first, *rest]))

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"one two"


async def test_several_tasks_of_the_application_send(layer: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Any) -> None:
        await send(start())
        async with anyio.create_task_group() as task_group:
            for number in range(5):
                task_group.start_soon(send, chunk(b"%d" % number))
        await send(chunk(b"", more_body=False))

    client = await Client().request(layer(app, dispatch=pass_on))
    assert sorted(client.body) == sorted(b"01234")


async def test_streaming_response_below_streams(layer: Any, place: Place) -> None:
    async def numbers() -> AsyncIterator[Any]:
        for number in range(5):
            yield str(number)

    client = await Client().request(layer(place(StreamingResponse(numbers())), dispatch=pass_on))
    assert (client.body, client.is_complete) == (b"01234", True)
