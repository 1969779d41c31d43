"""`BaseHTTPMiddleware`: background work, responses of `dispatch` itself, and several calls of `call_next`."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import Place, chunk, hello, pass_on, start, three_chunks
from tests.support.asgi import Client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("layers", [1, 3])
async def test_background_work_comes_after_the_response_and_is_awaited(layer: Any, place: Place, layers: int) -> None:
    events: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        events.append(client.is_complete)
        await anyio.sleep(0.005)
        events.append(await receive())

    stack = place(app)
    for _ in range(layers):
        stack = layer(stack, dispatch=pass_on)
    client = Client()
    await client.request(stack)
    assert events == [True, {"type": "http.disconnect"}]


async def test_other_response_drops_the_applications_messages_and_lets_it_end(layer: Any, place: Place) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await three_chunks(scope, receive, send)
        events.append(await receive())

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        await call_next(request)
        return PlainTextResponse("other")

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert (client.body, events) == (b"other", [{"type": "http.disconnect"}])


async def test_other_response_and_then_an_error_of_the_application_is_raised(
    layer: Any, place_in_own_task: Place
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await three_chunks(scope, receive, send)
        raise KeyError("late")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        await call_next(request)
        return PlainTextResponse("other")

    client = Client()
    with pytest.raises(KeyError, match="late"):
        await client.request(layer(place_in_own_task(app), dispatch=dispatch))
    assert client.body == b"other"


async def test_dropped_endless_stream_leaves_the_loop_to_others(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        async with anyio.create_task_group() as task_group:

            async def end_on_disconnect() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                task_group.cancel_scope.cancel()

            task_group.start_soon(end_on_disconnect)
            while True:
                await send(chunk(b"more"))

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        await call_next(request)
        return PlainTextResponse("other")

    client = await Client({"type": "http.request"}).request(layer(place(app), dispatch=dispatch))
    assert client.body == b"other"


async def test_dispatch_that_never_calls_next_starts_nothing(layer: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("not called")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        return PlainTextResponse("own")

    client = await Client().request(layer(app, dispatch=dispatch))
    assert client.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"3"), (b"content-type", b"text/plain; charset=utf-8")],
        },
        {"type": "http.response.body", "body": b"own"},
    ]


async def test_second_call_after_the_first_response_was_read(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        first = await call_next(request)
        body = b"".join([part async for part in first.body_iterator])
        second = await call_next(request)
        second.headers["x-first"] = body.decode()
        return second

    client = await Client().request(layer(place(hello), dispatch=dispatch))
    assert (client.body, client.headers[b"x-first"]) == (b"hello", b"hello")


async def test_second_call_after_an_error_starts_anew(place_in_own_task: Place) -> None:
    calls = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        while True:
            try:
                return await call_next(request)
            except ConnectionError:
                pass

    client = await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert (client.body, len(calls)) == (b"hello", 3)


async def test_two_calls_at_the_same_time_both_give_a_response(place: Place) -> None:
    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        bodies = []

        async def call() -> None:
            response = await call_next(request)
            bodies.append(b"".join([part async for part in response.body_iterator]))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(call)
            task_group.start_soon(call)
        return PlainTextResponse(b"|".join(bodies))

    client = await Client().request(BaseHTTPMiddleware(place(three_chunks), dispatch=dispatch))
    assert client.body == b"one two three|one two three"
