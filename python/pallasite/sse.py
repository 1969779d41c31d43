"""Server-Sent Events: a response that stays open and sends events as they happen.

Source: WHATWG HTML Living Standard, section 9.2.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from pallasite._http.json import encode
from pallasite._http.text import encode_text
from pallasite._responses.base import denial_send, iterate
from pallasite._runtime import signals
from pallasite._runtime.disconnect import wait_for_disconnect
from pallasite._utils import create_collapsing_task_group
from pallasite.background import BackgroundTask
from pallasite.concurrency import EXHAUSTED
from pallasite.responses import Content, StreamingResponse
from pallasite.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from pallasite.requests import HTTPConnection

__all__ = ["EventSourceResponse", "ServerSentEvent", "end_streams", "end_streams_on_shutdown", "last_event_id"]

# Proxies and load balancers close idle connections. The shortest of their usual limits is 30 s.
PING_SECONDS = 15.0
# Limit for the clean-up of a cancelled iterable, and for a client that has stopped reading, at the end of a stream.
CLOSE_SECONDS = 5.0
# An iterable that never waits yields to the event loop this often.
_LONGEST_TURN_SECONDS = 0.01

_PING = b": ping\n\n"
_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines splits at others, which are not line ends in an event stream
_FORBIDDEN_IN_LINE = re.compile(r"[\r\n\0]")
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

_logger = logging.getLogger("pallasite.sse")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """An event, or a block without data that carries other fields.

    Attributes:
        data: text of any number of lines, or another value to send as JSON. Line ends (CRLF, CR, LF) reach the client
            as LF. With None no data is sent: the client processes the other fields but dispatches no event.
        event: the event type, for which clients add listeners; "message" if None.
        id: sent by the client as `Last-Event-ID` when it reconnects; "" clears the last one.
        retry: the client's delay before it reconnects, in milliseconds.
        comment: text that clients ignore.

    Raises:
        ValueError: `id` or `event` contains CR, LF or NUL, or `retry` is negative.
        TypeError: a field has the wrong type.
    """

    data: Any = None
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.event is not None:
            _check_line("event", self.event, str)
        if self.id is not None:
            _check_line("id", self.id, (str, int))
        if self.retry is not None:
            _check_type("retry", self.retry, int)
            if self.retry < 0:
                raise ValueError(f"retry must be a number of milliseconds, 0 or more, got {self.retry}")
        if self.comment is not None:
            _check_type("comment", self.comment, str)

    def encode(self) -> bytes:
        """Return the event as bytes, including its closing empty line. Lone surrogates become U+FFFD.

        Raises:
            TypeError: `data` is neither text nor a JSON value.
            ValueError: the same.
        """
        lines = [] if self.comment is None else [f": {line}" for line in _LINE_END.split(self.comment)]
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else encode(self.data).decode()
            if "\n" in text or "\r" in text:
                lines += [f"data: {line}" for line in _LINE_END.split(text)]
            else:
                lines.append(f"data: {text}")
        lines.append("\n")
        return encode_text("\n".join(lines), "utf-8")


class EventSourceResponse(StreamingResponse):
    """A response that sends the events of an iterable.

    An async iterable runs on the event loop, any other in worker threads. The next item is requested once the server
    has taken the one before.

    Each item is one of:

    - a `ServerSentEvent`
    - text, sent as data
    - bytes, sent unchanged: encode once with `ServerSentEvent.encode`, send to many clients
    - any other value, such as a dict, sent as JSON data

    The stream ends with the iterable, when the client goes away, and when the server stops. In the last two cases the
    iterable is cancelled, and closed if it is a generator or has `aclose` or `close`; that may take `CLOSE_SECONDS`.
    The background task runs in all three cases. An iterable that raises aborts the response.

    `cache-control: no-store` and `x-accel-buffering: no` are set unless `headers` contains them.

    Args:
        ping_seconds: a comment is sent whenever nothing was sent for this long. None sends no comments.
        farewell: an item that is sent last if the stream ends because the server stops, such as
            ``ServerSentEvent(retry=5000)``.

    Raises:
        TypeError: `content` is a single event rather than an iterable of events.
        ValueError: `ping_seconds` is not above 0.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        ping_seconds: float | None = PING_SECONDS,
        *,
        farewell: Any = None,
    ) -> None:
        if isinstance(content, (str, bytes, bytearray, memoryview, Mapping, ServerSentEvent)):
            raise TypeError(f"content must be an iterable of events, got {type(content).__name__}")
        if ping_seconds is not None and not ping_seconds > 0:
            raise ValueError(f"ping_seconds must be above 0, or None for no pings, got {ping_seconds}")
        self.ping_seconds = ping_seconds
        self.farewell = b"" if farewell is None else _encode(farewell)
        super().__init__(_Blocks(content), status_code, headers, None, background)
        for name, value in _HEADERS.items():
            self.headers.setdefault(name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            send = denial_send(scope, send)
        connection = _Connection(send)
        blocks = aiter(self.body_iterator)
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await connection.send(start)
            if scope.get("method") != "HEAD" and not connection.gone:
                await self._send_events(connection, blocks, receive)
        finally:
            await _close(blocks)
        if not connection.gone:
            with anyio.move_on_after(CLOSE_SECONDS):
                last = self.farewell if connection.stopped else b""
                await connection.send({"type": "http.response.body", "body": last, "more_body": False})
        if self.background is not None:
            await self.background()

    async def _send_events(self, connection: _Connection, blocks: AsyncIterator[Content], receive: Receive) -> None:
        async with create_collapsing_task_group() as group:
            connection.stop = group.cancel_scope.cancel
            with signals.ends_with_server(connection.stop_with_server), anyio.CancelScope() as scope:
                group.start_soon(connection.listen, receive)
                if self.ping_seconds is not None:
                    group.start_soon(connection.ping, self.ping_seconds)
                try:
                    await connection.send_all(blocks)
                finally:
                    # Cancelled or failed. Shield `scope`, because the iterable's own cancel scopes are nested in it.
                    # A new scope, opened here, would be closed in the wrong order.
                    scope.shield = True
                    scope.deadline = anyio.current_time() + CLOSE_SECONDS
                    await _close(blocks)
            group.cancel_scope.cancel()


def last_event_id(connection: HTTPConnection) -> str | None:
    """Return the id of the last event that a reconnecting client has received; None for a new client.

    Source: WHATWG HTML section 9.2.4: the header is UTF-8.
    """
    value = connection.headers.get("last-event-id")
    return value.encode("latin-1").decode("utf-8", "replace") if value else None


def end_streams() -> None:
    """End every open event stream of this process. May be called in any thread and in signal handlers."""
    signals.end_all()


@contextmanager
def end_streams_on_shutdown() -> Iterator[None]:
    """Watch for SIGINT and SIGTERM inside the block, and end all streams at its end. For use in a lifespan.

    Open streams watch for the signals in any case. With this, a stream that starts after the signal, for a request
    that the server had already accepted, also ends immediately.
    """
    with signals.signals_watched():
        try:
            yield
        finally:
            end_streams()


def _check_type(name: str, value: object, allowed: type | tuple[type, ...]) -> None:
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise TypeError(f"{name} of an event cannot be {value!r}")


def _check_line(name: str, value: object, allowed: type | tuple[type, ...]) -> None:
    _check_type(name, value, allowed)
    if _FORBIDDEN_IN_LINE.search(str(value)):
        raise ValueError(f"{name} of an event must not contain CR, LF or NUL, got {value!r}")


def _encode(item: Any) -> bytes:
    if isinstance(item, ServerSentEvent):
        return item.encode()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return ServerSentEvent("null" if item is None else item).encode()


class _Connection:
    """The connection to one client: sends one message at a time, and records whether the client is gone."""

    def __init__(self, send: Send) -> None:
        self.gone = False
        self.stopped = False  # because the server stops
        self.stop: Any = None
        self._send = send
        self._last_sent = time.monotonic()
        # A lock for the two senders, at a tenth of the 3 us of anyio.Lock. `ping` sets an event here for `send_all` to
        # wait for, and sends nothing while `send_all` is sending.
        self._is_sending = False
        self._pinging: anyio.Event | None = None

    def stop_with_server(self) -> None:
        self.stopped = True
        self.stop()

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # from ASGI 2.4 on, servers report a disconnect this way: the normal end of a stream
            self.gone = True
        self._last_sent = time.monotonic()

    async def send_all(self, blocks: AsyncIterator[Content]) -> None:
        """Send each block as soon as it is available, until the last one or until the client is gone."""
        turn_began = time.monotonic()
        async for block in blocks:
            if isinstance(block, str):  # from a `body_iterator` that wraps ours
                block = encode_text(block, "utf-8")
            if self._pinging is not None:
                await self._pinging.wait()
            self._is_sending = True
            await self.send({"type": "http.response.body", "body": block, "more_body": True})
            self._is_sending = False
            if self.gone:
                return
            if self._last_sent - turn_began > _LONGEST_TURN_SECONDS:
                await anyio.lowlevel.checkpoint()
                turn_began = time.monotonic()
        if self._pinging is not None:  # do not cut off a ping
            await self._pinging.wait()

    async def ping(self, seconds: float) -> None:
        """Send a comment whenever nothing else was sent for `seconds`."""
        while not self.gone:
            quiet = time.monotonic() - self._last_sent
            if quiet < seconds:
                await anyio.sleep(seconds - quiet)
            elif self._is_sending:  # to a client that does not read: a ping would wait too
                await anyio.sleep(seconds)
            else:
                self._pinging = anyio.Event()
                await self.send({"type": "http.response.body", "body": _PING, "more_body": True})
                self._pinging.set()
                self._pinging = None
        self.stop()

    async def listen(self, receive: Receive) -> None:
        """End the stream when the client disconnects."""
        await wait_for_disconnect(receive)
        self.gone = True
        self.stop()


class _Blocks:
    """The items of an iterable, encoded to bytes."""

    __slots__ = ("_items",)

    def __init__(self, content: AsyncIterable[Any] | Iterable[Any]) -> None:
        self._items: AsyncIterator[Any]
        if isinstance(content, AsyncIterable):
            self._items = aiter(content)
        elif isinstance(content, (list, tuple)):
            self._items = iterate(content)
        else:
            self._items = _ThreadIterator(iter(content))

    def __aiter__(self) -> _Blocks:
        return self

    async def __anext__(self) -> bytes:
        return _encode(await anext(self._items))

    async def aclose(self) -> None:
        await _close(self._items)


class _ThreadIterator(AsyncIterator[Any]):
    """A blocking iterator, advanced in worker threads.

    A blocked thread cannot be stopped. It is abandoned when the stream ends, and closes the iterator itself when the
    iterator returns.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._is_advancing = False
        self._is_closed = False

    async def __anext__(self) -> Any:
        item = await anyio.to_thread.run_sync(self._advance, abandon_on_cancel=True)
        if item is EXHAUSTED:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        with self._lock:
            closes_here = not (self._is_closed or self._is_advancing)
            self._is_closed = True
        if closes_here and hasattr(self._items, "close"):
            await anyio.to_thread.run_sync(self._items.close, abandon_on_cancel=True)

    def _advance(self) -> Any:
        with self._lock:
            if self._is_closed:
                return EXHAUSTED
            self._is_advancing = True
        try:
            return next(self._items, EXHAUSTED)
        finally:
            self._come_back()

    def _come_back(self) -> None:
        with self._lock:
            self._is_advancing = False
            was_left_behind = self._is_closed
        if was_left_behind and hasattr(self._items, "close"):
            try:
                self._items.close()
            except Exception:
                _logger.exception("an iterable of events raised while being closed")


async def _close(iterator: AsyncIterator[Any]) -> None:
    aclose = getattr(iterator, "aclose", None)
    if aclose is not None:
        await aclose()
