"""Cancel what handles a request: after a time limit, or once the client has disconnected.

Nothing is created until the handler waits for the first time: no timer, no task. On asyncio the handler is cancelled
as by `Task.cancel`, in the task that runs it; on trio by a cancel scope around it.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Generator
from time import monotonic
from types import CoroutineType
from typing import Any, cast

import anyio
import anyio.abc

from pallasite._http import scope_keys
from pallasite._runtime.disconnect import CLEAN_UP_SECONDS, Noticed
from pallasite._runtime.receive_watch import ReceiveWatch
from pallasite._runtime.worker_threads import ABANDONS
from pallasite._utils import create_collapsing_task_group
from pallasite.exceptions import ClientDisconnect, HTTPException
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Bounded", "RequestTimeout"]

_EVENT_STREAM = b"text/event-stream"
# A disconnect is looked for in handlers that have waited this long. Most are done before, and need no task for that.
_WATCH_AFTER_SECONDS = 0.01
# The messages that may end a response. Others, such as `http.response.debug`, say nothing of its body.
_LAST_MESSAGES = frozenset(("http.response.body", "http.response.pathsend", "http.response.zerocopysend"))


class RequestTimeout(HTTPException):
    """The handler of a request was cancelled, because the time limit was over. Source: RFC 9110 section 15.6.5.

    Attributes:
        seconds: the limit.
    """

    def __init__(self, seconds: float, status_code: int = 504) -> None:
        self.seconds = seconds
        super().__init__(status_code)

    def __str__(self) -> str:
        return f"The request was not handled within {self.seconds:g} seconds"


class Bounded:
    """An application whose requests are cancelled after `seconds`, and with `cancel_on_disconnect` without a client.

    Inside another one, its own settings replace those of the outer one: a route may take longer than its application
    allows. None leaves a setting as it is, and `math.inf` lifts the limit. WebSockets are passed on.

    Raises:
        RequestTimeout: from the call, if the time was over before the response was complete. If the response has
            started, the server must break it off.
        ClientDisconnect: from the call, if the client disconnected before the response started.
    """

    def __init__(
        self,
        app: ASGIApp,
        seconds: float | None = None,
        cancel_on_disconnect: bool | None = None,
        status_code: int = 504,
    ) -> None:
        self.app = app
        self.seconds = seconds
        self.cancel_on_disconnect = cancel_on_disconnect
        self.status_code = status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        outer: Bounds | None = scope.get(scope_keys.BOUNDS)
        if outer is not None and not outer.ended:
            outer.change(self.seconds, self.cancel_on_disconnect, self.status_code)
            await self.app(scope, receive, send)
            return
        bounds = Bounds(scope, receive, send, self)
        scope[scope_keys.BOUNDS] = bounds
        call: Any = self.app(scope, bounds.receive, bounds.send)
        if type(call) is not CoroutineType:
            call = _as_coroutine(call)
        if "trio" in sys.modules and _runs_on_trio():
            await _on_trio(bounds, call)
            return
        # Most handlers end without waiting: they need neither a timer nor a way to be cancelled.
        try:
            waits_for = call.send(None)
        except StopIteration:
            return
        await _on_asyncio(bounds, call, waits_for)


class Bounds:
    """The limits of one request, which may change while it is handled.

    Attributes:
        start: the message that started the response, or None.
        error: what the handler was cancelled for, or None.
        means: how to cancel the handler, once it waits.
    """

    start: Message | None = None
    _last: Awaitable[None] | None = None
    error: Exception | None = None
    means: _OnAsyncio | _OnTrio | None = None
    watch: ReceiveWatch | None = None
    _is_watched = False

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Bounded) -> None:
        self.seconds = settings.seconds
        self.cancel_on_disconnect = settings.cancel_on_disconnect
        self.status_code = settings.status_code
        self.begun = monotonic()
        self._scope = scope
        self._receive = receive
        self._send = send

    def change(self, seconds: float | None, cancel_on_disconnect: bool | None, status_code: int) -> None:
        """Use the settings of an inner application."""
        if seconds is not None:
            self.seconds, self.status_code = seconds, status_code
        if cancel_on_disconnect is not None:
            self.cancel_on_disconnect = cancel_on_disconnect
        if self.means is not None:
            self.arm(self.means)

    def arm(self, means: _OnAsyncio | _OnTrio) -> None:
        """Start what may cancel the handler, which is about to wait for the first time, or whose limits change."""
        self.means = means
        if self.ended:
            return
        if self.seconds is not None:
            means.set_timer(self.seconds - (monotonic() - self.begun))
        if self.cancel_on_disconnect and not self._is_watched:
            self._is_watched = True
            if self.watch is None:
                self.watch = ReceiveWatch(self._receive)
            means.watch_later(self.watch)

    def expire(self) -> None:
        """Cancel the handler, unless it may go on: its time is over."""
        assert self.seconds is not None
        if not self.ended and not _is_event_stream(self.start) and not _is_debugged(self._scope):
            self.cancel(RequestTimeout(self.seconds, self.status_code))

    def lose(self) -> None:
        """Cancel the handler: the client has disconnected. A response that has started ends by itself, properly."""
        if self.start is None:
            self.cancel(ClientDisconnect())

    def cancel(self, error: Exception) -> None:
        assert self.means is not None
        if self.error is None:
            self.error = error
            self.means.cancel()

    def receive(self) -> Awaitable[Message]:
        watch = self.watch
        if watch is None:
            if not self.cancel_on_disconnect:
                return self._receive()
            watch = self.watch = ReceiveWatch(self._receive)
        return watch.receive()

    def send(self, message: Message) -> Awaitable[None]:
        sending = self._send(message)
        kind = message["type"]
        if kind == "http.response.start":
            self.start = message
        elif kind in _LAST_MESSAGES and not message.get("more_body"):
            self._last = sending
        return sending

    @property
    def ended(self) -> bool:
        """True once the response is complete. The background tasks that follow are not cancelled."""
        # A coroutine that has returned has no frame. An awaitable of another kind is not waited for.
        return self._last is not None and getattr(self._last, "cr_frame", None) is None

    def raise_error(self, *, has_returned: bool, cause: BaseException | None = None) -> None:
        """Raise what the handler was cancelled for, unless it has completed the response in spite of that."""
        if self.error is not None and not (has_returned and self.ended):
            raise self.error from cause


async def _on_asyncio(bounds: Bounds, call: CoroutineType[Any, Any, None], waits_for: Any) -> None:
    """Await a coroutine that has begun to wait. It is cancelled by `Task.cancel`."""
    means = _OnAsyncio(bounds)
    already = means.task.cancelling()
    try:
        bounds.arm(means)
        await _Rest(call, waits_for)
    except asyncio.CancelledError as cause:
        if means.take_back() > already:
            raise  # cancelled by somebody else too
        bounds.raise_error(has_returned=False, cause=cause)
        raise
    finally:
        means.stop()
    bounds.raise_error(has_returned=True)


class _Rest:
    """Awaits the rest of a coroutine that has begun to wait."""

    __slots__ = ("call", "waits_for")

    def __init__(self, call: CoroutineType[Any, Any, None], waits_for: Any) -> None:
        self.call = call
        self.waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        call, waits_for = self.call, self.waits_for
        while True:
            try:
                yield waits_for
            except BaseException as error:
                try:
                    waits_for = call.throw(error)
                except StopIteration:
                    return
            else:
                # asyncio resumes with None, as `yield from` does first. From here on each wait costs nothing.
                yield from call.__await__()
                return


class _OnAsyncio:
    """Cancels the task itself, and repeats that if the handler takes too long to clean up."""

    timer: asyncio.TimerHandle | None = None
    watch_timer: asyncio.TimerHandle | None = None
    watching: asyncio.Task[None] | None = None
    cancelled = 0

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.loop = self.task.get_loop()

    def set_timer(self, seconds: float) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if seconds != math.inf:
            self.timer = self.loop.call_later(seconds, self.bounds.expire)

    def watch_later(self, watch: ReceiveWatch) -> None:
        self.watch_timer = self.loop.call_later(_WATCH_AFTER_SECONDS, watch.when_not_read, self._watch)

    def _watch(self, watch: ReceiveWatch) -> None:
        self.watching = self.loop.create_task(watch.run(self.bounds.lose))

    def cancel(self) -> None:
        self.cancelled += 1
        self.task.cancel()
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_later(CLEAN_UP_SECONDS, self.cancel)

    def take_back(self) -> int:
        """Undo the cancellations that were made here. Returns how many of others remain."""
        while self.cancelled:
            self.cancelled -= 1
            self.task.uncancel()
        return self.task.cancelling()

    def stop(self) -> None:
        self.take_back()
        for pending in (self.timer, self.watch_timer, self.watching):
            if pending is not None:
                pending.cancel()


async def _on_trio(bounds: Bounds, call: CoroutineType[Any, Any, None]) -> None:
    """Await a coroutine. It is cancelled by a scope, which must be there before its own. Threads are left to finish."""
    token = ABANDONS.set(True)
    has_returned = False
    try:
        async with create_collapsing_task_group() as group:
            means = _OnTrio(bounds, group)
            await Noticed(call, means.arm)
            has_returned = True
            group.cancel_scope.cancel()
    finally:
        ABANDONS.reset(token)
    bounds.raise_error(has_returned=has_returned)


class _OnTrio:
    """Cancels a scope around the handler."""

    def __init__(self, bounds: Bounds, group: anyio.abc.TaskGroup) -> None:
        self.bounds = bounds
        self.group = group
        self.sleep = anyio.CancelScope()

    def arm(self) -> bool:
        self.bounds.arm(self)
        return True

    def set_timer(self, seconds: float) -> None:
        self.sleep.cancel()
        if seconds != math.inf:
            self.sleep = anyio.CancelScope()
            self.group.start_soon(self._expire, seconds, self.sleep)

    async def _expire(self, seconds: float, sleep: anyio.CancelScope) -> None:
        with sleep:
            await anyio.sleep(seconds)
            self.bounds.expire()

    def watch_later(self, watch: ReceiveWatch) -> None:
        self.group.start_soon(self._watch_later, watch)

    async def _watch_later(self, watch: ReceiveWatch) -> None:
        await anyio.sleep(_WATCH_AFTER_SECONDS)
        watch.when_not_read(self._watch)

    def _watch(self, watch: ReceiveWatch) -> None:
        self.group.start_soon(watch.run, self.bounds.lose)

    def cancel(self) -> None:
        self.group.cancel_scope.cancel()


def _runs_on_trio() -> bool:
    try:
        return asyncio.current_task() is None  # as with trio as a guest of asyncio
    except RuntimeError:
        return True


async def _as_coroutine(call: Awaitable[None]) -> None:
    await call


def _is_event_stream(start: Message | None) -> bool:
    """Return True for a response that lasts as long as the client wants."""
    fields = () if start is None else start.get("headers", ())
    return any(name.lower() == b"content-type" and value.startswith(_EVENT_STREAM) for name, value in fields)


def _is_debugged(scope: Scope) -> bool:
    """Return True in debug mode below a debugger, whose user may think as long as necessary."""
    if not getattr(scope.get("app"), "debug", False):
        return False
    monitoring = getattr(sys, "monitoring", None)  # new in Python 3.12
    return sys.gettrace() is not None or (monitoring is not None and monitoring.get_tool(0) is not None)
