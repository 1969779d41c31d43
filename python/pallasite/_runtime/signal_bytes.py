"""Hold signals back on their way to an asyncio event loop.

Functions given to `loop.add_signal_handler` are not called by the signal's handler. The interpreter writes the number
of each signal to a file descriptor (`signal.set_wakeup_fd`), from which the loop reads. Another is put in between.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Container
from contextlib import suppress

__all__ = ["SignalBytes", "wakeup_fd"]


def wakeup_fd() -> int:
    """Return the descriptor that the interpreter writes to, -1 without one. Main thread only."""
    found = signal.set_wakeup_fd(-1)
    if found != -1:
        signal.set_wakeup_fd(found, warn_on_full_buffer=False)
    return found


class SignalBytes:
    """Passes on the numbers of signals to the running event loop, except those in `held`. Main thread only."""

    def __init__(self, held: Container[int]) -> None:
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._loop.add_reader(self._read, self._pass_on)
        self.fd = self._write.fileno()
        self._target = signal.set_wakeup_fd(self.fd, warn_on_full_buffer=False)

    def deliver(self, number: int) -> None:
        """Let the event loop handle a signal now."""
        self._send(bytes([number]))

    def close(self) -> None:
        """Restore the descriptor that was used before, unless there is another in the meantime."""
        if wakeup_fd() == self.fd:
            signal.set_wakeup_fd(self._target, warn_on_full_buffer=False)
        if not self._loop.is_closed():
            self._loop.remove_reader(self._read)
        self._read.close()
        self._write.close()

    def _pass_on(self) -> None:
        with suppress(BlockingIOError):
            self._send(bytes(number for number in self._read.recv(4096) if number not in self._held))

    def _send(self, numbers: bytes) -> None:
        if numbers:
            with suppress(OSError):  # the loop has ended
                os.write(self._target, numbers)
