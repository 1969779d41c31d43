"""One request to an application and its response, shared by the thread of the event loop and that of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from queue import SimpleQueue
from typing import Any, Literal, cast

import anyio
import anyio.lowlevel

from pallasite._testing.loops import EventLoopThread, LoopPool
from pallasite.types import Message, Receive, Scope, Send

__all__ = ("Call", "Exchange")


class Exchange:
    """One request and the application's response.

    The thread of the event loop uses the async methods, `grant` and `cancel`; the client's thread uses the rest.

    The client waits on `news`. It receives True when the response starts, each chunk of a body that is read as it
    arrives, and finally None when the application has returned.
    """

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, body: bytes, *, read_whole: bool
    ) -> None:
        self.app = app
        self.scope = scope
        self.news: SimpleQueue[bytes | Literal[True] | None] = SimpleQueue()
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.trailers: list[tuple[bytes, bytes]] | None = None
        self.debug_info: dict[str, Any] | None = None
        self.failure: BaseException | None = None
        self.left_behind = True
        self._body: bytes | None = body
        self._read_whole = read_whole
        self._body_sent = False
        self._complete = False
        self._completion: anyio.Event | None = None
        self._cancelled = False
        self._scope: anyio.CancelScope | None = None
        self._demand: anyio.Semaphore | None = None

    async def run(self, loop: EventLoopThread) -> None:
        """Run the application until it returns."""
        self._demand = None if self._read_whole else anyio.Semaphore(0)
        try:
            with anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                await self.app(self.scope, self.receive, self.send)
        except BaseException as exc:
            self.failure = exc  # re-raised in the client's thread
        finally:
            # A failure that is not an Exception may have ended the loop as well.
            self.left_behind = not isinstance(self.failure, Exception | None) or loop.has_leftovers()
            loop.on_death.discard(self.lost)
            self.news.put(None)

    async def receive(self) -> Message:
        """Return the request's body, then, once the response is complete, the disconnect."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body}
        if not self._complete:
            if self._completion is None:
                self._completion = anyio.Event()
            await self._completion.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Accept one message of the response.

        Raises:
            AssertionError: the message is out of order.
        """
        kind = message["type"]
        if kind == "http.response.body":
            await self._take_body(bytes(message.get("body", b"")), message.get("more_body", False))
        elif kind == "http.response.start":
            assert self.status is None, 'Received multiple "http.response.start" messages.'
            self.headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self.trailers = [] if message.get("trailers", False) else None
            self.status = message["status"]
            if not self._read_whole:
                self.news.put(True)
        elif kind == "http.response.trailers":
            assert self.trailers is not None, 'Received "http.response.trailers" without declaring trailers.'
            assert self._body_sent, 'Received "http.response.trailers" before body completed.'
            assert not self._complete, 'Received "http.response.trailers" after response completed.'
            self.trailers.extend(message.get("headers", ()))
            if not message.get("more_trailers", False):
                self._finish_response()
        elif kind == "http.response.debug":
            self.debug_info = message["info"]

    async def _take_body(self, chunk: bytes, more: bool) -> None:
        assert self.status is not None, 'Received "http.response.body" without "http.response.start".'
        assert not self._complete, 'Received "http.response.body" after response completed.'
        assert not self._body_sent, 'Received "http.response.body" after body completed.'
        if self._demand is not None:
            await self._demand.acquire()
            self.news.put(chunk)
        else:
            self.chunks.append(chunk)
            if more:
                await anyio.lowlevel.checkpoint()  # otherwise an endless body could never be cancelled
        if not more:
            self._body_sent = True
            if self.trailers is None:
                self._finish_response()

    def _finish_response(self) -> None:
        self._complete = True
        if self._completion is not None:
            self._completion.set()

    def grant(self) -> None:
        """Allow the application to send one more chunk."""
        assert self._demand is not None
        self._demand.release()

    def cancel(self, *, only_incomplete: bool = False) -> None:
        """Cancel the application. With `only_incomplete`, do nothing if only its background work is left."""
        if only_incomplete and self._complete:
            return
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    def lost(self, cause: BaseException | None) -> None:
        """Give up, because the thread of the event loop ended while the application was running."""
        self.failure = cause or RuntimeError("The event loop of the test client ended before the application did")
        self.news.put(None)


class Call:
    """The client's side of an exchange: the loop it runs on, and the cleanup at its end."""

    def __init__(
        self,
        exchange: Exchange,
        loop: EventLoopThread,
        pool: LoopPool | None,
        *,
        open_calls: set[Call],
        raise_failure: bool,
    ) -> None:
        self.exchange = exchange
        self._loop = loop
        self._pool = pool
        self._open_calls = open_calls
        self._raise_failure = raise_failure
        self._ended = False

    def begin(self) -> bool:
        """Start the application and wait for its response. Return False if it has already returned."""
        self._loop.on_death.add(self.exchange.lost)
        try:
            self._loop.start(self.exchange.run, self._loop)
        except BaseException:
            self._give_back(left_behind=True)
            raise
        self._open_calls.add(self)
        try:
            self._hear()
        except BaseException:  # Ctrl-C, most likely
            self._stop(only_incomplete=False)
            raise
        return not self._ended

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, each chunk as soon as the application sends it, and none before it is requested."""
        while not self._ended:
            self._loop.call_soon(self.exchange.grant)
            chunk = self._hear()
            if chunk:
                yield cast(bytes, chunk)
        self.end()

    def end(self) -> None:
        """Cancel the application if its response is incomplete, wait for it, and raise its exception, if any."""
        self._stop(only_incomplete=True)
        self.report_failure()

    def abort(self) -> None:
        """Cancel the application and its background work, wait for it, and raise its exception, if any."""
        self._stop(only_incomplete=False)
        self.report_failure()

    def report_failure(self) -> None:
        """Raise the application's exception, once, if the client is configured to."""
        failure, self.exchange.failure = self.exchange.failure, None
        if failure is None or not self._raise_failure:
            return
        try:
            if isinstance(failure, asyncio.CancelledError):  # must not cancel the client's own task
                raise CancelledError from failure
            raise failure
        finally:
            del failure  # its traceback would refer to this frame, and this frame to it

    def _stop(self, *, only_incomplete: bool) -> None:
        if not self._ended:
            self._loop.call_soon(lambda: self.exchange.cancel(only_incomplete=only_incomplete))
        while not self._ended:
            self._hear()

    def _hear(self) -> bytes | Literal[True] | None:
        news = self.exchange.news.get()
        if news is None:
            self._ended = True
            self._open_calls.discard(self)
            self._give_back(left_behind=self.exchange.left_behind)
        return news

    def _give_back(self, *, left_behind: bool) -> None:
        if self._pool is not None:
            self._pool.give_back(self._loop, left_behind=left_behind)
