"""The two ways to run the application below a function middleware, in states that `dispatch` cannot easily reach."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from pallasite.middleware._downstream import Downstream, EagerDownstream, TaskDownstream
from pallasite.middleware.base import BaseHTTPMiddleware
from tests.support.asgi import LAST, START, Sent, always, scope_of

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
pytestmark = pytest.mark.anyio
receive = always({"type": "http.disconnect"})


async def nobody(message: Any) -> None:
    pass


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(LAST)


async def wait(scope: Any, receive: Any, send: Any) -> None:
    await anyio.sleep_forever()


def eager(app: Callable[..., Any]) -> EagerDownstream:
    downstream = EagerDownstream(app, scope_of(), receive)
    downstream.start(asyncio.get_running_loop())
    return downstream


# Both kinds


async def test_next_after_the_last_message_returns_none() -> None:
    async with anyio.create_task_group() as tasks:
        downstream = TaskDownstream(answer, scope_of(), receive)
        downstream.start(tasks)
        assert [await downstream.next() for _ in range(4)] == [START, LAST, None, None]
        downstream.finish()


async def test_task_that_ends_before_anybody_listens_has_ended() -> None:
    async with anyio.create_task_group() as tasks:
        downstream = TaskDownstream(lambda *_: anyio.lowlevel.checkpoint(), scope_of(), receive)
        downstream.start(tasks)
    await downstream.join()
    assert await downstream.next() is None


async def test_pathsend_looked_at_by_dispatch_is_sent() -> None:
    pathsend = {"type": "http.response.pathsend", "path": "/file"}
    sent = Sent()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(pathsend)

    async def dispatch(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        assert response.body_iterator is response.body_iterator
        return response

    await BaseHTTPMiddleware(app, dispatch=dispatch)(scope_of(), receive, sent)
    assert sent == [START, pathsend]


async def test_context_variable_adopted_in_another_task_is_left_to_it() -> None:
    word: contextvars.ContextVar[str] = contextvars.ContextVar("word")
    value = "for a while"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        token = word.set(value)
        await answer(scope, receive, send)
        word.reset(token)

    async def dispatch(request: Any, call_next: Any) -> Any:
        responses = []

        async def call() -> None:
            responses.append(await call_next(request))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
        word.set(value)
        return responses[0]

    await BaseHTTPMiddleware(app, dispatch=dispatch)(scope_of(), receive, nobody)
    assert word.get() == value


# Steps of an asyncio task taken by another one


@on_asyncio
async def test_start_outside_of_a_task_leaves_the_steps_to_the_loop(anyio_backend: str) -> None:
    loop, downstream = asyncio.get_running_loop(), EagerDownstream(answer, scope_of(), receive)
    loop.call_soon(downstream.start, loop)
    await asyncio.sleep(0)
    assert downstream.poll() is None
    assert [await downstream.next() for _ in range(3)] == [START, LAST, None]
    downstream.finish()
    await downstream.join()


@on_asyncio
async def test_base_exception_of_the_application_is_raised_immediately(anyio_backend: str) -> None:
    class Stop(BaseException):
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        eager(app)


@on_asyncio
async def test_step_of_a_task_that_is_being_cancelled_is_left_to_the_loop(anyio_backend: str) -> None:
    events = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
            events.append("went on")
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    downstream = eager(app)
    assert downstream.poll() is not None
    assert downstream._task is not None
    downstream._task.cancel()
    assert downstream.poll() is None
    assert events == []
    await downstream.join()
    assert events == ["cancelled"]


@on_asyncio
async def test_cancellation_before_the_loops_first_step_reaches_what_is_awaited(anyio_backend: str) -> None:
    awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await awaited

    downstream = eager(app)
    assert downstream._task is not None
    downstream._task.cancel()
    await downstream.join()
    assert awaited.cancelled()
    assert isinstance(downstream.error, asyncio.CancelledError)


@on_asyncio
async def test_cancellation_after_the_end_is_too_late(anyio_backend: str) -> None:
    tasks: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.current_task())

    downstream = eager(app)
    assert downstream.ended
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert not tasks[0].cancelled()
    assert downstream.error is None


@on_asyncio
async def test_cancelled_sender_among_several_is_skipped(anyio_backend: str) -> None:
    senders: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for body in (b"1", b"2"):
            message = {"type": "http.response.body", "body": body, "more_body": True}
            senders.append(asyncio.ensure_future(send(message)))
        await asyncio.wait(senders)

    downstream = eager(app)
    first = await downstream.next()
    while not downstream._senders:  # noqa: ASYNC110 (there is no event to wait for)
        await asyncio.sleep(0)
    assert first is not None
    senders[1].cancel()
    downstream._release()
    await downstream.join()
    assert not senders[0].cancelled()
    assert senders[1].cancelled()


@on_asyncio
async def test_abort_after_the_end_does_nothing(anyio_backend: str) -> None:
    downstream = eager(lambda *_: asyncio.sleep(0))
    await downstream.join()
    await downstream.abort()
    assert downstream.error is None


@on_asyncio
async def test_abort_that_is_cancelled_waits_all_the_same(anyio_backend: str) -> None:
    cleaning, cleaned = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            with anyio.CancelScope(shield=True):
                cleaning.set()
                await cleaned.wait()

    downstream = eager(app)
    aborting = asyncio.ensure_future(downstream.abort())
    await cleaning.wait()
    aborting.cancel()
    await asyncio.sleep(0)
    assert not aborting.done()
    cleaned.set()
    with pytest.raises(asyncio.CancelledError):
        await aborting
    assert downstream.ended


@on_asyncio
async def test_middleware_thrown_away_with_its_loop_awaits_nothing(anyio_backend: str) -> None:
    closed = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except GeneratorExit:
            closed.append("app")
            raise

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    before = asyncio.all_tasks()
    running = BaseHTTPMiddleware(app, dispatch=dispatch)(scope_of(), receive, nobody)
    running.send(None)
    running.close()
    [task] = asyncio.all_tasks() - before
    task.get_coro().close()
    assert closed == ["app"]
    task.cancel()
    await asyncio.wait([task])


@on_asyncio
async def test_task_coroutine_cannot_be_awaited(anyio_backend: str) -> None:
    downstream = eager(lambda *_: asyncio.sleep(0))
    with pytest.raises(TypeError, match="internal: EagerDownstream cannot be awaited"):
        await downstream
    await downstream.join()


async def test_kinds_of_downstream_say_how_they_wait() -> None:
    kind = Downstream(answer, scope_of(), receive)
    for method in (kind._new_scope, kind._pause, kind._release, kind._listen, kind._wake_reader):
        with pytest.raises(NotImplementedError):
            method()
