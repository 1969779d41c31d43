"""Event loops in threads, kept for reuse. The test client runs applications on them."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from functools import cache, partial
from typing import Any

import anyio
import anyio.from_thread

try:
    from sniffio import current_async_library_cvar
except ModuleNotFoundError:  # recent versions of anyio do not need it
    current_async_library_cvar = None  # type: ignore[assignment]

from pallasite._runtime.callers import thread_caller

__all__ = ("EventLoopThread", "LoopPool", "shared_pool")


class _Portal(anyio.from_thread.BlockingPortal):
    """anyio's portal with one trip into the loop less per call. Also works in a thread that runs a trio loop."""

    def __init__(self, loop: EventLoopThread) -> None:
        super().__init__()
        self._loop = loop

    def _spawn_task_from_thread(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: object, future: Future[Any]
    ) -> None:
        def fail(cause: BaseException | None) -> None:
            future.cancel()

        self._loop.on_death.add(fail)
        future.add_done_callback(lambda _: self._loop.on_death.discard(fail))
        start = partial(self._task_group.start_soon, name=name)
        self._loop.call_soon_in_context(start, self._call_func, func, args, kwargs, future)


class EventLoopThread:
    """One running event loop. It starts when created; `stop` ends it."""

    def __init__(self, backend: str, options: dict[str, Any]) -> None:
        self.stopping = False
        # Called with the loop's last exception if it ends unexpectedly, so that no caller waits forever.
        self.on_death: set[Callable[[BaseException | None], None]] = set()
        self.portal: anyio.from_thread.BlockingPortal
        self._backend = backend
        self._options = options
        self._pid = os.getpid()
        # Generators being iterated. One that the application abandoned half-way is closed with the loop.
        self._generators: weakref.WeakSet[Any] = weakref.WeakSet()
        ready: Future[None] = Future()
        # Each call brings its own context. Without this argument Python 3.14 would copy the starting thread's.
        context: dict[str, Any] = {"context": Context()} if sys.version_info >= (3, 14) else {}
        name = f"pallasite-testclient-{backend}"
        self._thread = threading.Thread(target=self._main, args=(ready,), name=name, daemon=True, **context)
        self._thread.start()
        ready.result()

    @property
    def usable(self) -> bool:
        """True if the loop runs in this process. Threads do not survive a fork."""
        return not self.stopping and self._thread.is_alive() and self._pid == os.getpid()

    def call_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Schedule a call in the loop's thread. Calls keep their order.

        Raises:
            RuntimeError: the loop has ended, or this is the loop's own thread, which would wait for itself.
        """
        if threading.get_ident() == self._thread.ident:
            raise RuntimeError("The test client cannot be used from the event loop that it runs")
        if self._pid != os.getpid():
            raise RuntimeError("The test client was entered before a fork: its event loop stayed in the parent process")
        self._call_soon(function, *args)

    def start(self, function: Callable[..., Any], *args: Any) -> None:
        """Start a task that sees a copy of the caller's context variables."""
        self.call_soon_in_context(self._tasks.start_soon, function, *args)

    def call_soon_in_context(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function in the loop's thread with a copy of the caller's context variables."""
        context = copy_context()
        if current_async_library_cvar is not None:
            context.run(current_async_library_cvar.set, self._backend)
        self.call_soon(context.run, function, *args)

    def has_leftovers(self) -> bool:
        """Return True if the application left something running other than the current task, which calls this."""
        if any(generator.ag_frame is not None for generator in self._generators):
            return True
        if self._backend == "trio":
            return False  # tasks cannot outlive their nursery
        loop = asyncio.get_running_loop()
        # Jobs of the default executor cannot be distinguished from idle threads, so its mere presence counts.
        return (
            len(asyncio.all_tasks(loop)) > 2
            or getattr(loop, "_default_executor", None) is not None
            or loop.get_task_factory() is not None
            or loop.get_exception_handler() is not None
        )

    def stop(self, *, join: bool = True, cancel: bool = True) -> None:
        """End the loop as asyncio.run() does, cancelling tasks and closing generators. Waits for that by default.

        Without `cancel`, tasks of the portal are awaited first.
        """
        if self._pid != os.getpid():
            return
        if not self.stopping:
            self.stopping = True
            with suppress(RuntimeError):  # already ended
                self._call_soon(self._shut_down, cancel)
        if join and threading.current_thread() is not self._thread:
            self._thread.join()

    def _main(self, ready: Future[None]) -> None:
        cause: BaseException | None = None
        try:
            anyio.run(self._serve, ready, backend=self._backend, backend_options=self._options)
        except BaseException as exc:
            cause = exc
            if not ready.done():
                ready.set_exception(exc)
        finally:
            self.stopping = True
            for give_up in tuple(self.on_death):
                give_up(cause)

    async def _serve(self, ready: Future[None]) -> None:
        note, close = sys.get_asyncgen_hooks()
        assert note is not None, "both event loops have set one"

        def first_iteration(generator: Any) -> None:
            self._generators.add(generator)
            note(generator)

        self._call_soon = thread_caller()
        self._stop = anyio.Event()
        sys.set_asyncgen_hooks(first_iteration, close)
        async with _Portal(self) as self.portal, anyio.create_task_group() as self._tasks:
            ready.set_result(None)
            await self._stop.wait()
            self._tasks.cancel_scope.cancel()
            await self.portal.stop(cancel_remaining=self._cancel_portal)

    def _shut_down(self, cancel: bool) -> None:
        self._cancel_portal = cancel
        self._stop.set()


class LoopPool:
    """Idle loops of one backend.

    A loop serves one request at a time, so that requests cannot affect each other. It returns to the pool only if the
    application left nothing running on it.
    """

    def __init__(self, backend: str, options: dict[str, Any]) -> None:
        self.options = options  # kept alive, because the key in _pools contains their identities
        self._backend = backend
        self._idle: deque[EventLoopThread] = deque()
        self.loops: set[EventLoopThread] = set()
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        # Runs when the last client is gone. Must not wait for threads: garbage collection may run in one of them.
        weakref.finalize(self, _stop_loops, self.loops).atexit = False

    def join(self, user: object) -> None:
        """Add an object to those that keep the pool's loops running."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """Remove an object that no longer needs loops. The idle loops end with the last one."""
        self._users.discard(user)
        if not self._users:
            self.close()

    def close(self) -> None:
        """End the idle loops and wait for them."""
        while self._idle:
            self._end(self._idle.pop())

    @contextmanager
    def lease_portal(self) -> Generator[anyio.from_thread.BlockingPortal, None, None]:
        """Return a context manager for an anyio portal into one of the loops."""
        loop = self.take()
        try:
            yield loop.portal
        finally:
            left_behind = True
            with suppress(RuntimeError, CancelledError):  # the loop has died
                left_behind = loop.portal.call(loop.has_leftovers)
            self.give_back(loop, left_behind=left_behind)

    def take(self) -> EventLoopThread:
        """Return a loop for one request."""
        while self._idle:
            loop = self._idle.pop()
            if loop.usable:
                return loop
            self.loops.discard(loop)
        loop = EventLoopThread(self._backend, self.options)
        self.loops.add(loop)
        return loop

    def give_back(self, loop: EventLoopThread, *, left_behind: bool) -> None:
        """Return a loop after a request. With `left_behind` the loop ends, which cancels what is left on it."""
        if left_behind or not self._users:
            self._end(loop)
        else:
            self._idle.append(loop)

    def _end(self, loop: EventLoopThread) -> None:
        loop.stop()
        self.loops.discard(loop)


# Shared, because hundreds of clients that live as long as their test modules would otherwise each hold a thread and
# several file descriptors.
_pools: weakref.WeakValueDictionary[tuple[Any, ...], LoopPool] = weakref.WeakValueDictionary()
_pools_lock = threading.Lock()


def shared_pool(backend: str, options: dict[str, Any]) -> LoopPool:
    """Return the pool for this backend and these option objects. It lives as long as a client refers to it."""
    key = (backend, *sorted((name, id(value)) for name, value in options.items()))
    with _pools_lock:
        pool = _pools.get(key)
        if pool is None:
            _stop_loops_at_exit()
            pool = _pools[key] = LoopPool(backend, options)
    return pool


@cache
def _stop_loops_at_exit() -> None:
    # anyio's worker threads end with their loop and are not daemons, and the interpreter waits for them before it runs
    # atexit functions. Hence the earlier hook, which concurrent.futures uses for the same reason.
    getattr(threading, "_register_atexit", atexit.register)(_stop_pools)


def _stop_pools() -> None:
    for pool in list(_pools.values()):
        pool.close()
        _stop_loops(pool.loops)


def _stop_loops(loops: set[EventLoopThread]) -> None:
    for loop in tuple(loops):
        loop.stop(join=False)
