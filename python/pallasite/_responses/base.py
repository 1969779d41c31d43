"""Responses: ASGI applications that send one head and one body."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from pallasite._compat import mode
from pallasite._compat.stock import original
from pallasite._core import dumps, http_date, response_head
from pallasite._core import set_cookie as write_cookie
from pallasite._http.json import STOCK_DUMPS, encode
from pallasite._http.set_cookie import check_cross_site, check_prefix
from pallasite._http.text import encode_text
from pallasite._runtime.disconnect import reports_disconnect_on_send, run_until_disconnect
from pallasite.background import BackgroundTask
from pallasite.concurrency import iterate_in_threadpool
from pallasite.datastructures import URL, MutableHeaders
from pallasite.exceptions import ClientDisconnect
from pallasite.types import Message, Receive, Scope, Send

__all__ = [
    "AsyncContentStream",
    "Content",
    "ContentStream",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "SyncContentStream",
]

Content = str | bytes | memoryview
SyncContentStream = Iterable[Content]
AsyncContentStream = AsyncIterable[Content]
ContentStream = AsyncContentStream | SyncContentStream

# Characters that a URL's text may hold besides letters, digits and _.-~ without percent-encoding.
_URL_SAFE = ":/%#?=@[]!$&'()*+,;"


class Response:
    """A status, headers and a body held in memory.

    Subclasses set `media_type` and `charset`, override `render` to make the body from any content, or leave
    `__init__` out altogether: `__call__` needs `status_code`, `raw_headers`, `body` and `background` only.

    Attributes:
        raw_headers: the headers as they are sent: a list of (lower-case name, value) pairs of bytes.
        body: the bytes that `render` made.

    Raises:
        ValueError: a header's name is no token, or its value holds CR, LF or NUL or cannot be encoded as Latin-1.
    """

    media_type: str | None = None
    charset: str = "utf-8"
    body: bytes | memoryview

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.background = background
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.body = body = self.render(content)
        # Fast path: copies `Response.init_headers`; 0.1 us of 0.8 (bench: plain-text).
        if type(self).init_headers is _STOCK_INIT_HEADERS:
            self.raw_headers = response_head(status_code, body, self.media_type, self.charset, headers)
        else:
            self.init_headers(headers)

    def render(self, content: Any) -> bytes | memoryview:
        """The body of this content: bytes as they are, text encoded with `charset`, nothing for None.

        A lone surrogate, which no encoding can carry, is sent as U+FFFD.
        """
        if content is None:
            return b""
        if isinstance(content, bytes):
            return content
        if not isinstance(content, memoryview):
            return encode_text(content, self.charset)
        # Servers take len() for the number of bytes.
        return content.cast("B") if content.c_contiguous else content.tobytes()

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Sets `raw_headers`: the given ones, then `content-length` and `content-type` unless they are among them.

        No length without a `body` attribute or with a status that has no content (1xx, 204, 304); a text type that
        names no charset gets this class's.
        """
        body = getattr(self, "body", None)
        self.raw_headers = response_head(self.status_code, body, self.media_type, self.charset, headers)

    @property
    def headers(self) -> MutableHeaders:
        """The headers as a mapping that writes through to `raw_headers`."""
        headers: MutableHeaders | None = self.__dict__.get("_headers")
        if headers is None:
            self._headers = headers = MutableHeaders(raw=self.raw_headers)
        return headers

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: int | None = None,
        expires: datetime | str | int | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Adds a `set-cookie` header. Source: RFC 6265 section 4.1.

        `max_age` and a number for `expires` are seconds from now; a datetime needs a time zone, a text is sent as it
        is. Characters that a value cannot hold are quoted as `http.cookies` quotes them.

        Raises:
            ValueError: the key is no cookie name, an attribute holds a control character or semicolon, or something
                cannot be encoded as Latin-1, or `partitioned` is asked for before Python 3.14.

        Deviation: a cookie that browsers would drop is a ValueError as well: ``samesite="none"`` or `partitioned`
        without `secure`, a name that begins with ``__Secure-`` without it, and one with ``__Host-`` without it, with
        a `domain` or another `path` than "/". Source: RFC 6265bis section 4.1.3.
        """
        if samesite is not None:
            assert samesite.lower() in _SAMESITE, "samesite must be either 'strict', 'lax' or 'none'"
        if partitioned and not _KNOWS_PARTITIONED:
            raise ValueError("Partitioned cookies are only supported in Python 3.14 and above.")
        if not secure and (partitioned or samesite not in _SENT_PLAINLY):
            check_cross_site(key, samesite, secure, partitioned)
        if key[:2] == "__":
            check_prefix(key, path, domain, secure)
        if isinstance(expires, datetime):
            expires = _cookie_date(expires)
        cookie = write_cookie(key, value, max_age, expires, path, domain, secure, httponly, samesite, partitioned)
        self.raw_headers.append((b"set-cookie", cookie))

    def delete_cookie(
        self,
        key: str,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Adds a `set-cookie` header that ends the cookie at once.

        Path and domain must be those it was set with, and browsers want the other attributes to be such that they
        would take the cookie (see `set_cookie`).
        """
        self.set_cookie(key, "", 0, 0, path, domain, secure, httponly, samesite, partitioned)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            send = denial_send(scope, send)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})
        background = self.background
        if background is not None:
            await background()


