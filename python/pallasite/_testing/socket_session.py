"""A WebSocket on the event loop of the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pallasite._testing.background import Background
from pallasite.testclient import WebSocketDenialResponse
from pallasite.types import ASGIApp, Message
from pallasite.websockets import WebSocketDisconnect

__all__ = ["WebSocketSession"]


class WebSocketSession:
    """The client's side of a WebSocket.

    Attributes:
        subprotocol: the one that the application has chosen, or None.
        headers: the fields that it has added to the handshake.
        close_code: the code with which it has closed the WebSocket, None while it is open.
        close_reason: the reason it gave, None while it is open.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: dict[str, Any],
        seconds: float,
        note: Callable[[str, Message], object] | None,
    ) -> None:
        self.subprotocol: str | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self._app = app
        self._scope = scope
        self._seconds = seconds
        self._note = note
        # One message may wait in each direction, as in the buffers of a real connection.
        self._to_app: MemoryObjectSendStream[Message]
        self._from_app: MemoryObjectReceiveStream[Message]
        self._to_app, self._inbox = anyio.create_memory_object_stream[Message](1)
        self._outbox, self._from_app = anyio.create_memory_object_stream[Message](1)
        self._task: Background | None = None

    async def send_text(self, data: str) -> None:
        """Send a text message."""
        await self._put({"type": "websocket.receive", "text": data})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        await self._put({"type": "websocket.receive", "bytes": data})

    async def send_json(self, data: Any) -> None:
        """Send a value as JSON in a text message."""
        await self.send_text(json.dumps(data, separators=(",", ":"), ensure_ascii=False))

    async def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message: text or bytes.

        Raises:
            WebSocketDisconnect: the application has closed the WebSocket, or returned (code 1006).
            TimeoutError: no message within `timeout` seconds, those of the client by default.
        """
        message = await self._get(timeout)
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def receive_text(self, timeout: float | None = None) -> str:
        """Return the next message, which must be text. Raises as `receive` does."""
        message = await self.receive(timeout)
        assert isinstance(message, str), f"expected a text message, got {message!r}"
        return message

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next message, which must be binary. Raises as `receive` does."""
        message = await self.receive(timeout)
        assert isinstance(message, bytes), f"expected a binary message, got {message!r}"
        return message

    async def receive_json(self, timeout: float | None = None) -> Any:
        """Return the next message decoded from JSON. Raises as `receive` does."""
        return json.loads(await self.receive(timeout))

    async def expect_close(self, code: int | None = None, timeout: float | None = None) -> str:
        """Wait until the application closes the WebSocket, and return the reason.

        Raises:
            AssertionError: it has sent a message, or closed with another code.
        """
        message = await self._get(timeout)
        assert message["type"] == "websocket.close", f"expected a close, got {message!r}"
        assert code is None or self.close_code == code, f"expected code {code}, got {self.close_code}"
        return self.close_reason or ""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket."""
        await self._put({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def open(self) -> None:
        self._task = Background(self._run)
        await self._put({"type": "websocket.connect"})
        message = await self._get(None)
        if message["type"] == "websocket.close":
            self.raise_failure()
            raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)
        if message["type"] == "websocket.http.response.start":
            body, more = b"", True
            while more:
                part = await self._get(None)
                body += part.get("body", b"")
                more = part.get("more_body", False)
            raise WebSocketDenialResponse(message["status"], headers=message.get("headers", []), content=body)
        assert message["type"] == "websocket.accept", f"expected an answer to the handshake, got {message!r}"
        self.subprotocol = message.get("subprotocol")
        self.headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self._outbox.close()
            self._inbox.close()

    async def _receive(self) -> Message:
        try:
            message = await self._inbox.receive()
        except anyio.EndOfStream:
            message = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        if self._note is not None:
            self._note("receive", message)
        return message

    async def _send(self, message: Message) -> None:
        if self._note is not None:
            self._note("send", message)
        try:
            await self._outbox.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            if self._scope["asgi"]["spec_version"] >= "2.4" and message["type"] != "websocket.close":
                raise OSError("the client has disconnected") from None

    async def _put(self, message: Message) -> None:
        try:
            with anyio.fail_after(self._seconds):
                await self._to_app.send(message)
        except TimeoutError:
            raise TimeoutError(f"the application has not taken a message within {self._seconds} s") from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # it has returned; the next `receive` tells

    async def _get(self, timeout: float | None) -> Message:
        if self.close_code is not None:
            return {"type": "websocket.close"}
        seconds = self._seconds if timeout is None else timeout
        try:
            with anyio.fail_after(seconds):
                message = await self._from_app.receive()
        except TimeoutError:
            raise TimeoutError(f"no message from the application within {seconds} s") from None
        except anyio.EndOfStream:
            assert self._task is not None
            await self._task.done.wait()
            self.raise_failure()
            message = {"type": "websocket.close", "code": 1006, "reason": "the application has returned"}
        if message["type"] == "websocket.close":
            self.close_code = message.get("code", 1000)
            self.close_reason = message.get("reason") or ""
        return message

    async def end(self) -> None:
        with anyio.CancelScope(shield=True):
            if self.close_code is None:
                try:
                    self._to_app.send_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
                except (anyio.WouldBlock, anyio.BrokenResourceError):
                    pass  # the end of the stream tells the application
            self._to_app.close()
            self._from_app.close()
            assert self._task is not None
            await self._task.end(self._seconds)

    def raise_failure(self) -> None:
        assert self._task is not None
        failure, self._task.failure = self._task.failure, None
        if failure is not None:
            raise failure
