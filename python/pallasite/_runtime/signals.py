"""End event streams, which never end by themselves, when the server is told to stop.

Servers finish open responses before they stop, and the lifespan ends after that: too late for an endless response. So
the first open stream installs a handler for SIGINT and SIGTERM, which calls the server's own, and the last stream
removes it. The server's handler runs as before; nothing in the server is patched. `shutdown.Drain` delays it until its
grace period is over, or until a second signal.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from pallasite._runtime.callers import thread_caller

if TYPE_CHECKING:
    from pallasite._runtime.signal_bytes import SignalBytes

Handler = Callable[[int, FrameType | None], Any]
Stop = Callable[[], object]
#: Starts something that takes time, and calls its argument once that is done. Called by a signal handler.
Delay = Callable[[Callable[[], object]], object]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# One function per open stream that ends it, in whichever thread its event loop runs. Changed and copied in single
# atomic steps: a signal handler cannot wait for a lock held by the code it interrupted.
_stops: set[Stop] = set()

# The same for what must be done before the streams end and the server is told.
_delays: set[Delay] = set()


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
        self._delayed = False
        self._holders = 0
        self._bytes: SignalBytes | None = None
        self._in_front: dict[int, tuple[Handler, Handler]] = {}

    def hold(self) -> None:
        self._holders += 1
        self.refresh()

    def refresh(self) -> None:
        """Move in front of handlers that the server has installed in the meantime."""
        for number in _SIGNALS:
            current = signal.getsignal(number)
            ours = self._in_front.get(number)
            # Not callable: the signal is ignored, or has the system's default, which ends the process directly.
            if callable(current) and (ours is None or current is not ours[0]):
                handler = self._handler(current)
                self._in_front[number] = (handler, current)
                signal.signal(number, handler)
        if _delays and _runs_on_asyncio():
            from pallasite._runtime.signal_bytes import SignalBytes, wakeup_fd

            if wakeup_fd() not in (-1, None if self._bytes is None else self._bytes.fd):
                if self._bytes is not None:
                    self._bytes.close()
                self._bytes = SignalBytes(_SIGNALS)

    def release(self) -> None:
        self._holders -= 1
        if self._holders:
            return
        self.ending = self._delayed = False
        for number, (ours, previous) in self._in_front.items():
            if signal.getsignal(number) is ours:  # otherwise another handler has been installed in the meantime
                signal.signal(number, previous)
        self._in_front.clear()
        if self._bytes is not None:
            self._bytes.close()
            self._bytes = None

    def _handler(self, previous: Handler) -> Handler:
        def end_then_tell_server(number: int, frame: FrameType | None) -> None:
            delays = [] if self._delayed else list(_delays)
            if not delays:
                self._end()
                self._tell(previous, number, frame)
                return
            self._delayed = True

            def go_on(delay: Delay) -> None:
                delays.remove(delay)
                if not delays and not self.ending:  # otherwise a second signal has told the server
                    self._end()
                    self._tell(previous, number, None)

            for delay in list(delays):
                delay(partial(go_on, delay))

        return end_then_tell_server

    def _tell(self, previous: Handler, number: int, frame: FrameType | None) -> None:
        previous(number, frame)
        if self._bytes is not None:
            self._bytes.deliver(number)

    def _end(self) -> None:
        self.ending = self._holders > 0
        end_all()


def _runs_on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


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


@contextmanager
def delays_server(delay: Delay) -> Iterator[None]:
    """Call `delay` when the server is told to stop, and tell it only once that calls its argument."""
    _delays.add(delay)
    try:
        with signals_watched():
            yield
    finally:
        _delays.discard(delay)


def is_refreshable() -> bool:
    """Return True where handlers can be installed."""
    return threading.current_thread() is threading.main_thread()
