"""Gzip compression of responses. Source: RFC 9110 sections 8.4.1.3 and 12.5.3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import anyio
import anyio.lowlevel

from pallasite._core import GzipStream, coding_weight, find_header, header_values, names_strong_tag
from pallasite._core import gzip as compress
from pallasite._runtime.worker_threads import run_sync
from pallasite.datastructures import MutableHeaders
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["DEFAULT_EXCLUDED_CONTENT_TYPES", "GZipMiddleware", "GZipResponder", "IdentityResponder", "unattached_send"]

# Compressed already, or sent in chunks that must not be delayed. `/*` matches all subtypes.
DEFAULT_EXCLUDED_CONTENT_TYPES = (
    *(f"application/{name}" for name in ("grpc", "gzip", "x-gzip", "zip")),
    "audio/*",
    *(f"font/{name}" for name in ("woff", "woff2")),
    *(f"image/{name}" for name in ("avif", "gif", "jpeg", "png", "webp")),
    "text/event-stream",
    "video/*",
)

# In bytes. Compressing more takes about a millisecond or longer and would delay all other requests.
_THREAD_MINIMUM_SIZE = 128 * 1024

# Responses without a body (RFC 9110 section 6.4.1). Compressing an empty body would add one.
_BODILESS = frozenset((204, 205, 304))

# zlib's flush modes Z_SYNC_FLUSH and Z_FINISH.
_SYNC, _FINISH = 2, 4

# Compression has its own threads, so that it does not use up those for endpoints.
_MAX_THREADS = 40
_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("pallasite gzip threads")


class GZipMiddleware:
    """Compress responses with gzip for clients that accept it.

    Partial responses (206) and responses with a Content-Encoding are not compressed. Streams are flushed after every
    chunk. Responses that could have been compressed get `Vary: Accept-Encoding`. Compression turns a strong ETag into
    a weak one, because the bytes differ from those it was made for. The headers of 304 and of responses to HEAD are
    those of the compressed response, without its length.

    Args:
        minimum_size: in bytes; shorter responses are not compressed.
        compresslevel: zlib's level, from 0 (stored) to 9 (smallest); -1 is zlib's default, 6, and faster.
        thread_minimum_size: in bytes; chunks of this size or more are compressed in a worker thread.
        exclude_content_types: media types that are not compressed. By default, compressed formats and event streams.

    Raises:
        ValueError: `compresslevel` is out of range.

    Deviation: weights and `*` in Accept-Encoding count (RFC 9110 section 12.5.3). `gzip;q=0` is not compressed, `*` is.
    The responses to HEAD and 304 agree with that to GET (RFC 9110 sections 9.3.2 and 15.4.5).
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
            raise ValueError(f"compresslevel must be between -1 and 9, got {compresslevel}")
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
    """Handles one request without compression. A subclass compresses in `apply_compression`.

    The start of the response is held back until the first chunk of the body shows whether it must change.
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
        # The reasons not to compress, set at the start of the response.
        self.content_encoding_set = self.content_type_is_excluded = self.partial_response = False
        self._is_untouched = False
        self._is_head = False
        self._known_tags = ""  # the client's If-None-Match
        self._left: int | None = None  # remaining bytes of a body with a declared length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.send = send
        self._is_head = scope.get("method") == "HEAD"
        self._known_tags = ",".join(header_values(scope["headers"], "if-none-match"))
        await self.app(scope, receive, self.send_with_compression)

    async def send_with_compression(self, message: Message) -> None:
        """Send a message of the application, with the body compressed where needed."""
        kind = message["type"]
        if kind == "http.response.start":
            if self.initial_message:
                raise RuntimeError("The response was started twice")
            self.initial_message = message
            self._is_untouched = self._judge(message)
            if self._is_untouched:
                self._change_untouched_start()
                await self._send_start()
        elif kind == "http.response.body" and not self._is_untouched:
            await self._send_body(message)
        else:
            # A file that the server sends (pathsend, zerocopysend) is not compressed. Trailers follow the body, early
            # hints precede the start.
            if not self.started and self.initial_message and kind != "http.response.early_hint":
                self._is_untouched = True
                await self._send_start()
            await self.send(message)

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        """Return the bytes to send for a chunk. Without `more_body` it is the last chunk, perhaps the only one."""
        return body

    def _judge(self, start: Message) -> bool:
        """Return True if the response must not be compressed."""
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
            # Checked here because the server receives another length or none.
            self._left -= len(body)
            if self._left < 0 or (self._left and not more_body):
                relation = "longer" if self._left < 0 else "shorter"
                raise RuntimeError(f"Response body is {relation} than its Content-Length")
        if self.started:
            body = await self.apply_compression(body, more_body=more_body)
        elif self._is_head and not body and not more_body:
            self._change_start_of_head()
            await self._send_start()
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
        """Adapt the headers to the first chunk of the body."""
        has_length = not more_body and not self.initial_message.get("trailers", False)
        self._vary(is_changed=is_changed, length=len(body) if has_length else None)

    def _change_start_of_head(self) -> None:
        """Adapt the headers of a response to HEAD, whose content is not there, to those of GET."""
        declared = find_header(self.initial_message.get("headers", ()), "content-length")
        if declared is not None and declared.isdecimal() and int(declared[:20]) >= self.minimum_size:
            # The length would only be known after compression, so it is left out. Source: RFC 9110 section 9.3.2
            self._vary(is_changed=self._compresses, length=None)

    def _change_untouched_start(self) -> None:
        """Adapt the headers of a partial or not modified response to those of the whole one in its place."""
        start = self.initial_message
        if self.partial_response and not (self.content_encoding_set or self.content_type_is_excluded):
            self._vary(is_changed=False, length=None)
        elif start["status"] == 304:
            # Its content would be compressed if the client has it compressed. A client that does not say has either.
            tag = find_header(start.get("headers", ()), "etag") or ""
            is_known = bool(tag) and names_strong_tag(self._known_tags, tag)
            if not (self._compresses and is_known):
                self._vary(is_changed=False, length=None, is_weak=self._compresses)

    @property
    def _compresses(self) -> bool:
        return hasattr(self, "content_encoding")

    def _vary(self, *, is_changed: bool, length: int | None, is_weak: bool = False) -> None:
        """Say that the response depends on Accept-Encoding and, if it is changed, in what way."""
        start = self.initial_message
        # A response may be sent again, to another client: leave its own headers unchanged.
        headers = MutableHeaders(raw=list(start.get("headers", ())))
        headers.add_vary_header("Accept-Encoding")
        if is_changed:
            headers["Content-Encoding"] = self.content_encoding
            if length is None:
                del headers["Content-Length"]
            else:
                headers["Content-Length"] = str(length)
        etag = headers.get("etag")
        if (is_changed or is_weak) and etag is not None and not etag.startswith("W/"):
            headers["ETag"] = f"W/{etag}"
        self.initial_message = {**start, "headers": headers.raw}


class GZipResponder(IdentityResponder):
    """Handles one request and compresses the body."""

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
        """The compressor of the stream, created on first use. A body in one chunk does not need it."""
        if self._compressor is None:
            self._compressor = GzipStream(self.compresslevel)
        return self._compressor

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        """Return `body` compressed, and flushed if more follows."""
        if len(body) < self.thread_minimum_size:
            return self._compress(body, more_body)
        return await run_sync(self._compress, body, more_body, limiter=_thread_limiter())

    def _compress(self, body: bytes, more_body: bool) -> bytes:
        if self._compressor is None and not more_body:
            return compress(body, self.compresslevel)
        return self.compressor.compress(body, _SYNC if more_body else _FINISH)


async def unattached_send(message: Message) -> NoReturn:
    """A `send` for use before there is a request; it raises."""
    raise RuntimeError("send awaitable not set")


def _accepts_gzip(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    accepted = find_header(headers, "accept-encoding")
    if accepted is None:
        return False
    if accepted == "gzip, deflate, br, zstd":  # as browsers send it: no weights to parse
        return True
    return coding_weight(", ".join(header_values(headers, "accept-encoding")), "gzip") > 0


def _thread_limiter() -> anyio.CapacityLimiter:
    """Return the limiter of the running event loop."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_MAX_THREADS)
        _limiter.set(limiter)
    return limiter


def _media_types(content_types: Iterable[str]) -> tuple[str, ...]:
    return tuple(_media_type(content_type) for content_type in content_types)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
