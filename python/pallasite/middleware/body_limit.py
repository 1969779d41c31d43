"""A limit on the size of request bodies. Source: RFC 9110 section 15.5.14 (413)."""

from __future__ import annotations

import sys
from collections.abc import Awaitable

from pallasite._http import scope_keys
from pallasite.exceptions import HTTPException
from pallasite.requests import empty_receive, empty_send
from pallasite.responses import PlainTextResponse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MAX_BODY_SIZE_SCOPE_KEY", "RequestBodyLimitMiddleware", "RequestBodyLimitResponder"]

MAX_BODY_SIZE_SCOPE_KEY = scope_keys.MAX_BODY_SIZE
_RESPONDER_SCOPE_KEY = scope_keys.BODY_LIMIT_RESPONDER
_NO_LIMIT = object()
# A Content-Length with more digits than this is larger than any body; int() rejects 4,301 digits with a ValueError.
_LENGTH_DIGITS_MAX = 100


class _RequestBodyTooLarge(HTTPException):
    """Raised by `receive()`: the body, or its declared length, is larger than the limit."""

    def __init__(self) -> None:
        super().__init__(413, detail="Content Too Large")


class _RequestBodyLimitResponseSent(Exception):
    """Raised by `send()` to unwind an application whose response has been replaced by a 413."""


class RequestBodyLimitMiddleware:
    """Respond with 413 to a request whose body is larger than `max_body_size` bytes.

    A declared Content-Length above the limit is rejected before the body is read. A body without one is rejected as
    soon as more bytes than the limit have arrived. Limits nest: the innermost one that a request reaches applies, even
    if it is larger. An upload route may allow what its application forbids.

    Raises:
        HTTPException: 413, from the application's `receive()`. The application may handle it. If the response has
            already started, the exception propagates to the server.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await RequestBodyLimitResponder(self.app, self.max_body_size)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class RequestBodyLimitResponder:
    """Counts the body of one request. The outermost limit counts; an inner limit only changes the maximum."""

    # Set when the request arrives.
    scope: Scope = {}
    receive: Receive = staticmethod(empty_receive)
    send: Send = staticmethod(empty_send)

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size
        self.content_length: int | None = None
        self.total_size = 0
        self.response_started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outer_limit = scope.get(MAX_BODY_SIZE_SCOPE_KEY, _NO_LIMIT)
        scope[MAX_BODY_SIZE_SCOPE_KEY] = self.max_body_size
        counter: RequestBodyLimitResponder | None = scope.get(_RESPONDER_SCOPE_KEY)
        if counter is not None:
            counter.max_body_size = self.max_body_size
            if counter.total_size > self.max_body_size:
                raise _RequestBodyTooLarge
            await self.app(scope, receive, send)
            return

        self.scope, self.receive, self.send = scope, receive, send
        self.content_length = _declared_length(scope)
        scope[_RESPONDER_SCOPE_KEY] = self
        try:
            await self.app(scope, self.receive_with_limit, self.send_with_limit)
        except _RequestBodyLimitResponseSent:
            return
        except _RequestBodyTooLarge:
            if self.response_started:
                raise
            await self._refuse()
        finally:
            scope.pop(_RESPONDER_SCOPE_KEY, None)
            if outer_limit is _NO_LIMIT:
                scope.pop(MAX_BODY_SIZE_SCOPE_KEY, None)
            else:
                scope[MAX_BODY_SIZE_SCOPE_KEY] = outer_limit

    async def receive_with_limit(self) -> Message:
        message = None if self._declares_too_much() else await self.receive()
        if message is not None:
            self.total_size += len(message.get("body", b""))
        if message is None or self.total_size > self.max_body_size:
            raise _RequestBodyTooLarge
        return message

    def send_with_limit(self, message: Message) -> Awaitable[None]:
        # Not a coroutine: it returns the server's awaitable, which saves a frame per message.
        if message["type"] == "http.response.start":
            self.response_started = True
            if self._declares_too_much():
                return self._refuse_and_unwind()
        return self.send(message)

    def _declares_too_much(self) -> bool:
        return self.content_length is not None and self.content_length > self.max_body_size

    async def _refuse(self) -> None:
        await PlainTextResponse("Content Too Large", status_code=413)(self.scope, self.receive, self.send)

    async def _refuse_and_unwind(self) -> None:
        await self._refuse()
        raise _RequestBodyLimitResponseSent


def _declared_length(scope: Scope) -> int | None:
    """Return the first Content-Length, or None if it is missing or not a number: then the bytes are counted."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            try:
                return int(value) if len(value) <= _LENGTH_DIGITS_MAX or not value.isdigit() else sys.maxsize
            except ValueError:
                return None
    return None