_STOCK_INIT_HEADERS = original(Response, "init_headers")


class HTMLResponse(Response):
    """A response of HTML text."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """A response of plain text."""

    media_type = "text/plain"


class JSONResponse(Response):
    """A response of a value encoded as JSON: compact, not ASCII-only, without NaN and infinities.

    The bytes are those of `json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))`; plain
    dicts, lists, tuples, strings, numbers, booleans and None are encoded natively.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if media_type is not None:
            self.media_type = media_type
        self.background = background
        self.status_code = status_code
        cls = type(self)
        # Fast path: copies `JSONResponse.render`; 0.1 us of 1 (bench: hello-json).
        body = dumps(content) if cls.render is _STOCK_RENDER_JSON and json.dumps is STOCK_DUMPS else None
        self.body = body = self.render(content) if body is None else body
        # Fast path: copies `Response.init_headers`; 0.1 us of 1 (bench: hello-json).
        if cls.init_headers is _STOCK_INIT_HEADERS:
            self.raw_headers = response_head(status_code, body, self.media_type, self.charset, headers)
        else:
            self.init_headers(headers)

    def render(self, content: Any) -> bytes:
        """The JSON text of this content.

        Raises:
            TypeError: a value of a type that JSON does not have.
            ValueError: NaN, an infinity, or a value that contains itself.

        Deviation: a lone surrogate is written as its escape (``\\ud800``) where it would be a UnicodeEncodeError: a
        client can send it as JSON, and would make a server error of every echo.
        """
        return encode(content)


_STOCK_RENDER_JSON = original(JSONResponse, "render")


class RedirectResponse(Response):
    """A response that sends the client to another URL, by default with the same method and body (307).

    Characters that a URL cannot hold are percent-encoded.
    """

    def __init__(
        self,
        url: str | URL,
        status_code: int = 307,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(b"", status_code, headers, None, background)
        location = quote(encode_text(str(url), "utf-8"), safe=_URL_SAFE)
        if headers is None:
            self.raw_headers.append((b"location", location.encode()))
        else:
            self.headers["location"] = location


class StreamingResponse(Response):
    """A response whose body is made while it is sent: from an async iterable, or an iterable run in worker threads.

    A client that goes away cancels the iteration. Each chunk is text, encoded with `charset`, or bytes.

    Raises:
        ClientDisconnect: from the call, when the client went away and the server says so by failing `send`
            (ASGI spec version 2.4 on); older ones send `http.disconnect`, which ends the response without an error.
    """

    body_iterator: AsyncContentStream

    def __init__(
        self,
        content: ContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if isinstance(content, AsyncIterable):
            self.body_iterator = content
        elif type(content) in (list, tuple):
            # Nothing in these can block: a worker thread for each chunk would be 100 times slower.
            self.body_iterator = iterate(content)
        else:
            self.body_iterator = iterate_in_threadpool(content)
        self.background = background
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.init_headers(headers)

    async def listen_for_disconnect(self, receive: Receive) -> None:
        """Returns once the client went away."""
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()

    async def stream_response(self, send: Send) -> None:
        """Sends the head, each chunk and the end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.body_iterator:
            if type(chunk) is not bytes and not isinstance(chunk, (bytes, memoryview)):
                chunk = encode_text(chunk, self.charset)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.stream_response(denial_send(scope, send))
        elif reports_disconnect_on_send(scope):
            try:
                await self.stream_response(send)
            except OSError as error:
                raise ClientDisconnect from error
        else:
            await run_until_disconnect(self.stream_response(send), self.listen_for_disconnect, receive, scope)
        if self.background is not None:
            await self.background()


# Nothing here needs that Python, but code that relies on the error, as Starlette's own tests do, has to keep working.
_KNOWS_PARTITIONED = sys.version_info >= (3, 14)
_SAMESITE = frozenset({"strict", "lax", "none"})
_SENT_PLAINLY = frozenset({"strict", "lax", None})  # as they are usually written: no more need be known of these


def _cookie_date(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("expires must be a datetime with a time zone")
    return http_date(moment.timestamp())


def denial_send(scope: Scope, send: Send) -> Send:
    """A `send` that turns an HTTP response into the refusal of a WebSocket. Source: ASGI's websocket.http.response.

    Deviation: a server without that extension is told to close, which it answers with 403; what it does not know it may
    never answer. Where Pallasite stands in for Starlette it is sent the response, which Starlette's tests ask for.
    """
    has_responses = "websocket.http.response" in (scope.get("extensions") or ()) or mode.current.sends_denial_unasked

    async def send_denial(message: Message) -> None:
        kind: str = message["type"]
        if not kind.startswith("http.response."):
            await send(message)  # turned already, by a response within this one
        elif has_responses:
            await send({**message, "type": f"websocket.{kind}"})
        elif kind == "http.response.start":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})

    return send_denial


async def iterate(items: Iterable[Content]) -> AsyncIterator[Content]:
    for item in items:
        yield item
