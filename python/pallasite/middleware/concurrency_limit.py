"""A limit on how many requests run at the same time.

A server that accepts everything gets slower with each request, until all of them time out. Under a limit, those that
are accepted take their usual time, and the others are told to come back.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Hashable

import anyio
from anyio.lowlevel import RunVar

from pallasite._runtime.seconds import check_seconds
from pallasite.exceptions import HTTPException
from pallasite.problems import refuse
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["ConcurrencyLimitMiddleware", "ServerBusy"]


class ServerBusy(HTTPException):
    """As many requests as the limit allows are running, and the queue is full or too slow."""

    def __init__(self, retry_after: float, status_code: int = 503) -> None:
        # Clients that were refused at the same time do not all come back at the same time.
        seconds = max(1, round(retry_after * random.uniform(0.8, 1.2)))
        headers = {"Retry-After": str(seconds)}
        super().__init__(status_code, detail="The server is busy. Try again later.", headers=headers)


class ConcurrencyLimitMiddleware:
    """Run at most `limit` requests and WebSockets at the same time. Let some more wait, and refuse the rest.

    A request has its place before its body is read, and until its response has ended, streams included. A WebSocket has
    its place until it is closed. Requests that wait get a place in the order in which they came. The limit holds for
    each event loop: a server with four workers runs four times as many.

    Args:
        limit: how many requests may run at the same time.
        queue: how many more may wait for a place.
        queue_seconds: the longest that a request may wait, in seconds.
        key: a function of the scope. Requests with the same key share a limit and a queue, such as those of one user.
            Requests for which it returns None are not limited.
        status: the status code of the refusal.
        retry_after: the seconds in the `Retry-After` field of a refusal, more or less a fifth.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        queue: int = 0,
        queue_seconds: float = 1.0,
        key: Callable[[Scope], Hashable] | None = None,
        status: int = 503,
        retry_after: float = 1.0,
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit!r}")
        if queue < 0:
            raise ValueError(f"queue must be 0 or more, not {queue!r}")
        if not 400 <= status <= 599:
            raise ValueError(f"status must be that of an error (400 to 599), not {status!r}")
        if not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after must be a number of seconds, not {retry_after!r}")
        check_seconds("queue_seconds", queue_seconds)
        self.app = app
        self.limit = limit
        self.queue = queue
        self.queue_seconds = queue_seconds
        self.key = key
        self.status = status
        self.retry_after = retry_after
        self._lines: RunVar[dict[Hashable, _Line]] = RunVar("pallasite.concurrency_limit")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        key: Hashable = ""
        if self.key is not None:
            key = self.key(scope)
            if key is None:
                await self.app(scope, receive, send)
                return
        lines = self._lines_of_this_loop()
        line = lines.get(key)
        if line is None:
            line = lines[key] = _Line()
        if line.running < self.limit:
            line.running += 1
        elif len(line.waiting) >= self.queue or not await self._wait(lines, key, line):
            await refuse(ServerBusy(self.retry_after, self.status), scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            _leave(lines, key, line)

    def _lines_of_this_loop(self) -> dict[Hashable, _Line]:
        try:
            return self._lines.get()
        except LookupError:
            lines: dict[Hashable, _Line] = {}
            self._lines.set(lines)
            return lines

    async def _wait(self, lines: dict[Hashable, _Line], key: Hashable, line: _Line) -> bool:
        """Wait for a place. Return False if there is none in time."""
        waiter = _Waiter()
        line.waiting.append(waiter)
        try:
            with anyio.move_on_after(self.queue_seconds):
                await waiter.called.wait()
        except BaseException:
            if waiter.has_place:
                _leave(lines, key, line)  # cancelled after it got the place, and before it knew
            else:
                line.waiting.remove(waiter)
            raise
        if not waiter.has_place:
            line.waiting.remove(waiter)
        return waiter.has_place


class _Line:
    """The requests with one key."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[_Waiter] = deque()


class _Waiter:
    __slots__ = ("called", "has_place")

    def __init__(self) -> None:
        self.called = anyio.Event()
        self.has_place = False


def _leave(lines: dict[Hashable, _Line], key: Hashable, line: _Line) -> None:
    """Give the place of a request that has ended to the one that has waited longest, if any."""
    if line.waiting:
        waiter = line.waiting.popleft()
        waiter.has_place = True
        waiter.called.set()
        return
    line.running -= 1
    if not line.running:
        del lines[key]  # a key without requests takes no memory
