"""`BaseHTTPMiddleware`: cancel scopes and timeouts that end before the response does."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.middleware.base import RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import Place, chunk, start, three_chunks
from tests.support.asgi import STALL_SECONDS, Client

pytestmark = pytest.mark.anyio


async def test_fail_after_around_call_next_ends_while_application_goes_on(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        with anyio.fail_after(STALL_SECONDS):
            return await call_next(request)

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"one two three", True)


async def test_fail_after_in_each_of_three_layers(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        with anyio.fail_after(STALL_SECONDS):
            response = await call_next(request)
        with anyio.fail_after(STALL_SECONDS):
            await anyio.lowlevel.checkpoint()
        return response

    app = place(three_chunks)
    for _ in range(3):
        app = place(layer(app, dispatch=dispatch))
    client = await Client().request(app)
    assert client.body == b"one two three"


async def test_task_group_around_call_next_ends_while_application_goes_on(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        responses = []

        async def call() -> None:
            responses.append(await call_next(request))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(call)
        return responses[0]

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert client.body == b"one two three"


async def test_application_scope_stays_open_while_dispatch_enters_and_leaves_its_own(layer: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.move_on_after(30) as outer:
            await send(start())
            with anyio.move_on_after(20):
                await send(chunk(b"one "))
            await send(chunk(b"two"))
            await anyio.lowlevel.checkpoint()
        assert not outer.cancelled_caught
        await send(chunk(b"", more_body=False))

    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        with anyio.CancelScope():
            response = await call_next(request)
            with anyio.fail_after(STALL_SECONDS):
                first = await response.body_iterator.__anext__()
        with anyio.fail_after(STALL_SECONDS):
            rest = [part async for part in response.body_iterator]
        return PlainTextResponse(b"".join([first, *rest]))

    client = await Client().request(layer(app, dispatch=dispatch))
    assert client.body == b"one two"


async def test_application_deadline_that_passes_while_it_waits_to_send_cancels_it(
    layer: Any, place_in_own_task: Place
) -> None:
    events, over = [], anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(chunk(b"one "))
        with anyio.move_on_after(0.02) as scope_:
            await send(chunk(b"never taken "))
        events.append(scope_.cancelled_caught)
        over.set()
        await send(chunk(b"end", more_body=False))

    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(STALL_SECONDS):
            await over.wait()
        await response.body_iterator.aclose()
        return PlainTextResponse(first)

    client = await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert (client.body, events) == (b"one ", [True])


async def test_asyncio_wait_for_around_call_next(layer: Any, place: Place, on_asyncio: None) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        return await asyncio.wait_for(call_next(request), 10)

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert client.body == b"one two three"


async def test_asyncio_timeouts_in_dispatch_and_application(layer: Any, place: Place, on_asyncio: None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(10):
            await three_chunks(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        async with asyncio.timeout(10):
            response = await call_next(request)
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return response

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"one two three"


async def test_asyncio_timeout_of_parked_application_reaches_it(layer: Any, on_asyncio: None) -> None:
    events, over = [], anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(chunk(b"one "))
        try:
            async with asyncio.timeout(0.02):
                await send(chunk(b"never taken "))
        except TimeoutError:
            events.append("timeout")
            over.set()

    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(STALL_SECONDS):
            await over.wait()
        await response.body_iterator.aclose()
        return PlainTextResponse(first)

    client = await Client().request(layer(app, dispatch=dispatch))
    assert (client.body, events) == (b"one ", ["timeout"])


async def test_timeout_of_call_next_leaves_application_running_to_its_end(layer: Any, place: Place) -> None:
    events: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(await receive())
        await send(start())
        await send(chunk(b"late", more_body=False))
        events.append("app ends")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        with anyio.move_on_after(0.02):
            return await call_next(request)
        return PlainTextResponse("too slow", status_code=504)

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert (client.status, client.body) == (504, b"too slow")
    assert events == [{"type": "http.disconnect"}, "app ends"]
