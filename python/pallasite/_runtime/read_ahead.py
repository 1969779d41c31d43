"""Iterate in worker threads, several items per call where they are ready, so that an item does not cost a call each.

A call fetches items until one of the limits below is reached. Items are passed on when it returns. If it does not
return within a millisecond, because an iterator that was fast is now slow, items are passed on as soon as there are any
and the call goes on meanwhile. An iterator that blocks for every item is therefore called once per item.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel

from pallasite._runtime.worker_threads import Pool, run_sync

__all__ = ["ReadAhead"]

T = TypeVar("T")

#: A call fetches at most this many items,
MOST_ITEMS = 8
#: or, after this many bytes or characters, no more,
MOST_BYTES = 256 * 1024
#: or no more after this long.
MOST_SECONDS = 0.0002
#: Items wait no longer than this for the call to return.
SECONDS_TO_WAIT = 0.001


class ReadAhead(Generic[T]):
    """The items of a blocking iterator, on asyncio.

    Attributes:
        ready: the items that have been fetched. The caller removes them.
    """

    def __init__(self, items: Iterator[T], pool: Pool) -> None:
        self.ready: deque[T] = deque()
        self._items = items
        self._pool = pool
        # The same for all items: context variables that a generator sets keep their values.
        self._context = pool.new_context()
        self._call: _Call | None = None
        self._has_started = False
        self._closing = False
        # Written by the worker thread, and read by the event loop's when no call is in progress.
        self._ended = False
        self._error: BaseException | None = None

    async def fetch(self) -> bool:
        """Wait for items. Return False if there are no more, or raise what the iterator raised."""
        while not self.ready:
            if self._ended and self._call is None:
                self._raise()
                return False
            await self._call_or_wait()
        return True

    async def close(self) -> None:
        """Wait for the call in progress and close a generator that has not ended, shielded from cancel scopes."""
        if self._call is None and (self._ended or not self._has_started):
            return
        with anyio.CancelScope(shield=True):
            self._closing = True
            if self._call is not None:
                await self._call_or_wait()
            if not self._ended and isinstance(self._items, Generator):
                await run_sync(self._context.run, self._close_generator)
        self._raise()

    async def _call_or_wait(self) -> None:
        """Start a call, or wait further for the one in progress, until it returns or there are items."""
        task = asyncio.current_task()
        assert task is not None
        scope = self._pool.scope_of(task)
        if scope is not None:
            await anyio.lowlevel.checkpoint_if_cancelled()
        elif task.cancelling():
            await asyncio.sleep(0)  # raises if the cancellation is still to come
        timer = None
        call = self._call
        if call is None:
            call = _Call(self._pool)
            await call.acquire()
            self._call = call
            self._has_started = True
        try:
            if call.late is None:
                waited_for = self._start(call, scope)
                timer = self._pool.loop.call_later(SECONDS_TO_WAIT, self._pass_on, call, waited_for)
            else:
                waited_for = call.late
            if scope is None:
                await waited_for
            else:
                with anyio.CancelScope(shield=True):
                    await waited_for
        finally:
            if timer is not None:
                timer.cancel()
            if not call.goes_on():
                self._call = None
                call.release()

    def _start(self, call: _Call, scope: Any) -> asyncio.Future[None]:
        try:
            return self._pool.submit(self._work, (call,), scope, self._context, always=True)
        except BaseException:
            call.has_returned = True  # no thread could be started
            raise

    def _pass_on(self, call: _Call, waited_for: asyncio.Future[None]) -> None:
        if self.ready and not waited_for.done() and call.goes_on():
            waited_for.set_result(None)

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # an exception refers to this frame

    def _work(self, call: _Call) -> None:
        """Fetch items, in a worker thread."""
        items, ready = self._items, self.ready
        end = perf_counter() + MOST_SECONDS
        size = 0
        try:
            for count, item in enumerate(items, 1):
                ready.append(item)
                if isinstance(item, (bytes, str)):
                    size += len(item)
                if count == MOST_ITEMS or size >= MOST_BYTES or self._closing or perf_counter() >= end:
                    break
            else:
                self._ended = True
            if self._closing:
                self._close_generator()
        except BaseException as error:
            self._ended = True
            self._error = error
        call.report()

    def _close_generator(self) -> None:
        self._ended = True
        if isinstance(self._items, Generator):
            self._items.close()


class _Call:
    """One call in a worker thread, which holds a token of the limiter until it returns.

    The threads meet in `has_returned` and `late`: each writes one before it reads the other, so at least one notices.

    Attributes:
        has_returned: whether the iterator is free again.
        late: set when the call returns, if the event loop went on before.
    """

    def __init__(self, pool: Pool) -> None:
        self.has_returned = False
        self.late: asyncio.Future[None] | None = None
        self._pool = pool
        self._holds_token = False

    async def acquire(self) -> None:
        try:
            self._pool.limiter.acquire_on_behalf_of_nowait(self)
        except anyio.WouldBlock:
            await self._pool.limiter.acquire_on_behalf_of(self)
        self._holds_token = True

    def release(self) -> None:
        if self._holds_token:
            self._holds_token = False
            self._pool.limiter.release_on_behalf_of(self)

    def goes_on(self) -> bool:
        """Return False if the call has returned. Otherwise `late` will be set when it does."""
        if self.has_returned:
            return False
        if self.late is None or self.late.cancelled():
            self.late = self._pool.loop.create_future()
        return not self.has_returned

    def report(self) -> None:
        """Report the return, in the worker thread."""
        self.has_returned = True
        if self.late is not None:
            self._pool.call_soon(self._set_late)

    def _set_late(self) -> None:
        self.release()
        if self.late is not None and not self.late.done():
            self.late.set_result(None)
