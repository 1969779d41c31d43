"""Turn an exception into a response: the one place that finds and calls a handler.

`ExceptionMiddleware` puts its two tables into the scope, and the code that runs an endpoint looks them up there. So the
handler receives the same request object as the endpoint, including a body that was read. The look-up happens before the
endpoint runs, because an inner application puts its own tables into the same scope.
"""

from __future__ import annotations

from inspect import CO_COROUTINE, isawaitable
from typing import TYPE_CHECKING, Any

from pallasite._compat import mode
from pallasite._core import Observer
from pallasite._http import scope_keys
from pallasite._http.close_frame import cut_reason
from pallasite._runtime.calls import boxed
from pallasite._utils import is_async_callable
from pallasite.concurrency import run_in_threadpool
from pallasite.exceptions import ClientDisconnect, HTTPException
from pallasite.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

if TYPE_CHECKING:
    from pallasite.requests import Request
    from pallasite.websockets import WebSocket

__all__ = [
    "HANDLERS_SCOPE_KEY",
    "ExceptionHandlers",
    "Handlers",
    "StatusHandlers",
    "find_handler",
    "respond_to_exception",
    "wrap_app_handling_exceptions",
]

ExceptionHandlers = dict[Any, ExceptionHandler]
StatusHandlers = dict[int, ExceptionHandler]
Handlers = tuple[ExceptionHandlers, StatusHandlers]

HANDLERS_SCOPE_KEY = scope_keys.HANDLERS

# The close codes for errors raised after the handshake: 1009 too big, 1013 try again later. Other errors of the client
# are 1008, those of the server 1011 (RFC 6455 section 7.4.1).
_CLOSE_CODES = {413: 1009, 429: 1013, 503: 1013}


def find_handler(handlers: Handlers, exc: Exception) -> ExceptionHandler | None:
    """Return the handler for `exc`, or None. An `HTTPException` is looked up by status first, then by nearest class."""
    by_class, by_status = handlers
    if by_status and isinstance(exc, HTTPException):
        handler = by_status.get(exc.status_code)
        if handler is not None:
            return handler
    for cls in type(exc).__mro__:
        handler = by_class.get(cls)
        if handler is not None:
            return handler
    return None


async def respond_to_exception(
    handlers: Handlers | None,
    exc: Exception,
    conn: Request | WebSocket,
    scope: Scope,
    receive: Receive,
    send: Observer,
) -> bool:
    """Send the response of the handler for `exc`. Return False if there is none.

    A handler that is a sync function runs in a worker thread. After the handshake of a WebSocket, a response closes it
    instead: with 1008, 1009, 1011 or 1013, depending on the status of an `HTTPException`.

    Deviation: False is returned if a response has already started, so that the caller raises the exception itself. In
    compatibility mode a RuntimeError takes its place, as Starlette's tests require, unless the client has disconnected.
    """
    handler = None if handlers is None else find_handler(handlers, exc)
    if handler is None:
        return False
    if send.started:
        if isinstance(exc, ClientDisconnect):
            return False  # the client is gone, so the handler's response has no reader
        if mode.current.masks_late_exceptions:
            raise RuntimeError("Caught handled exception, but response already started.") from exc
        return False
    code = getattr(handler, "__code__", None)
    # Most handlers are coroutine functions or bound methods of one: a flag of their code is the fastest check.
    response: Any
    if (code is not None and code.co_flags & CO_COROUTINE) or is_async_callable(handler):
        response = await handler(conn, exc)  # type: ignore[arg-type, misc]
    else:
        (response,) = await run_in_threadpool(boxed, handler, conn, exc)
        if isawaitable(response):  # of a decorated coroutine function, say
            response = await response
    if response is not None:
        if scope["type"] == "websocket" and (send.is_open or send.is_closed):
            await _close_websocket(exc, send)
        else:
            await response(scope, receive, send)
    # An exception object that is raised repeatedly would collect the frames of every request.
    exc.__traceback__ = None
    return True


async def _close_websocket(exc: Exception, send: Observer) -> None:
    """Close a WebSocket instead of sending the response of a handler, for which it is too late after the handshake.

    Deviation: the response is not sent. Servers take it for a mistake of the application, and lose the exception.
    """
    if send.is_closed:
        return
    code, reason = 1011, ""
    if isinstance(exc, HTTPException):
        code = _CLOSE_CODES.get(exc.status_code, 1008 if exc.status_code < 500 else 1011)
        reason = exc.detail if isinstance(exc.detail, str) else ""
    await send({"type": "websocket.close", "code": code, "reason": cut_reason(reason)})


def wrap_app_handling_exceptions(app: ASGIApp, conn: Request | WebSocket) -> ASGIApp:
    """Return an application that runs `app` and handles its exceptions with the handlers in the connection's scope."""

    handlers = conn.scope.get(HANDLERS_SCOPE_KEY)

    async def wrapped_app(scope: Scope, receive: Receive, send: Send) -> None:
        observed = Observer.of(scope, send)
        try:
            await app(scope, receive, observed)
        except Exception as exc:
            if not await respond_to_exception(handlers, exc, conn, scope, receive, observed):
                raise

    return wrapped_app
