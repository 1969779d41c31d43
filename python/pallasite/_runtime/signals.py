"""End event streams, which never end by themselves, when the server is told to stop.

Servers finish open responses before they stop, and the lifespan ends after that: too late for an endless response. So
the first open stream installs a handler for SIGINT and SIGTERM, which calls the server's own, and the last stream
removes it. The server's handler runs as before; nothing in the server is patched.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from pallasite._runtime.callers import thread_caller

Handler = Callable[[int, FrameType | None], Any]
Stop = Callable[[], object]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# One function per open stream that ends it, in whichever thread its event loop runs. Changed and copied in single
# atomic steps: a signal handler cannot wait for a lock held by the code it interrupted.
_stops: set[Stop] = set()


def end_all() -> None:
    """End every open stream of this process. May be called in any thread and in signal handlers."""
    for stop in list(_stops):
        stop()


class SignalWatch:
    """Handlers that run before the server's. They are installed while there is at least one holder. Main thread only.

    Attributes:
        ending: True from a signal until the last holder releases. A stream that starts in between must end immediately.
    """

    def __init__(self) -> None:
        self.ending = False
        self._holders = 0
        self._in_front: dict[int, tuple[Handler, Handler]] = {}

    def hold(self) -> None:
        self._holders += 1
        for number in _SIGNALS:
            current = signal.getsignal(number)
            ours = self._in_front.get(number)
            # Not callable: the signal is ignored, or has the system's default, which ends the process directly.
            if callable(current) and (ours is None or current is not ours[0]):
                handler = self._handler(current)
                self._in_front[number] = (handler, current)
                signal.signal(number, handler)

    def release(self) -> None:
        self._holders -= 1
        if self._holders:
            return
        self.ending = False
        for number, (ours, previous) in self._in_front.items():
            if signal.getsignal(number) is ours:  # otherwise another handler has been installed in the meantime
                signal.signal(number, previous)
        self._in_front.clear()

    def _handler(self, previous: Handler) -> Handler:
        def end_then_tell_server(number: int, frame: FrameType | None) -> None:
            self.ending = self._holders > 0
            end_all()
            previous(number, frame)

        return end_then_tell_server


watch = SignalWatch()


@contextmanager
def signals_watched() -> Iterator[None]:
    """Hold the signal handlers inside the block. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch.hold()
    try:
        yield
    finally:
        watch.release()


@contextmanager
def ends_with_server(stop: Stop) -> Iterator[None]:
    """Call `stop()` on this event loop when the server is told to stop, or immediately if it already was."""
    soon = thread_caller()

    def stop_soon() -> None:
        with suppress(RuntimeError):  # the loop has ended, and so has the stream
            soon(stop)

    with signals_watched():
        _stops.add(stop_soon)
        try:
            if watch.ending:
                stop_soon()
            yield
        finally:
            _stops.discard(stop_soon)
