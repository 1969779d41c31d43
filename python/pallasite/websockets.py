"""One WebSocket connection as seen by the application (RFC 6455, ASGI's websocket messages).

How the exceptions hang together:

    Exception
      WebSocketDisconnect               the client has gone (or said goodbye)
      RuntimeError
        WebSocketDisconnected           the application used a connection that is not open
      WebSocketException                (pallasite.exceptions) uncaught, closes the connection with its code
        WebSocketDataError              also a ValueError: the client sent something the application cannot read
          _UnexpectedFrame              also a KeyError: bytes where text was awaited, or the other way round
          _MalformedJSON                also a json.JSONDecodeError
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from enum import Enum
from typing import Any, NoReturn

from pallasite._compat.stock import original
from pallasite._core import encode_header
from pallasite._http.json import decode
from pallasite._http.json import encode_text as encode_json
from pallasite._http.text import encode_text
from pallasite.exceptions import WebSocketException
from pallasite.requests import HTTPConnection, StateT
from pallasite.responses import Response
from pallasite.status import WS_1006_ABNORMAL_CLOSURE, WS_1007_INVALID_FRAME_PAYLOAD_DATA
from pallasite.types import Message, Receive, Scope, Send

__all__ = (
    "WebSocket",
    "WebSocketClose",
    "WebSocketDataError",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
)


class WebSocketState(Enum):
    """Where one side of the connection stands."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3


# Module names, because looking a member up on the Enum class costs 40 ns each time.
_CONNECTING = WebSocketState.CONNECTING
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED
_RESPONSE = WebSocketState.RESPONSE

# What each side may say in each state, and the state it is in afterwards.
_AFTER_RECEIVE: dict[WebSocketState, dict[str, WebSocketState]] = {
    _CONNECTING: {"websocket.connect": _CONNECTED},
    _CONNECTED: {"websocket.receive": _CONNECTED, "websocket.disconnect": _DISCONNECTED},
}
_AFTER_SEND: dict[WebSocketState, dict[str, WebSocketState]] = {
    _CONNECTING: {
        "websocket.accept": _CONNECTED,
        "websocket.close": _DISCONNECTED,
        "websocket.http.response.start": _RESPONSE,
    },
    _CONNECTED: {"websocket.send": _CONNECTED, "websocket.close": _DISCONNECTED},
    _RESPONSE: {"websocket.http.response.body": _RESPONSE},
}

_CODE_UNSUPPORTED_DATA = 1003
_CODE_NO_STATUS = 1005


