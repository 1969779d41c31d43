"""Calls in worker threads: what callers of `anyio.to_thread.run_sync` rely on, which `run_sync` must keep."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite._runtime import worker_threads
from pallasite._runtime.worker_threads import run_sync
from tests.support.asgi import STALL_SECONDS
from tests.worker_threads.threads import on_asyncio, on_both, pool, thread_of_worker, variable, wait_for


@on_both
async def test_result_and_arguments() -> None:
    assert await run_sync(divmod, 7, 2) == (3, 1)
    assert await run_sync(threading.get_ident) != threading.get_ident()


@on_both
async def test_thread_has_the_name_of_anyios() -> None:
    ours, anyios = await thread_of_worker(), await anyio.to_thread.run_sync(threading.current_thread)
    assert ours.daemon is anyios.daemon
    if "asyncio" in sys.modules and worker_threads.current_pool() is not None:
        assert ours.name == anyios.name == "AnyIO worker thread"


class Custom(BaseException):
    pass


@on_both
@pytest.mark.parametrize("error", [LookupError("no"), Custom("no"), asyncio.CancelledError("no")], ids=repr)
async def test_exception_of_the_function_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match="no") as caught:
        await run_sync(fail)
    assert caught.value is error


@on_both
async def test_stop_iteration_becomes_a_runtime_error() -> None:
    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        await run_sync(next, iter(()))
    assert isinstance(caught.value.__cause__, StopIteration)


@on_both
@on_asyncio
async def test_exception_is_freed_without_the_garbage_collector(anyio_backend: str) -> None:
    def fail() -> None:
        raise Custom

    gc.disable()
    try:
        try:
            await run_sync(fail)
        except Custom as error:
            reference = weakref.ref(error)
        assert await run_sync(bool, 1)  # the thread has moved on
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_request_to_exit_in_a_worker_ends_the_event_loop(kind: type[BaseException]) -> None:
    def leave() -> None:
        raise kind("from the worker")

    async def main() -> None:
        await run_sync(leave)

    with pytest.raises(kind, match="from the worker"):
        asyncio.run(main())


@on_both
async def test_context_variables_are_copied() -> None:
    def change() -> str:
        before = variable.get()
        variable.set("changed in the worker")
        return before

    variable.set("set by the caller")
    assert await run_sync(change) == "set by the caller"
    assert variable.get() == "set by the caller"


@on_both
async def test_worker_is_outside_of_the_event_loop() -> None:
    def inside() -> int:
        async def other() -> int:
            return 3

        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return anyio.run(other)

    assert await run_sync(inside) == 3


@on_both
async def test_worker_keeps_nothing_alive() -> None:
    class Thing:
        pass

    def use(thing: Thing) -> Thing:
        return thing

    thing = Thing()
    reference = weakref.ref(thing)
    await run_sync(use, thing)
    del thing
    await run_sync(bool, 1)
    gc.collect()
    assert reference() is None


# anyio.from_thread.


@on_both
async def test_from_thread_calls_into_the_event_loop() -> None:
    loop_thread = threading.get_ident()

    async def ask() -> tuple[int, str]:
        await anyio.lowlevel.checkpoint()
        return threading.get_ident(), variable.get()

    def work() -> list[Any]:
        variable.set("of the worker")
        return [anyio.from_thread.run_sync(threading.get_ident), anyio.from_thread.run(ask)]

    assert await run_sync(work) == [loop_thread, (loop_thread, "of the worker")]


@on_both
async def test_calls_may_be_nested_through_the_event_loop() -> None:
    def outer() -> int:
        return anyio.from_thread.run(run_sync, int, "3") + 1

    assert await run_sync(outer) == 4


@on_both
async def test_check_cancelled() -> None:
    started, go_on = threading.Event(), threading.Event()

    def work() -> None:
        anyio.from_thread.check_cancelled()
        started.set()
        wait_for(go_on)
        anyio.from_thread.check_cancelled()
        finished.append("not cancelled")

    finished: list[str] = []
    async with anyio.create_task_group() as group:
        group.start_soon(run_sync, work)
        await anyio.to_thread.run_sync(wait_for, started)
        group.cancel_scope.cancel()
        go_on.set()
    assert not finished


def test_check_cancelled_without_any_scope() -> None:
    async def main() -> None:
        await run_sync(anyio.from_thread.check_cancelled)

    asyncio.run(main())


# Cancellation.


@on_both
async def test_cancellation_waits_for_the_thread() -> None:
    started, go_on = threading.Event(), threading.Event()
    steps: list[str] = []

    def work() -> None:
        started.set()
        wait_for(go_on)
        steps.append("worker finished")

    async def call() -> None:
        try:
            await run_sync(work)
            steps.append("result received")
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            steps.append("cancelled")
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.to_thread.run_sync(wait_for, started)
        group.cancel_scope.cancel()
        for _ in range(5):
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
        assert steps == []
        go_on.set()
    assert steps == ["worker finished", "result received", "cancelled"]


@on_both
async def test_nothing_is_called_after_cancellation() -> None:
    called: list[str] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_sync(called.append, "called")
    assert scope.cancelled_caught
    assert called == []


async def cancelled_at_once(called: list[str]) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await run_sync(called.append, "called")


def test_nothing_is_called_after_cancellation_of_a_task() -> None:
    called: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_at_once(called))
    assert called == []


def test_cancelled_task_leaves_the_thread_to_finish() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        wait_for(go_on)
        ended.set()

    async def main() -> None:
        task = asyncio.create_task(run_sync(work))
        await asyncio.sleep(0)
        wait_for(started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not ended.is_set()
        # The thread keeps its token, so that the limiter bounds the number of threads.
        assert (await pool()).limiter.borrowed_tokens == worker_threads.abandoned_threads() == 1
        go_on.set()
        await anyio.to_thread.run_sync(wait_for, ended)
        assert await run_sync(int, "3") == 3
        assert (await pool()).limiter.borrowed_tokens == worker_threads.abandoned_threads() == 0

    asyncio.run(main())


def test_call_is_dropped_if_its_task_was_cancelled_before_a_thread_took_it() -> None:
    called: list[str] = []

    async def main() -> None:
        found = await pool()
        future = found.submit(called.append, ("first",), None)
        await future
        found._run(worker_threads.Job(contextvars.copy_context(), called.append, ("second",), future, None, False))
        cancelled: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        found._run(worker_threads.Job(contextvars.copy_context(), called.append, ("third",), cancelled, None, False))
        found._deliver()

    asyncio.run(main())
    assert called == ["first", "second"]


# The limiter.


@on_both
async def test_default_limiter_bounds_the_threads() -> None:
    limiter = anyio.to_thread.current_default_thread_limiter()
    before = limiter.total_tokens
    running, most = 0, 0
    lock = threading.Lock()
    turn = threading.Semaphore(0)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert turn.acquire(timeout=STALL_SECONDS)
        with lock:
            running -= 1

    async def wait_until(borrowed: int, waiting: int) -> None:
        with anyio.fail_after(STALL_SECONDS):
            while (limiter.borrowed_tokens, limiter.statistics().tasks_waiting) != (borrowed, waiting):
                await anyio.lowlevel.checkpoint()

    limiter.total_tokens = 2
    try:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(run_sync, work)
            await wait_until(2, 4)
            limiter.total_tokens = 3
            await wait_until(3, 3)
            turn.release(6)
    finally:
        limiter.total_tokens = before
    assert limiter.borrowed_tokens == 0
    assert 1 <= most <= 3


@on_both
async def test_other_limiter() -> None:
    limiter = anyio.CapacityLimiter(1)
    default = anyio.to_thread.current_default_thread_limiter()

    def tokens() -> tuple[int, int]:
        return limiter.borrowed_tokens, default.borrowed_tokens

    assert await run_sync(tokens, limiter=limiter) == (1, 0)
    assert await run_sync(tokens) == (0, 1)
    assert tokens() == (0, 0)


@on_both
async def test_cancelled_while_waiting_for_a_token() -> None:
    limiter = anyio.CapacityLimiter(1)
    called: list[str] = []
    limiter.acquire_on_behalf_of_nowait("somebody else")
    with anyio.move_on_after(0.01) as scope:
        await run_sync(called.append, "called", limiter=limiter)
    assert scope.cancelled_caught
    assert called == []
    limiter.release_on_behalf_of("somebody else")
    await run_sync(called.append, "called", limiter=limiter)
    assert called == ["called"]


@on_both
async def test_many_at_once() -> None:
    results: dict[int, int] = {}

    async def call(number: int) -> None:
        results[number] = await run_sync(pow, number, 2)

    async with anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(call, number)
    assert results == {number: number**2 for number in range(300)}
