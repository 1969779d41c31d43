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
from pallasite._runtime.disconnect import (
    Gone,
    close_body,
    raises_disconnect,
    reports_disconnect_on_send,
    run_until_disconnect,
    wait_for_disconnect,
)
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

# Characters that a URL may contain unescaped, besides letters, digits and _.-~.
_URL_SAFE = ":/%#?=@[]!$&'()*+,;"


class Response:
    """A status, headers and a body held in memory.

    Subclasses set `media_type` and `charset`, or override `render` to create the body from any content. They may also
    skip `__init__`: `__call__` needs only `status_code`, `raw_headers`, `body` and `background`.

    Attributes:
        raw_headers: the headers as they are sent: a list of (lower-case name, value) pairs of bytes.
        body: the bytes returned by `render`.

    Raises:
        ValueError: a header name is not a token, or a value contains CR, LF or NUL or cannot be encoded as Latin-1.
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
        # Fast path: copies `Response.init_headers`; 2 % fewer instructions (bench: plain-text).
        if type(self).init_headers is _STOCK_INIT_HEADERS:
            self.raw_headers = response_head(status_code, body, self.media_type, self.charset, headers)
        else:
            self.init_headers(headers)

    def render(self, content: Any) -> bytes | memoryview:
        """Return the body: bytes unchanged, text encoded with `charset`, nothing for None.

        A lone surrogate, which no encoding can represent, becomes U+FFFD.
        """
        if content is None:
            return b""
        if isinstance(content, bytes):
            return content
        if not isinstance(content, memoryview):
            try:
                return encode_text(content, self.charset)
            except AttributeError:
                kind = type(content).__name__
                message = f"{type(self).__name__} sends text or bytes, not a {kind}: use JSONResponse for values"
                raise AttributeError(message) from None
        # Servers treat len() as the number of bytes.
        return content.cast("B") if content.c_contiguous else content.tobytes()

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set `raw_headers`: the given headers, then `content-length` and `content-type` if they are missing.

        The length is left out without a `body` attribute and for a status without content (1xx, 204, 304). A text
        type without a charset gets this class's.
        """
        body = getattr(self, "body", None)
        self.raw_headers = response_head(self.status_code, body, self.media_type, self.charset, headers)

    @property
    def headers(self) -> MutableHeaders:
        """The headers as a mapping. Changes are written to `raw_headers`."""
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
        """Add a `set-cookie` header. Source: RFC 6265 section 4.1.

        Characters that a value cannot contain are quoted as in `http.cookies`.

        Args:
            max_age: seconds.
            expires: seconds from now, a datetime with a time zone, or text that is sent unchanged.

        Raises:
            ValueError: the key is not a cookie name, an attribute contains a control character or semicolon, something
                cannot be encoded as Latin-1, or `partitioned` is used before Python 3.14.

        Deviation: a cookie that browsers would drop is a ValueError as well. These are ``samesite="none"`` or
        `partitioned` without `secure`; a name that starts with ``__Secure-`` without `secure`; and one that starts with
        ``__Host-`` without `secure`, with a `domain`, or with a `path` other than "/".
        Source: RFC 6265bis section 4.1.3.
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
        given: Any = value
        if isinstance(given, bytes):
            raise TypeError(f"the value of the cookie {key!r} must be text, not {value!r}: decode it")
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
        """Add a `set-cookie` header that expires the cookie immediately.

        `path` and `domain` must be those the cookie was set with. The other attributes must be ones with which browsers
        accept a cookie of this name (see `set_cookie`).
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
    """A response with HTML text."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """A response with plain text."""

    media_type = "text/plain"


class JSONResponse(Response):
    """A response with a value encoded as JSON: compact, not limited to ASCII, without NaN and infinities.

    The bytes are those of `json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))`. Plain
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
        # Fast path: copies `JSONResponse.render`; 3 % fewer instructions (bench: hello-json).
        body = dumps(content) if cls.render is _STOCK_RENDER_JSON and json.dumps is STOCK_DUMPS else None
        self.body = body = self.render(content) if body is None else body
        # Fast path: copies `Response.init_headers`; 3 % fewer instructions (bench: hello-json).
        if cls.init_headers is _STOCK_INIT_HEADERS:
            self.raw_headers = response_head(status_code, body, self.media_type, self.charset, headers)
        else:
            self.init_headers(headers)

    def render(self, content: Any) -> bytes:
        """Return the content as JSON.

        Raises:
            TypeError: a value has a type that JSON does not have.
            ValueError: the content contains NaN, an infinity, or itself.

        Deviation: a lone surrogate is written as an escape (``\\ud800``) instead of raising UnicodeEncodeError. A
        client can send one as JSON, and could cause a server error wherever its input is returned.
        """
        return encode(content)