class WebSocketDisconnect(Exception):
    """The client closed the connection, with this close code and reason (RFC 6455 section 7.4)."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""


class WebSocketDisconnected(RuntimeError):
    """The application tried to use a WebSocket that is not accepted yet, or closed already."""


class WebSocketDataError(WebSocketException, ValueError):
    """A message of the client that cannot be read the way the application asked for.

    Left uncaught it closes the connection: code 1003 for the wrong kind of frame, 1007 for contents that are not
    what they should be. Source: RFC 6455 section 7.4.1.
    """


class _UnexpectedFrame(WebSocketDataError, KeyError):
    """A text frame where bytes were awaited or the other way round. KeyError, since that is what callers knew."""

    def __init__(self, wanted: str) -> None:
        super().__init__(code=_CODE_UNSUPPORTED_DATA, reason=f"Expected a {wanted} message")


class _MalformedJSON(WebSocketDataError, json.JSONDecodeError):
    """A frame that is no JSON text (or none that Python can hold: 5,000-digit integers, endless nesting)."""

    def __init__(self, cause: Exception) -> None:
        if isinstance(cause, json.JSONDecodeError):
            json.JSONDecodeError.__init__(self, cause.msg, cause.doc, cause.pos)
        else:
            json.JSONDecodeError.__init__(self, str(cause), "", 0)
        self.code = WS_1007_INVALID_FRAME_PAYLOAD_DATA
        self.reason = "Malformed JSON"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (json.JSONDecodeError(self.msg, self.doc, self.pos),)


class WebSocket(HTTPConnection[StateT]):
    """An incoming WebSocket connection: accept it, then send and receive until one side closes."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope)
        assert scope["type"] == "websocket"
        self._receive = receive
        self._send = send
        self.client_state = _CONNECTING
        self.application_state = _CONNECTING

    async def receive(self) -> Message:
        """The next ASGI message of the client.

        Raises:
            WebSocketDisconnected: the client's disconnect was received before.
            RuntimeError: the server sent a message that is out of order.
        """
        allowed = _AFTER_RECEIVE.get(self.client_state)
        if allowed is None:
            raise WebSocketDisconnected('Cannot call "receive" once a disconnect message has been received.')
        message = await self._receive()
        self.client_state = _next_state(allowed, message)
        return message

    async def send(self, message: Message) -> None:
        """Hand one ASGI message to the server.

        Raises:
            WebSocketDisconnect: the client has gone (code 1006).
            WebSocketDisconnected: the application closed the connection before.
            RuntimeError: the message is out of order.
        """
        state = self.application_state
        allowed = _AFTER_SEND.get(state)
        if allowed is None:
            raise WebSocketDisconnected('Cannot call "send" once a close message has been sent.')
        following = _next_state(allowed, message)
        if state is _RESPONSE and not message.get("more_body", False):
            following = _DISCONNECTED
        self.application_state = following
        if state is not _CONNECTED:
            await self._send(message)
            return
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:
            self._lost(error)

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Complete the handshake, awaiting the client's opening message first where that is still to come.

        Raises:
            ValueError: a header's name is no token; its value or the subprotocol contains CR, LF or NUL, or the
                subprotocol a character outside Latin-1.
        """
        extra = [(bytes(name), bytes(value)) for name, value in headers] if headers is not None else []
        for name, value in extra:
            encode_header(name.decode("latin-1"), value.decode("latin-1"))
        if subprotocol is not None:
            encode_header("sec-websocket-protocol", subprotocol)
        if self.client_state is _CONNECTING:
            await self.receive()
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": extra})

    async def receive_text(self) -> str:
        """The next text message.

        Raises:
            WebSocketDisconnect: the client has gone.
            WebSocketDisconnected: the connection is not accepted, or closed.
            WebSocketDataError: the client sent bytes.
        """
        if self.application_state is not _CONNECTED:
            raise _not_connected()
        # Fast path: copies `WebSocket.receive`; 0.3 us of 1.3 (bench: websocket-echo).
        if self.client_state is _CONNECTED and getattr(self.receive, "__func__", None) is _STOCK_RECEIVE:
            message = await self._receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                if text is not None:
                    return text  # type: ignore[no-any-return]
            self.client_state = _next_state(_AFTER_RECEIVE[_CONNECTED], message)
        else:
            message = await self.receive()
        self._raise_on_disconnect(message)
        text = message.get("text")
        if text is None:
            raise _UnexpectedFrame("text")
        return text  # type: ignore[no-any-return]

    async def receive_bytes(self) -> bytes:
        """The next binary message. Raises as `receive_text` does."""
        if self.application_state is not _CONNECTED:
            raise _not_connected()
        # Fast path: copies `WebSocket.receive`; 0.3 us of 1.3 (bench: websocket-echo).
        if self.client_state is _CONNECTED and getattr(self.receive, "__func__", None) is _STOCK_RECEIVE:
            message = await self._receive()
            if message["type"] == "websocket.receive":
                data = message.get("bytes")
                if data is not None:
                    return data  # type: ignore[no-any-return]
            self.client_state = _next_state(_AFTER_RECEIVE[_CONNECTED], message)
        else:
            message = await self.receive()
        self._raise_on_disconnect(message)
        data = message.get("bytes")
        if data is None:
            raise _UnexpectedFrame("binary")
        return data  # type: ignore[no-any-return]

    async def receive_json(self, mode: str = "text") -> Any:
        """The next message decoded from JSON; `mode` says which frames carry it, "text" or "binary".

        Raises:
            json.JSONDecodeError: the message is not JSON (a WebSocketDataError too: uncaught, it closes with 1007).
            RuntimeError: `mode` is neither.

        Deviation: as for `Request.json`, ``NaN``, infinities and numbers beyond a float are refused.
        """
        _check_mode(mode)
        if self.application_state is not _CONNECTED:
            raise _not_connected()
        message = await self.receive()
        self._raise_on_disconnect(message)
        raw: str | bytes | None = message.get("text" if mode == "text" else "bytes")
        if raw is None:
            raise _UnexpectedFrame(mode)
        try:
            return decode(raw if isinstance(raw, str) else raw.decode("utf-8"))
        except (ValueError, RecursionError) as exc:
            raise _MalformedJSON(exc) from exc

    async def iter_text(self) -> AsyncIterator[str]:
        """Text messages until the client goes."""
        with suppress(WebSocketDisconnect):
            while True:
                yield await self.receive_text()

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Binary messages until the client goes."""
        with suppress(WebSocketDisconnect):
            while True:
                yield await self.receive_bytes()

    async def iter_json(self) -> AsyncIterator[Any]:
        """JSON values of text messages until the client goes."""
        with suppress(WebSocketDisconnect):
            while True:
                yield await self.receive_json()

    async def send_text(self, data: str) -> None:
        """Send a text message, each lone surrogate in it as U+FFFD. Raises as `send` does."""
        # Those come with JSON: a frame cannot hold them, and servers fail or send nothing.
        message = {"type": "websocket.send", "text": data if data.isascii() else _without_surrogates(data)}
        # Fast path: copies `WebSocket.send`; 0.25 us of 1.3 (bench: websocket-echo).
        if self.application_state is _CONNECTED and getattr(self.send, "__func__", None) is _STOCK_SEND:
            try:
                await self._send(message)
            except (OSError, RuntimeError) as error:
                self._lost(error)
        else:
            await self.send(message)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. Raises as `send` does."""
        message = {"type": "websocket.send", "bytes": data}
        # Fast path: copies `WebSocket.send`; 0.25 us of 1.3 (bench: websocket-echo).
        if self.application_state is _CONNECTED and getattr(self.send, "__func__", None) is _STOCK_SEND:
            try:
                await self._send(message)
            except (OSError, RuntimeError) as error:
                self._lost(error)
        else:
            await self.send(message)

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as compact JSON, in a "text" or a "binary" message.

        NaN and infinities become the words `NaN` and `Infinity`, which browsers' JSON.parse refuses.

        Raises:
            TypeError: the value has no JSON form.
            RuntimeError: `mode` is neither.
        """
        _check_mode(mode)
        text = encode_json(data)
        payload = {"text": text} if mode == "text" else {"bytes": text.encode("utf-8")}
        await self.send({"type": "websocket.send", **payload})

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection; before it was accepted this refuses it (the client sees HTTP 403)."""
        if isinstance(reason, str):  # FastAPI gives a list, which not every server refuses
            reason = _without_surrogates(reason)
        await self.send({"type": "websocket.close", "code": code, "reason": reason or ""})

    async def send_denial_response(self, response: Response) -> None:
        """Refuse the connection with an HTTP response of your own, where the server can carry one.

        Raises:
            RuntimeError: the server has no "websocket.http.response" extension.
        """
        if "websocket.http.response" not in (self.scope.get("extensions") or ()):
            raise RuntimeError("The server doesn't support the Websocket Denial Response extension.")
        await response(self.scope, self.receive, self.send)

    def _raise_on_disconnect(self, message: Message) -> None:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", _CODE_NO_STATUS), message.get("reason"))

    def _lost(self, error: OSError | RuntimeError) -> NoReturn:
        """Note that the server could not send; to be called while handling its exception.

        ASGI lets it say so by an OSError. Uvicorn, once it has closed a connection because of what the client sent,
        takes any message until the application hears of that for a mistake of the application's, and says RuntimeError.
        """
        if isinstance(error, RuntimeError) and _CLOSED_BY_SERVER not in str(error):
            raise error
        self.application_state = _DISCONNECTED
        raise WebSocketDisconnect(code=WS_1006_ABNORMAL_CLOSURE)


_CLOSED_BY_SERVER = "after sending 'websocket.close'"

_STOCK_RECEIVE = original(WebSocket, "receive")
_STOCK_SEND = original(WebSocket, "send")


class WebSocketClose:
    """An ASGI application that closes every connection, with this code and reason."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code, self.reason = code, reason or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        closing = {"type": "websocket.close", "code": self.code, "reason": self.reason}
        await send(closing)


def _next_state(allowed: dict[str, WebSocketState], message: Message) -> WebSocketState:
    state = allowed.get(message["type"])
    if state is None:
        *some, last = (f'"{name}"' for name in allowed)
        expected = f"{', '.join(some)} or {last}" if some else last
        raise RuntimeError(f"Expected ASGI message {expected}, but got {message['type']!r}")
    return state


def _without_surrogates(text: str) -> str:
    return encode_text(text, "utf-8").decode("utf-8")


def _not_connected() -> WebSocketDisconnected:
    return WebSocketDisconnected('WebSocket is not connected. Need to call "accept" first.')


def _check_mode(mode: str) -> None:
    if mode not in ("text", "binary"):
        raise RuntimeError('The "mode" argument should be "text" or "binary".')
