"""`BaseHTTPMiddleware`: context variables and tasks on both sides of `dispatch`."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import (
    Place,
    body_message,
    chunk,
    hello,
    in_child_task,
    pass_on,
    start,
    three_chunks,
)
from tests.support.asgi import Client

pytestmark = pytest.mark.anyio


word = contextvars.ContextVar("word", default="nothing")


async def test_context_of_dispatch_is_seen_below(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert word.get() == "from dispatch"
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        word.set("from dispatch")
        return await call_next(request)

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


@pytest.mark.parametrize("layers", [1, 3])
async def test_context_set_below_is_seen_by_dispatch(place_in_own_task: Place, layers: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        word.set("from below")
        await hello(scope, receive, send)

    seen = []

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        seen.append(word.get())
        return response

    stack = place_in_own_task(app)
    for _ in range(layers):
        stack = BaseHTTPMiddleware(stack, dispatch=dispatch)
    await Client().request(stack)
    assert seen == ["from below"] * layers


async def test_context_set_below_is_seen_by_dispatch_when_the_application_fails(place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        word.set("from below")
        raise KeyError

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        with pytest.raises(KeyError):
            await call_next(request)
        return PlainTextResponse(word.get())

    client = await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert client.body == b"from below"


async def test_context_variable_can_be_reset_below_across_waits(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = word.set("for a while")
        await send(start())
        await anyio.lowlevel.checkpoint()
        await send(chunk(b"one"))
        assert word.get() == "for a while"
        await send(chunk(b"", more_body=False))
        word.reset(token)

    client = await Client().request(layer(place(app), dispatch=pass_on))
    assert client.body == b"one"


@pytest.mark.parametrize("before", [None, "before"])
async def test_context_variable_reset_below_is_reset_above(place_in_own_task: Place, before: str | None) -> None:
    fresh: contextvars.ContextVar[str] = contextvars.ContextVar("fresh")
    if before is not None:
        fresh.set(before)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = fresh.set("for a while")
        await hello(scope, receive, send)
        fresh.reset(token)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        assert fresh.get() == "for a while"
        return response

    await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert fresh.get(None) == before


async def test_context_variable_set_by_dispatch_afterwards_is_kept(place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = word.set("for a while")
        await hello(scope, receive, send)
        word.reset(token)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        word.set("mine")
        return response

    await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert word.get() == "mine"


async def test_current_task_of_the_application_stays_the_same(
    layer: Any, place_in_own_task: Place, anyio_backend: str
) -> None:
    tasks = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert sniffio.current_async_library() == anyio_backend
        tasks.append(anyio.get_current_task().id)
        await send(start())
        tasks.append(anyio.get_current_task().id)
        await anyio.lowlevel.checkpoint()
        tasks.append(anyio.get_current_task().id)
        await send(chunk(b"one"))
        tasks.append(anyio.get_current_task().id)
        await send(chunk(b"", more_body=False))
        tasks.append(anyio.get_current_task().id)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        own = anyio.get_current_task().id
        response = await call_next(request)
        assert anyio.get_current_task().id == own
        assert own not in tasks
        return response

    await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert len(tasks) == 5
    assert len(set(tasks)) == 1


async def test_task_is_shown_as_what_it_runs(on_asyncio: None) -> None:
    shown: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        shown.append(repr(task))
        shown.extend(task.get_stack())
        await hello(scope, receive, send)

    await Client().request(BaseHTTPMiddleware(app, dispatch=pass_on))
    assert "_run" in shown[0]
    assert len(shown) > 1


async def test_no_task_is_left_behind(layer: Any, place: Place, on_asyncio: None) -> None:
    before = asyncio.all_tasks()
    for app in (hello, three_chunks):
        await Client().request(layer(layer(place(app), dispatch=pass_on), dispatch=pass_on))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_request_leaves_no_reference_circle(on_asyncio: None) -> None:
    class Payload:
        pass

    payload = Payload()
    gone = weakref.ref(payload)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await three_chunks(scope, receive, send)

    gc.collect()
    gc.disable()
    try:
        client = Client(body_message(b""))
        await client.request(BaseHTTPMiddleware(app, dispatch=pass_on), payload=payload)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del payload
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_child_task_of_the_application_sends(layer: Any, on_asyncio: None) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    try:
        client = await Client().request(layer(in_child_task(three_chunks), dispatch=pass_on))
    finally:
        loop.set_task_factory(None)
    assert client.body == b"one two three"


async def test_send_of_an_outer_layer_used_below_an_inner_one(layer: Any) -> None:
    """An event stream that bypasses the inner middleware through `request._send` of a dispatch."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await scope["outer_send"](start())
        await scope["outer_send"](chunk(b"past"))
        await scope["outer_send"](chunk(b" by", more_body=False))

    async def note(request: Request, call_next: RequestResponseEndpoint) -> Any:
        request.scope["outer_send"] = request._send
        try:
            return await call_next(request)
        except RuntimeError:
            return Quiet()

    class Quiet:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            pass

    client = Client()
    await client.request(layer(layer(app, dispatch=note), dispatch=pass_on))
    assert client.body == b"past by"
