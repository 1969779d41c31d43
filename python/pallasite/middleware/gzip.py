"""Compresses responses for the clients that accept gzip. Source: RFC 9110 section 8.4.1.3 and 12.5.3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import anyio
import anyio.lowlevel
import anyio.to_thread

from pallasite._core import GzipStream, coding_weight, find_header, header_values
from pallasite._core import gzip as compress
from pallasite.datastructures import MutableHeaders
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["DEFAULT_EXCLUDED_CONTENT_TYPES", "GZipMiddleware", "GZipResponder", "IdentityResponder", "unattached_send"]

# Compressed already, or sent in pieces that must not wait; a type with `/*` stands for all its subtypes.
DEFAULT_EXCLUDED_CONTENT_TYPES = (
    *(f"application/{name}" for name in ("grpc", "gzip", "x-gzip", "zip")),
    "audio/*",
    *(f"font/{name}" for name in ("woff", "woff2")),
    *(f"image/{name}" for name in ("avif", "gif", "jpeg", "png", "webp")),
    "text/event-stream",
    "video/*",
)

# In bytes: what takes about a millisecond or more would hold up every other request.
_THREAD_MINIMUM_SIZE = 128 * 1024

# Responses that have no body (RFC 9110 section 6.4.1): a gzip of nothing would be one.
_BODILESS = frozenset((204, 205, 304))

# zlib's names for "all of it now" and "and this was the end".
_SYNC, _FINISH = 2, 4

# Threads that compress are not taken from those that run functions for endpoints.
_MAX_THREADS = 40
_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("pallasite gzip threads")


class GZipMiddleware:
    """Compresses responses with gzip where the client accepts it.

    Responses below `minimum_size` bytes stay as they are, and so do parts of files (206), responses that have a
    Content-Encoding, and the `exclude_content_types`: compressed formats and event streams by default. `compresslevel`
    is zlib's: from 0 (stored) over -1 (6, quicker) to 9 (smallest). Streams are flushed with every piece. Pieces from
    `thread_minimum_size` bytes on are compressed on a worker thread.

    What could have been compressed says `Vary: Accept-Encoding`, and a strong ETag of something compressed becomes
    a weak one, since the bytes are no longer those it was made for.

    Raises:
        ValueError: there is no such level.

    Deviation: weights and `*` in Accept-Encoding count (RFC 9110 section 12.5.3): not for `gzip;q=0`, but for `*`.
    """

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int = 500,
        compresslevel: int = 9,
        thread_minimum_size: int = _THREAD_MINIMUM_SIZE,
        *,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        if not -1 <= compresslevel <= 9:
            raise ValueError(f"compresslevel is from -1 to 9, not {compresslevel}")
        self.app = app
        self.minimum_size = minimum_size
        self.compresslevel = compresslevel
        self.thread_minimum_size = thread_minimum_size
        self.exclude_content_types = _media_types(exclude_content_types)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        responder: IdentityResponder
        excluded = self.exclude_content_types
        if _accepts_gzip(scope["headers"]):
            responder = GZipResponder(
                self.app,
                self.minimum_size,
                self.compresslevel,
                thread_minimum_size=self.thread_minimum_size,
                exclude_content_types=excluded,
            )
        else:
            responder = IdentityResponder(self.app, self.minimum_size, exclude_content_types=excluded)
        await responder(scope, receive, send)


class IdentityResponder:
    """Answers one request without compressing; a subclass compresses in `apply_compression`.

    The start of the response is kept back until its body shows whether it changes.
    """

    content_encoding: str

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int,
        *,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        self.app, self.minimum_size = app, minimum_size
        self.exclude_content_types = _media_types(exclude_content_types)
        self.send: Send = unattached_send
        self.initial_message: Message = {}
        self.started = False  # whether the start has been sent
        # Why the response is left alone, known once it has started.
        self.content_encoding_set = self.content_type_is_excluded = self.partial_response = False
        self._is_untouched = False
        self._is_head = False
        self._left: int | None = None  # what is still to come of a body whose length was declared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.send = send
        self._is_head = scope.get("method") == "HEAD"
        await self.app(scope, receive, self.send_with_compression)

    async def send_with_compression(self, message: Message) -> None:
        """Sends a message of the application, a body compressed if it is to be."""
        kind = message["type"]
        if kind == "http.response.start":
            if self.initial_message:
                raise RuntimeError("The response was started twice")
            self.initial_message = message
            self._is_untouched = self._judge(message)
            if self._is_untouched:
                await self._send_start()
        elif kind == "http.response.body" and not self._is_untouched:
            await self._send_body(message)
        else:
            # A file that the server sends itself (pathsend, zerocopysend) is not compressed; trailers come after a
            # body, early hints before the start.
            if not self.started and self.initial_message and kind != "http.response.early_hint":
                self._is_untouched = True
                await self._send_start()
            await self.send(message)

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        """What to send for a piece of the body; with `more_body` false it is the last, and maybe the only one."""
        return body

    def _judge(self, start: Message) -> bool:
        """Whether the response goes through as it is."""
        status, headers = start["status"], start.get("headers", ())
        self.content_encoding_set = find_header(headers, "content-encoding") is not None
        self.partial_response = status == 206
        declared = find_header(headers, "content-length")
        if declared is not None and declared.isdecimal() and not self._is_head:
            self._left = int(declared)
        media_type = _media_type(find_header(headers, "content-type") or "")
        kinds = {media_type, media_type.partition("/")[0] + "/*"}
        if media_type.startswith("application/grpc+"):
            kinds.add("application/grpc")
        self.content_type_is_excluded = not kinds.isdisjoint(self.exclude_content_types)
        return (
            self.content_encoding_set or self.partial_response or self.content_type_is_excluded or status in _BODILESS
        )

    async def _send_start(self) -> None:
        self.started = True
        await self.send(self.initial_message)

    async def _send_body(self, message: Message) -> None:
        body, more_body = message.get("body", b""), message.get("more_body", False)
        if self._left is not None:
            # The server, which would notice, is told another length or none.
            self._left -= len(body)
            if self._left < 0 or (self._left and not more_body):
                raise RuntimeError("The body of the response is not as long as its Content-Length says")
        if self.started:
            body = await self.apply_compression(body, more_body=more_body)
        elif more_body or len(body) >= self.minimum_size:
            compressed = await self.apply_compression(body, more_body=more_body)
            self._change_start(compressed, more_body, is_changed=compressed != body)
            body = compressed
            await self._send_start()
        else:
            self._is_untouched = True
            await self._send_start()
        await self.send({**message, "body": body})

    def _change_start(self, body: bytes, more_body: bool, *, is_changed: bool) -> None:
        """Makes the head fit the first piece of the body."""
        start = self.initial_message
        # A response may be sent again, to another client: its own headers stay as they are.
        headers = MutableHeaders(raw=list(start.get("headers", ())))
        headers.add_vary_header("Accept-Encoding")
        if is_changed:
            headers["Content-Encoding"] = self.content_encoding
            if more_body or start.get("trailers", False):
                del headers["Content-Length"]
            else:
                headers["Content-Length"] = str(len(body))
            etag = headers.get("etag")
            if etag is not None and not etag.startswith("W/"):
                headers["ETag"] = f"W/{etag}"
        self.initial_message = {**start, "headers": headers.raw}


class GZipResponder(IdentityResponder):
    """Answers one request, compressing the body."""

    content_encoding = "gzip"

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int,
        compresslevel: int = 9,
        *,
        thread_minimum_size: int = _THREAD_MINIMUM_SIZE,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        super().__init__(app, minimum_size, exclude_content_types=exclude_content_types)
        self.compresslevel = compresslevel
        self.thread_minimum_size = thread_minimum_size
        self._compressor: GzipStream | None = None

    @property
    def compressor(self) -> GzipStream:
        """The stream's compressor, made when it is asked for; a body that comes whole needs none."""
        if self._compressor is None:
            self._compressor = GzipStream(self.compresslevel)
        return self._compressor

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        """`body` compressed, and flushed unless it is all there is."""
        if len(body) < self.thread_minimum_size:
            return self._compress(body, more_body)
        return await anyio.to_thread.run_sync(self._compress, body, more_body, limiter=_thread_limiter())

    def _compress(self, body: bytes, more_body: bool) -> bytes:
        if self._compressor is None and not more_body:
            return compress(body, self.compresslevel)
        return self.compressor.compress(body, _SYNC if more_body else _FINISH)


async def unattached_send(message: Message) -> NoReturn:
    """Stands for `send` until there is a request."""
    raise RuntimeError("send awaitable not set")


def _accepts_gzip(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    accepted = find_header(headers, "accept-encoding")
    if accepted is None:
        return False
    if accepted == "gzip, deflate, br, zstd":  # what browsers send: nothing to weigh
        return True
    return coding_weight(", ".join(header_values(headers, "accept-encoding")), "gzip") > 0


def _thread_limiter() -> anyio.CapacityLimiter:
    """The limiter of the running event loop."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_MAX_THREADS)
        _limiter.set(limiter)
    return limiter


def _media_types(content_types: Iterable[str]) -> tuple[str, ...]:
    return tuple(_media_type(content_type) for content_type in content_types)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
