"""Ending what would never end by itself, event streams, when the server is told to stop.

Servers finish open responses before they stop, and the lifespan's end comes after that: too late for a response that
has no end. So the first open stream puts a handler in front of the server's own for SIGINT and SIGTERM, and the last
one takes it away. The server's handler is called as before; nothing of the server is patched.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
Stop = Callable[[], object]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# What ends each open stream, in whatever thread its event loop runs. Changed and copied in single, atomic steps: a
# signal handler cannot wait for a lock that the code it interrupted holds.
_stops: set[Stop] = set()


def end_all() -> None:
    """Ends every open stream of this process; can be called in any thread and in signal handlers."""
    for stop in list(_stops):
        stop()


class SignalWatch:
    """The handlers in front of the server's, there as long as somebody holds on to them. Main thread only.

    Attributes:
        ending: True from a signal on until the last holder has let go: what begins meanwhile has to end at once.
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
            # Not callable: ignored, or the system's default, which ends the process without asking anybody.
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
            if signal.getsignal(number) is ours:  # else the server, or somebody in front of us, has put in another
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
    """Holds on to the signal handlers inside the block; does nothing outside the main thread."""
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
    """Has `stop()` called on this event loop when the server is told to stop; at once if it already was."""
    soon = _caller_into_this_loop()

    def stop_soon() -> None:
        with suppress(RuntimeError):  # the loop has ended, and the stream with it
            soon(stop)

    with signals_watched():
        _stops.add(stop_soon)
        try:
            if watch.ending:
                stop_soon()
            yield
        finally:
            _stops.discard(stop_soon)


def _caller_into_this_loop() -> Callable[[Stop], object]:
    """A function that has the running event loop call something soon, for other threads and signal handlers."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        run_sync_soon: Callable[[Stop], object] = trio.lowlevel.current_trio_token().run_sync_soon
        return run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe
