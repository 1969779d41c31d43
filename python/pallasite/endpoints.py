"""Class-based endpoints: one method per HTTP method, one hook per WebSocket event."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

from pallasite._exception_handler import HANDLERS_SCOPE_KEY
from pallasite._http.json import decode
from pallasite._runtime.calls import call_in_threadpool
from pallasite._utils import is_async_callable
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.status import (
    WS_1000_NORMAL_CLOSURE,
    WS_1003_UNSUPPORTED_DATA,
    WS_1006_ABNORMAL_CLOSURE,
    WS_1011_INTERNAL_ERROR,
)
from pallasite.types import Message, Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDataError

__all__ = ("HTTPEndpoint", "WebSocketEndpoint")

# The HTTP methods that a class can handle with a method of that name. QUERY: draft-ietf-httpbis-safe-method-w-body.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")


class HTTPEndpoint:
    """Handles a request with the method named after the request's method: `async def get(self, request)`.

    Plain `def` methods run in a worker thread. Without a `head` method, `get` handles HEAD. A new instance is created
    for every request.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.scope = scope
        self.receive = receive
        self.send = send
        self._allowed_methods = [method for method in _METHODS if self._handler_for(method) is not None]

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Handle the request."""
        request = Request(self.scope, receive=self.receive, send=self.send)
        method = request.method
        handler = self._handler_for(method) if method in self._allowed_methods else self.method_not_allowed
        if is_async_callable(handler):
            response = await handler(request)
        else:
            response = await call_in_threadpool(handler, request)
        await response(self.scope, self.receive, self.send)

    async def method_not_allowed(self, request: Request) -> Response:
        """Return the 405 response. Inside an application, raise it as an exception, so that handlers can change it."""
        headers = {"Allow": ", ".join(self._allowed_methods)}
        if "app" not in self.scope:
            return PlainTextResponse("Method Not Allowed", status_code=405, headers=headers)
        raise HTTPException(status_code=405, headers=headers)

    def _handler_for(self, method: str) -> Any:
        handler = getattr(self, method.lower(), None)
        if handler is None and method == "HEAD":
            return getattr(self, "get", None)
        return handler


class _UnfitMessage(WebSocketDataError, RuntimeError):
    """A message that an endpoint's `encoding` does not allow. A RuntimeError too, because callers catch that."""


class WebSocketEndpoint:
    """Handles a WebSocket connection with hooks. Override those you need.

    `encoding` selects what `on_receive` is called with: "text", "bytes", decoded "json", or None for any message.
    """

    encoding: Literal["text", "bytes", "json"] | None = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        self.scope = scope
        self.receive = receive
        self.send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Run the connection to its end. Once `on_connect` has returned, `on_disconnect` is always called.

        If `on_connect` has rejected the connection, `on_disconnect` follows immediately, with code 1006.
        """
        websocket = WebSocket(self.scope, self.receive, self.send)
        await self.on_connect(websocket)
        if websocket._refused:
            await self.on_disconnect(websocket, WS_1006_ABNORMAL_CLOSURE)
            return
        # The code for on_disconnect if a hook is cancelled: nothing failed, the connection is simply over.
        close_code = WS_1000_NORMAL_CLOSURE
        try:
            while (message := await websocket.receive())["type"] != "websocket.disconnect":
                await self.on_receive(websocket, await self.decode(websocket, message))
            close_code = int(message.get("code") or WS_1000_NORMAL_CLOSURE)
        except Exception:
            close_code = WS_1011_INTERNAL_ERROR
            raise
        finally:
            await self.on_disconnect(websocket, close_code)

    async def decode(self, websocket: WebSocket, message: Message) -> Any:
        """Return the argument of `on_receive` for one message of the client.

        Raises:
            RuntimeError: the message does not match `encoding`. The connection is closed with code 1003. Inside an
                application the error is also a `WebSocketException`, whose handler closes the connection, so that a
                client cannot cause a traceback.
        """
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        cause: Exception | None = None
        match self.encoding:
            case None:
                return data if text is None else text
            case "text" if text is not None:
                return text
            case "bytes" if data is not None:
                return data
            case "json":
                try:
                    # Strict UTF-8: json.loads would guess UTF-16 and UTF-32 from bytes.
                    return decode((data or b"").decode("utf-8") if text is None else text)
                except (ValueError, RecursionError) as exc:
                    complaint, cause = "Malformed JSON data received.", exc
            case "text":
                complaint = "Expected text websocket messages, but got bytes"
            case "bytes":
                complaint = "Expected bytes websocket messages, but got text"
            case other:
                raise AssertionError(f"Unsupported 'encoding' attribute {other}")
        if HANDLERS_SCOPE_KEY in self.scope:
            raise _UnfitMessage(WS_1003_UNSUPPORTED_DATA, complaint) from cause
        await websocket.close(code=WS_1003_UNSUPPORTED_DATA)
        raise RuntimeError(complaint) from cause

    async def on_connect(self, websocket: WebSocket) -> None:
        """Called first. Accepts the connection."""
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """Called with each message. Does nothing."""

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        """Called last, with the client's close code, or 1011 if a hook raised. Does nothing."""
