"""A time limit for requests and for reading their bodies. Source: RFC 9110 sections 15.5.9 (408) and 15.6.5 (504)."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from pallasite._compat.public import publish
from pallasite._http import scope_keys
from pallasite._runtime.bounded import Bounded, RequestTimeout
from pallasite._runtime.seconds import check_seconds
from pallasite._runtime.worker_threads import abandoned_threads
from pallasite.exceptions import HTTPException
from pallasite.problems import refuse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RequestTimeout", "SlowRequestBody", "TimeoutMiddleware", "abandoned_threads"]


class SlowRequestBody(HTTPException):
    """Raised by `receive()`: the body of a request did not arrive in time. Source: RFC 9110 section 15.5.9."""

    def __init__(self, detail: str) -> None:
        super().__init__(408, detail=detail, headers={"connection": "close"})


class TimeoutMiddleware:
    """Cancel requests that take too long, and respond with `status`.

    A response that has started is broken off instead. Event streams, WebSockets and the background tasks of a response
    are not limited. A route's own `timeout` replaces the limit. The thread of a `def` endpoint cannot be cancelled: the
    client is answered in time, and the thread is left to finish; `abandoned_threads()` counts those.

    Args:
        seconds: for the whole request, from its first line to the end of the response. None sets no limit.
        status: the status code of the response, 503 or 504 as a rule.
        body_idle: seconds that the application waits for the next part of the request's body.
        body_deadline: seconds for the whole body, from the start of the request. Either is answered with 408, and the
            connection is closed.
        exempt: path prefixes, such as ``"/reports/"``, without any of these limits.

    Raises:
        ValueError: no limit is given, a limit is not a positive number, `status` is not an error's, or a prefix does
            not start with a slash.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        seconds: float | None = None,
        status: int = 504,
        body_idle: float | None = None,
        body_deadline: float | None = None,
        exempt: Sequence[str] = (),
    ) -> None:
        if seconds is None and body_idle is None and body_deadline is None:
            raise ValueError("TimeoutMiddleware needs a limit: give seconds, body_idle or body_deadline")
        if not 400 <= status <= 599:
            raise ValueError(f"status must be that of an error (400 to 599), not {status!r}")
        self.app = Bounded(app, check_seconds("seconds", seconds), None, status)
        self.body_idle = check_seconds("body_idle", body_idle)
        self.body_deadline = check_seconds("body_deadline", body_deadline)
        self.exempt = (exempt,) if isinstance(exempt, str) else tuple(exempt)
        for prefix in self.exempt:
            if not prefix.startswith("/"):
                raise ValueError(f"exempt takes path prefixes that start with a slash, not {prefix!r}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope_keys.EXEMPT in scope or scope["path"].startswith(self.exempt):
            await self.app.app(scope, receive, send)
            return
        if self.body_idle is not None or self.body_deadline is not None:
            receive = _TimedBody(receive, self.body_idle, self.body_deadline).receive
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except (RequestTimeout, SlowRequestBody) as error:
            if started:
                raise
            await refuse(error, scope, receive, send)


class _TimedBody:
    """A `receive` that waits a limited time for the parts of a body."""

    def __init__(self, receive: Receive, idle: float | None, deadline: float | None) -> None:
        self._receive = receive
        self._idle = idle
        self._seconds = deadline
        self._until = None if deadline is None else anyio.current_time() + deadline
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        limits = [] if self._idle is None else [anyio.current_time() + self._idle]
        limits += [] if self._until is None else [self._until]
        with anyio.CancelScope(deadline=min(limits)) as scope:
            message = await self._receive()
            self._is_complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message
        assert scope.cancelled_caught
        if self._until is not None and self._until <= anyio.current_time():
            raise SlowRequestBody(f"The request body did not arrive within {self._seconds:g} seconds")
        raise SlowRequestBody(f"No part of the request body arrived for {self._idle:g} seconds")


publish(globals())
