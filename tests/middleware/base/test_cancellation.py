"""`BaseHTTPMiddleware`: cancellation when `dispatch` fails, the client disconnects or the request is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.middleware.base import RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from tests.middleware.base.places import Place, chunk, hello, pass_on, start
from tests.support.asgi import STALL_SECONDS, Client

pytestmark = pytest.mark.anyio


async def test_error_of_dispatch_cancels_the_application_at_each_await(layer: Any, place: Place) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            await send(chunk(b"never taken"))
        finally:
            try:
                events.append("clean up")
                await anyio.lowlevel.checkpoint()
                await anyio.sleep(10)
                events.append("not cancelled again")
            finally:
                events.append("app ends")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> None:
        await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(app), dispatch=dispatch))
    assert events == ["clean up", "app ends"]


async def test_error_of_dispatch_does_not_break_a_shield(layer: Any, place: Place) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            await send(chunk(b"never taken"))
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.sleep(0.005)
                events.append("cleaned up")
            await anyio.lowlevel.checkpoint()
            events.append("not cancelled again")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> None:
        await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(app), dispatch=dispatch))
    assert events == ["cleaned up"]


async def test_error_of_dispatch_cancels_an_application_that_has_not_answered(layer: Any, place: Place) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            events.append("app ends")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> None:
        with anyio.move_on_after(0.02):
            await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(app), dispatch=dispatch))
    assert events == ["app ends"]


async def test_client_gone_while_sending_ends_the_application(layer: Any, place: Place) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(chunk(b"more"))
        finally:
            events.append("app ends")

    async def fail(message: Message) -> None:
        if len(client.sent) == 4:
            raise OSError("gone")

    client = Client(on_send=fail)
    with pytest.raises(OSError, match="gone"):
        await client.request(layer(place(app), dispatch=pass_on))
    assert (len(client.sent), events) == (4, ["app ends"])


async def cancelled_when(reached: Any, app: ASGIApp) -> None:
    """Runs a request and cancels it once `reached` is set."""
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(Client().request, app)
        with anyio.fail_after(STALL_SECONDS):
            await reached.wait()
        task_group.cancel_scope.cancel()


async def test_cancellation_from_outside_ends_both(layer: Any, place: Place) -> None:
    events, reached = [], anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await send(chunk(b"one "))
            reached.set()
            await anyio.sleep_forever()
        finally:
            events.append("app")

    async def dispatch(request: Request, call_next: Any) -> None:
        try:
            response = await call_next(request)
            assert [part async for part in response.body_iterator]
        finally:
            events.append("dispatch")
        raise AssertionError("cancelled before")

    await cancelled_when(reached, layer(layer(place(app), dispatch=dispatch), dispatch=pass_on))
    assert sorted(events) == ["app", "dispatch"]


async def test_asyncio_cancel_from_outside_ends_both(layer: Any, place: Place, on_asyncio: None) -> None:
    events = []
    started = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            started.set()
            await asyncio.sleep(30)
        finally:
            events.append("app")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        try:
            return await call_next(request)
        finally:
            events.append("dispatch")

    task = asyncio.create_task(Client().request(layer(place(app), dispatch=dispatch)))
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(events) == ["app", "dispatch"]


async def test_cancellation_during_background_work_reaches_it(layer: Any, place: Place) -> None:
    events, reached = [], anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        try:
            reached.set()
            await anyio.sleep_forever()
        finally:
            events.append("app ends")

    await cancelled_when(reached, layer(place(app), dispatch=pass_on))
    assert events == ["app ends"]


async def test_chunk_whose_sending_was_cancelled_is_not_sent(layer: Any, place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(chunk(b"one "))
        with anyio.move_on_after(0.02):
            await send(chunk(b"cancelled "))
        over.set()
        await send(chunk(b"two", more_body=False))

    over = anyio.Event()

    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(STALL_SECONDS):
            await over.wait()
        return PlainTextResponse(b"".join([first] + [part async for part in response.body_iterator]))

    client = await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert client.body == b"one two"
