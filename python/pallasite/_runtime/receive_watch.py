"""Wait for a disconnect while an application may still read its request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio
import anyio.lowlevel

from pallasite.types import Message, Receive

__all__ = ["ReceiveWatch"]

# The bytes of a body that are read before the application asks for them. A disconnect behind more is seen later.
_READ_AHEAD_BYTES = 65536

# A `receive` that returns the end of the body this often is a replay, which never reports a disconnect.
_MAX_BODY_ENDS = 16


def _size(message: Message) -> int:
    """Return about the bytes that a message takes, so that many empty ones count as well."""
    return 256 + len(message.get("body", b""))


class ReceiveWatch:
    """A `receive` for the application, and a task that reads ahead until the client disconnects.

    No message is lost: what the task has read, the application receives. Before the task runs, the application reads
    from the server itself, and sees a disconnect by itself.
    """

    _is_started = _is_read = False
    _start: Callable[[ReceiveWatch], None] | None = None
    _last: Message | Exception | None = None
    _changed: anyio.Event | None = None
    _bytes = _waiting = 0

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: deque[Message] = deque()

    async def receive(self) -> Message:
        if not self._is_started:
            self._is_read = True
            try:
                return await self._receive()
            finally:
                self._is_read = False
                if self._start is not None:
                    self.when_not_read(self._start)
        while not self._messages:
            if isinstance(self._last, Exception):
                raise self._last
            if self._last is not None:
                return self._last
            self._waiting += 1
            try:
                await self._change()
            finally:
                self._waiting -= 1
        message = self._messages.popleft()
        self._bytes -= _size(message)
        self._has_changed()
        return message

    def when_not_read(self, start: Callable[[ReceiveWatch], None]) -> None:
        """Call `start`, which starts the task, as soon as the application does not wait for the server's `receive`."""
        self._start = start
        if not self._is_read:
            self._start = None
            self._is_started = True
            start(self)

    async def run(self, on_disconnect: Callable[[], None]) -> None:
        """Read until the client disconnects, the server fails or this is cancelled.

        `on_disconnect` is not called while the application waits for a message: it receives the disconnect itself.
        """
        ends = 0
        while ends < _MAX_BODY_ENDS:
            try:
                message = await self._receive()
            except Exception as error:
                self._last = error
                break
            if message["type"] == "http.disconnect":
                self._last = message
                if not self._waiting:
                    on_disconnect()
                break
            if ends:
                await anyio.lowlevel.checkpoint()  # a replay may never wait
            else:
                self._messages.append(message)
                self._bytes += _size(message)
            ends += not message.get("more_body", False)
            self._has_changed()
            while self._bytes > _READ_AHEAD_BYTES:
                await self._change()
        self._has_changed()

    async def _change(self) -> None:
        """Wait until a message has come or gone."""
        changed = self._changed
        if changed is None:
            changed = self._changed = anyio.Event()
        await changed.wait()

    def _has_changed(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
