"""The threads of an event loop: when they start and end, and where anyio's are used instead."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite._runtime import worker_threads
from pallasite._runtime.worker_threads import Pool, run_sync
from tests.support.asgi import STALL_SECONDS
from tests.worker_threads.threads import join, on_asyncio, on_both, pool, thread_of_worker, wait_for


def test_idle_thread_is_used_again() -> None:
    async def main() -> set[threading.Thread]:
        return {await thread_of_worker() for _ in range(20)}

    threads = asyncio.run(main())
    assert len(threads) == 1
    join(*threads)


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_threads, "IDLE_SECONDS", 0)

    async def main() -> None:
        first = await thread_of_worker()
        await anyio.to_thread.run_sync(join, first)
        assert not (await pool()).idle
        assert await thread_of_worker() is not first

    asyncio.run(main())


def test_thread_that_is_taken_when_its_time_is_up_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import queue

    class Queue(queue.SimpleQueue[Any]):
        timeouts = 0
        pool: Pool

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            if timeout is not None and Queue.timeouts == 0 and not self.pool.idle and not self.empty():
                Queue.timeouts += 1
                raise queue.Empty  # although there is a call
            return super().get(block, timeout)

    async def main() -> tuple[int, int]:
        Queue.pool = await pool()
        Queue.pool._new_queue = Queue
        return await run_sync(int, "3"), await run_sync(int, "4")

    assert asyncio.run(main()) == (3, 4)
    assert Queue.timeouts == 1


def test_threads_end_with_the_event_loop() -> None:
    async def main() -> list[threading.Thread]:
        meeting = threading.Barrier(3)

        def meet() -> threading.Thread:
            meeting.wait(STALL_SECONDS)
            return threading.current_thread()

        return await asyncio.gather(*[run_sync(meet) for _ in range(3)])

    threads = asyncio.run(main())
    assert len(set(threads)) == 3
    join(*threads)


def test_thread_that_is_busy_when_the_event_loop_ends_ends_afterwards() -> None:
    started, go_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        started.set()
        wait_for(go_on)

    async def main() -> None:
        task = asyncio.create_task(run_sync(work))
        await asyncio.sleep(0)
        wait_for(started)
        task.cancel()

    asyncio.run(main())
    assert threads[0].is_alive()
    go_on.set()
    join(*threads)


def test_calls_after_the_end_of_the_pool_still_work() -> None:
    async def main() -> tuple[int, threading.Thread]:
        await run_sync(int)
        await asyncio.get_running_loop().shutdown_asyncgens()
        return await run_sync(int, "3"), await thread_of_worker()

    result, thread = asyncio.run(main())
    assert result == 3
    join(thread)


def test_failure_to_wake_an_open_event_loop_is_raised() -> None:
    async def main() -> None:
        found = await pool()

        class Broken:
            def call_soon_threadsafe(self, call: Any) -> None:
                raise RuntimeError("broken")

            def is_closed(self) -> bool:
                return False

        loop, found.loop = found.loop, Broken()  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="broken"):
            found._wake()
        found.loop = loop

    asyncio.run(main())


@pytest.fixture
def loops() -> Iterator[Callable[[], asyncio.AbstractEventLoop]]:
    made: list[asyncio.AbstractEventLoop] = []

    def new() -> asyncio.AbstractEventLoop:
        made.append(asyncio.new_event_loop())
        return made[-1]

    yield new
    for loop in made:
        loop.close()


def test_event_loops_that_take_turns_in_a_thread(loops: Callable[[], asyncio.AbstractEventLoop]) -> None:
    first, second = loops(), loops()
    threads = [loop.run_until_complete(thread_of_worker()) for loop in (first, second, first)]
    assert len(set(threads)) == 3
    join(*threads[:2])
    first.run_until_complete(first.shutdown_asyncgens())
    join(*threads)


def test_event_loops_in_two_threads_at_once() -> None:
    meeting = threading.Barrier(2)
    results: dict[str, list[int]] = {"a": [], "b": []}

    async def main(name: str) -> None:
        def meet() -> None:
            meeting.wait(STALL_SECONDS)

        await run_sync(meet)
        results[name] += await asyncio.gather(*[run_sync(abs, -number) for number in range(200)])

    callers = [threading.Thread(target=asyncio.run, args=(main(name),)) for name in results]
    for caller in callers:
        caller.start()
    join(*callers)
    assert results == {"a": list(range(200)), "b": list(range(200))}


def test_event_loop_that_is_never_shut_down_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_threads, "IDLE_SECONDS", 0)
    references: list[weakref.ref[Any]] = []

    def serve() -> None:
        loop = asyncio.new_event_loop()
        join(loop.run_until_complete(thread_of_worker()))
        references.append(weakref.ref(loop))
        loop.close()

    caller = threading.Thread(target=serve)
    caller.start()
    join(caller)
    del caller
    gc.collect()
    assert references[0]() is None


@on_both
@on_asyncio
async def test_event_loop_shuts_down_after_its_pool_is_gone(anyio_backend: str) -> None:
    other = Pool(asyncio.get_running_loop(), (await pool())._internals)
    guard, reference = other._guard, weakref.ref(other)
    other._guard = worker_threads._stop_at_shutdown(reference)  # not started: closing it does nothing
    del other
    assert reference() is None
    await guard.aclose()


# Where anyio's threads are used instead.


@on_both
async def test_replaced_run_sync_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async def replaced(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return "replaced", func(*args), options

    monkeypatch.setattr(anyio.to_thread, "run_sync", replaced)
    limiter = anyio.CapacityLimiter(1)
    assert await run_sync(int, "3", limiter=limiter) == ("replaced", 3, {"limiter": limiter})  # type: ignore[comparison-overlap]


@on_both
@on_asyncio
async def test_unknown_anyio_runs_its_own_threads(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_threads._local, "pool", None)
    monkeypatch.delattr("anyio._core._eventloop.claim_worker_thread")
    assert worker_threads.current_pool() is None
    monkeypatch.undo()
    monkeypatch.setattr(worker_threads, "_internals", lambda: None)
    assert await run_sync(int, "3") == 3


@on_both
@on_asyncio
async def test_event_loop_without_a_current_task_runs_anyios_threads(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # trio as a guest of asyncio: its tasks run in callbacks of the loop.
    monkeypatch.setattr(asyncio, "current_task", lambda: None)
    assert worker_threads.current_pool() is None


def test_sniffio_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> int:
        found = await pool()
        assert found._internals.library is None
        return await run_sync(int, "3")

    monkeypatch.setitem(sys.modules, "sniffio", None)
    assert asyncio.run(main()) == 3
