"""Run blocking calls in worker threads: on asyncio in threads of its own, on trio in anyio's.

`anyio.to_thread.run_sync` passes through the event loop three times per call and enters two cancel scopes. `run_sync`
does the same with one idle thread, one queue and one wake-up, in a third of the time. It keeps what callers rely on:

* anyio's default limiter bounds the number of threads. Changes of its `total_tokens` count.
* Context variables are copied, and `anyio.from_thread` works inside.
* Cancellation of a scope waits for the thread. `Task.cancel` does not, and leaves the thread to finish. Unlike in
  anyio, the abandoned thread holds its token until then, so that the limiter still bounds the number of threads.
* The interpreter waits at its exit for calls in progress, unless the event loop runs in a daemon thread.

Each event loop has a pool. The pool is touched by its loop's thread and by its workers, without a lock: every operation
that they share is a single one on a deque or a queue, and where two of them race, either order is right.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import anyio
import anyio.to_thread

from pallasite._compat.stock import original

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["ABANDONS", "Pool", "abandoned_threads", "current_pool", "run_sync"]

T = TypeVar("T")

#: An idle thread ends after this many seconds, as anyio's do.
IDLE_SECONDS = 10

_STOCK_RUN_SYNC = original(anyio.to_thread, "run_sync")

#: Whether, on trio, a cancelled call leaves its thread to finish instead of waiting for it.
ABANDONS: ContextVar[bool] = ContextVar("pallasite.abandons", default=False)


async def run_sync(func: Callable[..., T], *args: Any, limiter: anyio.CapacityLimiter | None = None) -> T:
    """Return `func(*args)`, called in a worker thread.

    Waits for a token of `limiter`, by default anyio's default limiter, and holds it during the call.
    """
    pool = current_pool()
    if pool is None:
        if ABANDONS.get():
            return await anyio.to_thread.run_sync(func, *args, limiter=limiter, abandon_on_cancel=True)
        return await anyio.to_thread.run_sync(func, *args, limiter=limiter)
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    scope = pool.scope_of(task)
    if scope is not None:
        await anyio.lowlevel.checkpoint_if_cancelled()
    elif task.cancelling():
        await asyncio.sleep(0)  # raises if the cancellation is still to come
    limiter = limiter or pool.limiter
    borrower = object()  # not the task, which may go on while an abandoned thread holds its token
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
    except anyio.WouldBlock:
        await limiter.acquire_on_behalf_of(borrower)
    abandoned = False
    try:
        future: asyncio.Future[T] = pool.submit(func, args, scope)
        try:
            if scope is not None:
                with anyio.CancelScope(shield=True):
                    await future
                return future.result()
            return await future
        finally:
            if future.cancelled():
                abandoned = True
                pool.abandoned[future] = limiter, borrower
            # An exception refers to this frame, which must not refer to the exception.
            del future
    finally:
        if not abandoned:
            limiter.release_on_behalf_of(borrower)


def abandoned_threads() -> int:
    """Return the number of worker threads of all asyncio event loops whose call goes on though nobody awaits it."""
    return sum(len(pool.abandoned) for pool in _open_pools())


class Job(NamedTuple):
    """A call for a worker thread."""

    context: Context
    func: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any]
    #: The anyio scope whose cancellation `anyio.from_thread.check_cancelled` reports.
    scope: Any
    #: Whether to call even if the future was cancelled before a thread took the job.
    always: bool


class _Internals(NamedTuple):
    """What `anyio.from_thread` and cancellation need of anyio, which is not public."""

    claim_worker_thread: Callable[[Any, object], AbstractContextManager[object]]
    backend: Any
    threadlocals: Any
    task_states: Any
    #: sniffio's variable, which must not name asyncio in a worker thread. None if sniffio is not installed.
    library: ContextVar[str | None] | None


def _internals() -> _Internals | None:
    """Return None if the installed anyio has other names. Its own worker threads are used then."""
    try:
        from anyio._backends._asyncio import AsyncIOBackend, _task_states
        from anyio._core._eventloop import claim_worker_thread, threadlocals
    except ImportError:
        return None
    library = getattr(sys.modules.get("sniffio"), "current_async_library_cvar", None)
    return _Internals(claim_worker_thread, AsyncIOBackend, threadlocals, _task_states, library)


class Pool:
    """The worker threads of one event loop.

    Attributes:
        idle: the queues of idle threads. The last one to finish is used first, so that the others can end.
        done: results that the event loop has yet to deliver: (future, result, error).
        woken: whether a delivery is scheduled, so that one wake-up serves all that finish meanwhile.
        stopping: whether threads end instead of becoming idle.
        abandoned: by the future of a call that nobody awaits any more, the token to release when its thread is done.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, internals: _Internals) -> None:
        from queue import SimpleQueue

        self.loop = loop
        self.limiter = anyio.to_thread.current_default_thread_limiter()
        self.idle: deque[SimpleQueue[Job | None]] = deque()
        self.done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self.woken = False
        self.stopping = False
        self.abandoned: dict[asyncio.Future[Any], tuple[anyio.CapacityLimiter, object]] = {}
        self._internals = internals
        self._new_queue = SimpleQueue
        self._guard = _stop_at_shutdown(weakref.ref(self))
        # Starts the generator, which registers it with the event loop: `loop.shutdown_asyncgens` closes it.
        with suppress(StopIteration):
            self._guard.__anext__().send(None)

    def scope_of(self, task: asyncio.Task[Any]) -> Any:
        """Return the innermost cancel scope around a task, or None: then no scope can cancel it while it waits."""
        state = self._internals.task_states.get(task)
        return None if state is None else state.cancel_scope

    def new_context(self) -> Context:
        """Return a copy of the current context for a worker thread."""
        context = copy_context()
        library = self._internals.library
        if library is not None and library.get(None) is not None:
            context.run(library.set, None)
        return context

    def submit(
        self,
        func: Callable[..., T],
        args: tuple[Any, ...],
        scope: Any,
        context: Context | None = None,
        *,
        always: bool = False,
    ) -> asyncio.Future[T]:
        """Call `func(*args)` in an idle thread or a new one. Called by the thread of the event loop."""
        future: asyncio.Future[T] = self.loop.create_future()
        job = Job(context or self.new_context(), func, args, future, scope, always)
        try:
            self.idle.pop().put(job)
        except IndexError:
            self._start(job)
        return future

    def stop(self) -> None:
        """End the idle threads, and the others when their call returns. Calls remain possible, in new threads."""
        self.stopping = True
        with suppress(IndexError):
            while True:
                self.idle.pop().put(None)

    def close(self) -> None:
        """Stop, and no longer wait for the event loop to shut down."""
        with suppress(StopIteration):
            self._guard.aclose().send(None)

    def __del__(self) -> None:
        # The event loop's thread ended, its loop was never shut down, and the last idle thread has ended.
        self.close()

    def _start(self, job: Job) -> None:
        jobs: SimpleQueue[Job | None] = self._new_queue()
        jobs.put(job)
        thread = threading.Thread(target=self._work, args=(jobs,), name="AnyIO worker thread")
        # From an empty context: where threads inherit one, this thread would keep the first request's alive.
        Context().run(thread.start)

    def _work(self, jobs: SimpleQueue[Job | None]) -> None:
        """Run the calls that arrive in `jobs`, in a thread of their own."""
        from queue import Empty

        with self._internals.claim_worker_thread(self._internals.backend, self.loop):
            while True:
                try:
                    job = jobs.get(timeout=IDLE_SECONDS)
                except Empty:
                    if self._leave(jobs):
                        return
                    job = jobs.get()  # the event loop took this thread from the idle ones at the last moment
                if job is None:
                    return
                self._run(job)
                del job
                self.idle.append(jobs)
                self._wake()
                # After becoming idle: `stop` sets the flag first and then empties `idle`, so one of the two notices.
                if self.stopping and self._leave(jobs):
                    return

    def _run(self, job: Job) -> None:
        context, func, args, future, scope, always = job
        threadlocals = self._internals.threadlocals
        result = None
        error: BaseException | None = None
        if always or not future.cancelled():
            threadlocals.current_cancel_scope = scope
            try:
                result = context.run(func, *args)
            except StopIteration as stop:
                # A future cannot raise it.
                error = RuntimeError("coroutine raised StopIteration")
                error.__cause__ = stop
            except BaseException as raised:
                error = raised
            threadlocals.current_cancel_scope = None
        self.done.append((future, result, error))
        # An exception refers to this frame, which must not refer to the exception.
        del job, future, error

    def _leave(self, jobs: SimpleQueue[Job | None]) -> bool:
        """Return False if the event loop has already taken this thread from the idle ones: something arrives."""
        try:
            self.idle.remove(jobs)
        except ValueError:
            return False
        return True

    def _wake(self) -> None:
        # Appended before this check, and delivered after the flag is cleared: no result is missed.
        if not self.woken:
            self.woken = True
            self.call_soon(self._deliver)

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call `call` in the thread of the event loop, unless that is closed. Called by worker threads."""
        try:
            self.loop.call_soon_threadsafe(call)
        except RuntimeError:
            if not self.loop.is_closed():
                raise

    def _deliver(self) -> None:
        self.woken = False
        done = self.done
        while done:
            future, result, error = done.popleft()
            if future.done():  # its task was cancelled
                limiter, borrower = self.abandoned.pop(future, (None, None))
                if limiter is not None:
                    limiter.release_on_behalf_of(borrower)
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


async def _stop_at_shutdown(pool: weakref.ref[Pool]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        stopped = pool()
        if stopped is not None:
            stopped.stop()


class _Local(threading.local):
    """The pool of the event loop that ran last in a thread. A dictionary of loops would keep unclosed loops alive."""

    pool: Pool | None = None


_local = _Local()
_pools: set[weakref.ref[Pool]] = set()


def current_pool() -> Pool | None:
    """Return the pool of the running asyncio event loop, or None if anyio's threads must be used, as on trio."""
    # Fast path: copies `anyio.to_thread.run_sync`; 64 % less time (bench: hello-sync).
    if anyio.to_thread.run_sync is not _STOCK_RUN_SYNC:
        return None
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    if task is None:
        return None  # trio as a guest of asyncio
    loop = task.get_loop()
    pool = _local.pool
    return pool if pool is not None and pool.loop is loop else _open_pool(loop)


def _open_pool(loop: asyncio.AbstractEventLoop) -> Pool | None:
    internals = _internals()
    if internals is None:
        return None
    if _local.pool is not None:
        _local.pool.close()
    pool = _local.pool = Pool(loop, internals)
    _pools.add(weakref.ref(pool, _pools.discard))
    return pool


def _open_pools() -> list[Pool]:
    return [pool for pool in [reference() for reference in list(_pools)] if pool is not None]


def _stop_all() -> None:
    """Let the interpreter exit without waiting for idle threads."""
    for pool in _open_pools():
        pool.stop()


def _forget_all() -> None:
    """In the child of a fork, which has none of the threads."""
    _local.pool = None
    for pool in _open_pools():
        pool.idle.clear()
        pool.close()


# Before the interpreter waits for its threads. The function for that is private, and without it an exit takes up to
# `IDLE_SECONDS`.
getattr(threading, "_register_atexit", atexit.register)(_stop_all)
if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_forget_all)