_STOCK_RENDER_JSON = original(JSONResponse, "render")


class RedirectResponse(Response):
    """A response that redirects the client to another URL, by default with the same method and body (307).

    Characters that a URL cannot contain are percent-encoded.
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
    """A response whose body is produced while it is sent, from an async iterable or an iterable run in worker threads.

    Each chunk is bytes, or text that is encoded with `charset`. The iteration is cancelled if the client disconnects.

    Deviation: an iteration that is broken off closes its generator at once, in the task that iterated, and the
    background task runs. The generator has 5 seconds to clean up.

    Raises:
        ClientDisconnect: from the call, if the client disconnected and the server reports it by raising from `send`
            (ASGI spec version 2.4 or newer). Older servers send `http.disconnect`, which ends the response without an
            error.
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
            # These cannot block, and a worker thread for each chunk would be 100 times slower.
            self.body_iterator = iterate(content)
        else:
            self.body_iterator = iterate_in_threadpool(content)
        self.background = background
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.init_headers(headers)

    async def listen_for_disconnect(self, receive: Receive) -> None:
        """Return when the client has disconnected."""
        await wait_for_disconnect(receive)

    async def stream_response(self, send: Send) -> None:
        """Send the head, each chunk and the end of the body."""
        body = self.body_iterator
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in body:
                if type(chunk) is not bytes and not isinstance(chunk, (bytes, memoryview)):
                    chunk = encode_text(chunk, self.charset)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except GeneratorExit:
            raise  # discarded with the event loop: nothing can be awaited
        except BaseException:
            await close_body(body)
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.stream_response(denial_send(scope, send))
        elif reports_disconnect_on_send(scope):
            try:
                await self.stream_response(raises_disconnect(send))
            except Gone as gone:
                if self.background is not None:
                    await self.background()
                raise ClientDisconnect from gone.__cause__
        else:
            await run_until_disconnect(self.stream_response(send), self.listen_for_disconnect, receive, scope)
        if self.background is not None:
            await self.background()


# Not a technical limit. Code that relies on the error, such as Starlette's own tests, must keep working.
_KNOWS_PARTITIONED = sys.version_info >= (3, 14)
_SAMESITE = frozenset({"strict", "lax", "none"})
_SENT_PLAINLY = frozenset({"strict", "lax", None})  # the usual spellings, which need no further check


def _cookie_date(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("expires must be a datetime with a time zone")
    return http_date(moment.timestamp())


def denial_send(scope: Scope, send: Send) -> Send:
    """Return a `send` that turns an HTTP response into the rejection of a WebSocket.

    Source: ASGI's websocket.http.response extension.

    Deviation: a server without that extension is sent a close message, which it answers with 403, because it may never
    answer a message it does not know. In compatibility mode it is sent the response, as Starlette's tests require.
    """
    has_responses = "websocket.http.response" in (scope.get("extensions") or ()) or mode.current.sends_denial_unasked

    async def send_denial(message: Message) -> None:
        kind: str = message["type"]
        if not kind.startswith("http.response."):
            await send(message)  # already converted by a response inside this one
        elif has_responses:
            await send({**message, "type": f"websocket.{kind}"})
        elif kind == "http.response.start":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})

    return send_denial


async def iterate(items: Iterable[Content]) -> AsyncIterator[Content]:
    for item in items:
        yield item
