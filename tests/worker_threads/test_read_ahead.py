"""Iterators in worker threads: how far a call reads ahead, and how an iteration ends early."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite._runtime import read_ahead
from pallasite._runtime.read_ahead import MOST_ITEMS
from pallasite._runtime.worker_threads import Pool
from pallasite.concurrency import iterate_in_threadpool, run_in_threadpool
from tests.support.asgi import STALL_SECONDS
from tests.worker_threads.threads import on_asyncio, on_both, pool, variable, wait_for


def generator(items: Any) -> AsyncGenerator[Any, None]:
    return cast("AsyncGenerator[Any, None]", iterate_in_threadpool(items))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of items of each call, where time stands still."""
    made: list[int] = []
    work = read_ahead.ReadAhead._work

    def counted(self: read_ahead.ReadAhead[Any], call: Any) -> None:
        before = len(self.ready)
        work(self, call)
        made.append(len(self.ready) - before)

    monkeypatch.setattr(read_ahead.ReadAhead, "_work", counted)
    monkeypatch.setattr(read_ahead, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(read_ahead, "SECONDS_TO_WAIT", 3600)
    return made


class Closed:
    """A generator of numbers, and what happened to it."""

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        self.before = before
        self.yielded = 0
        self.closed = threading.Event()
        self.closed_in: int | None = None

    def __call__(self) -> Iterator[int]:
        try:
            for number in range(1000):
                self.before(number)
                self.yielded += 1
                yield number
        finally:
            self.closed_in = threading.get_ident()
            self.closed.set()


# How far ahead.


@on_both
@on_asyncio
async def test_items_that_are_ready_are_fetched_together(anyio_backend: str, calls: list[int]) -> None:
    assert [item async for item in generator(range(20))] == list(range(20))
    assert calls == [MOST_ITEMS, MOST_ITEMS, 20 - 2 * MOST_ITEMS]


@on_both
@on_asyncio
async def test_big_items_are_fetched_a_few_at_a_time(
    anyio_backend: str, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "MOST_BYTES", 10)
    assert len([item async for item in generator([b"12345", "12345", b"1", 7, b"1234567890"])]) == 5
    assert calls == [2, 3, 0]


@on_both
@on_asyncio
async def test_slow_items_are_fetched_one_at_a_time(
    anyio_backend: str, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def items() -> Iterator[int]:
        nonlocal now
        for number in range(3):
            now += read_ahead.MOST_SECONDS
            yield number

    monkeypatch.setattr(read_ahead, "perf_counter", lambda: now)
    assert [item async for item in generator(items())] == [0, 1, 2]
    assert calls == [1, 1, 1, 0]


@on_both
async def test_item_does_not_wait_for_the_next_one() -> None:
    go_on = threading.Event()

    def items() -> Iterator[str]:
        yield "ready"
        wait_for(go_on)
        yield "later"

    seen = []
    with anyio.fail_after(STALL_SECONDS):
        async for item in generator(items()):
            seen.append(item)
            go_on.set()
    assert seen == ["ready", "later"]


@on_both
async def test_error_follows_the_items_before_it() -> None:
    go_on = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        wait_for(go_on)
        raise LookupError("no more")

    seen = []
    with pytest.raises(LookupError, match="no more"):  # noqa: PT012 - the loop is what raises
        async for item in generator(items()):
            seen.append(item)
            go_on.set()
    assert seen == [1, 2]


@on_both
@on_asyncio
async def test_error_of_a_fetched_item_waits_for_the_others(anyio_backend: str, calls: list[int]) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("no more")

    stream = generator(items())
    assert [await anext(stream), await anext(stream)] == [1, 2]
    assert calls == [2]
    with pytest.raises(LookupError, match="no more"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


# What a generator sees.


@on_both
async def test_generator_runs_in_one_context() -> None:
    def items() -> Iterator[str]:
        for number in range(3 * MOST_ITEMS):
            yield variable.get()
            variable.set(f"set by item {number}")

    variable.set("set by the caller")
    seen = [item async for item in generator(items())]
    assert seen == ["set by the caller", *[f"set by item {number}" for number in range(3 * MOST_ITEMS - 1)]]
    assert variable.get() == "set by the caller"


@on_both
async def test_generator_may_call_into_the_event_loop() -> None:
    def items() -> Iterator[int]:
        for _ in range(3):
            yield anyio.from_thread.run_sync(threading.get_ident)

    assert {item async for item in generator(items())} == {threading.get_ident()}


@on_both
async def test_generator_may_run_an_event_loop_of_its_own() -> None:
    async def three() -> int:
        return 3

    def items() -> Iterator[int]:
        yield anyio.run(three)

    assert [item async for item in generator(items())] == [3]


@on_both
async def test_other_calls_between_items() -> None:
    limiter = anyio.to_thread.current_default_thread_limiter()
    seen = [item + await run_in_threadpool(int, "3") async for item in generator(range(20))]
    assert seen == list(range(3, 23))
    assert limiter.borrowed_tokens == 0


@on_both
async def test_calls_wait_for_a_token() -> None:
    limiter = anyio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    limiter.acquire_on_behalf_of_nowait("somebody else")
    called: list[int] = []
    try:
        stream = generator(map(called.append, range(3)))
        with anyio.move_on_after(0.01) as scope:
            await anext(stream)
        assert scope.cancelled_caught
        assert called == []
        limiter.release_on_behalf_of("somebody else")
        assert [item async for item in generator(range(3))] == [0, 1, 2]
        async with anyio.create_task_group() as group:
            limiter.acquire_on_behalf_of_nowait("somebody else")
            stream = generator(range(3))
            group.start_soon(stream.__anext__)
            with anyio.fail_after(STALL_SECONDS):
                while not limiter.statistics().tasks_waiting:
                    await anyio.lowlevel.checkpoint()
            limiter.release_on_behalf_of("somebody else")
        await stream.aclose()
    finally:
        limiter.total_tokens = before
    assert limiter.borrowed_tokens == 0


# Early ends.


@on_both
async def test_generator_is_closed_when_the_iteration_breaks_off() -> None:
    numbers = Closed()
    stream = generator(numbers())
    assert await anext(stream) == 0
    assert not numbers.closed.is_set()
    await stream.aclose()
    assert numbers.closed.is_set()
    assert numbers.closed_in != threading.get_ident()
    assert numbers.yielded <= MOST_ITEMS


@on_both
async def test_error_while_closing_is_raised() -> None:
    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise LookupError("while closing")

    stream = generator(items())
    await anext(stream)
    with pytest.raises(LookupError, match="while closing"):
        await stream.aclose()


@on_both
async def test_only_generators_are_closed() -> None:
    class Items:
        closed = False

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            return 1

        def close(self) -> None:
            self.closed = True

    items = Items()
    stream = generator(items)
    await anext(stream)
    await stream.aclose()
    assert not items.closed


@on_both
async def test_generator_that_ended_is_not_closed_again() -> None:
    numbers = Closed()
    stream = generator(numbers())
    async for _ in stream:
        pass
    closed_in = numbers.closed_in
    numbers.closed_in = None
    await stream.aclose()
    assert closed_in is not None
    assert numbers.closed_in is None


@on_both
async def test_cancellation_waits_for_the_item_and_closes_the_generator() -> None:
    started, go_on = threading.Event(), threading.Event()

    def block(number: int) -> None:
        started.set()
        wait_for(go_on)

    async def iterate() -> None:
        stream = generator(numbers())
        try:
            async for _ in stream:
                await anyio.lowlevel.checkpoint()
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
            ended.append("ended")

    ended: list[str] = []
    numbers = Closed(block)
    async with anyio.create_task_group() as group:
        group.start_soon(iterate)
        await anyio.to_thread.run_sync(wait_for, started)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
        assert ended == []
        go_on.set()
    assert ended == ["ended"]
    assert numbers.closed.is_set()
    assert numbers.yielded == 1


@on_both
async def test_early_end_waits_for_the_call_that_went_on() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    def block_later(number: int) -> None:
        if number == 1:
            blocked.set()
            wait_for(go_on)

    async def release() -> None:
        await anyio.to_thread.run_sync(wait_for, blocked)
        go_on.set()

    numbers = Closed(block_later)
    stream = generator(numbers())
    assert await anext(stream) == 0
    async with anyio.create_task_group() as group:
        group.start_soon(release)
        if not blocked.is_set():
            blocked.set()  # on trio, there is no call in progress
        await stream.aclose()
    assert numbers.closed.is_set()
    assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0


@on_both
async def test_nothing_is_fetched_after_cancellation() -> None:
    numbers = Closed()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(generator(numbers()))
    assert scope.cancelled_caught
    assert numbers.yielded == 0


# Cancelled tasks of asyncio, which do not wait for threads.


def test_cancelled_task_leaves_the_call_and_closes_the_generator_after_it() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    def block(number: int) -> None:
        blocked.set()
        wait_for(go_on)

    numbers = Closed(block)

    async def iterate() -> None:
        stream = generator(numbers())
        try:
            await anext(stream)
        finally:
            ended.append((await pool()).limiter.borrowed_tokens)

    ended: list[int] = []

    async def main() -> None:
        task = asyncio.create_task(iterate())
        await asyncio.sleep(0)
        wait_for(blocked)
        task.cancel()  # interrupts the wait for an item
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()  # interrupts the wait for the call, which would have let the generator be closed in order
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not numbers.closed.is_set()
        go_on.set()
        await anyio.to_thread.run_sync(wait_for, numbers.closed)
        with anyio.fail_after(STALL_SECONDS):
            while (await pool()).limiter.borrowed_tokens:
                await anyio.lowlevel.checkpoint()

    asyncio.run(main())
    assert ended == [1]
    assert numbers.yielded == 1


def test_iteration_goes_on_after_a_cancelled_wait() -> None:
    go_on = threading.Event()

    async def main() -> list[int]:
        ahead = read_ahead.ReadAhead(numbers(), await pool())
        for _ in range(2):
            task = asyncio.create_task(ahead.fetch())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        go_on.set()
        assert await ahead.fetch()
        await ahead.close()
        return list(ahead.ready)

    numbers = Closed(lambda number: wait_for(go_on))
    assert asyncio.run(main())[0] == 0
    assert numbers.closed.is_set()


def test_nothing_is_fetched_in_a_cancelled_task() -> None:
    numbers = Closed()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anext(generator(numbers()))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert numbers.yielded == 0


def test_thread_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Pool, job: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        monkeypatch.setattr(Pool, "_start", fail)
        stream = generator(Closed()())
        with pytest.raises(RuntimeError, match="can't start"):
            await anext(stream)
        assert (await pool()).limiter.borrowed_tokens == 0

    asyncio.run(main())


# The two threads, in each order.


@on_both
@on_asyncio
async def test_call_returns_at_any_moment(anyio_backend: str) -> None:
    found = await pool()

    class Returning(read_ahead._Call):
        """A call that returns just after the event loop has seen that it had not."""

        looks = 0

        @property
        def has_returned(self) -> bool:
            self.looks += 1
            return self.looks > 1

        @has_returned.setter
        def has_returned(self, value: bool) -> None:
            assert not value or self.late is None

    call = Returning(found)
    assert not call.goes_on()
    assert call.late is not None
    call._set_late()  # the thread reports it nevertheless
    assert call.late.done()
    call._set_late()
    call.late = None
    call._set_late()


@on_both
@on_asyncio
async def test_items_are_passed_on_once(anyio_backend: str) -> None:
    found = await pool()
    ahead: read_ahead.ReadAhead[int] = read_ahead.ReadAhead(iter(()), found)
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    call = read_ahead._Call(found)
    ahead._pass_on(call, future)
    assert not future.done()  # nothing to pass on
    ahead.ready.append(1)
    ahead._pass_on(call, future)
    assert future.done()
    ahead._pass_on(call, future)
    call.has_returned = True
    ahead._pass_on(call, asyncio.get_running_loop().create_future())


def test_contexts_differ_between_iterations() -> None:
    async def main() -> list[str]:
        async def collect(name: str) -> list[str]:
            variable.set(name)
            return [item async for item in generator(variable.get() for _ in range(20))]

        first, second = await asyncio.gather(collect("a"), collect("b"))
        return first + second

    assert contextvars.Context().run(asyncio.run, main()) == ["a"] * 20 + ["b"] * 20


@on_both
@on_asyncio
async def test_call_in_progress_does_not_close_what_is_no_generator(anyio_backend: str) -> None:
    found = await pool()
    ahead = read_ahead.ReadAhead(iter([1, 2]), found)
    ahead._closing = True
    ahead._work(read_ahead._Call(found))
    assert list(ahead.ready) == [1]
    assert await ahead.fetch()
