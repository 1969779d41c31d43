"""Turn endpoint functions into ASGI applications. Public in `pallasite.routing`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, final

from pallasite._core import Observer
from pallasite._exception_handler import HANDLERS_SCOPE_KEY, respond_to_exception
from pallasite._routing.mistakes import explain_result
from pallasite._runtime.calls import call_in_threadpool
from pallasite._utils import is_async_callable
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.types import ASGIApp, Receive, Scope, Send
from pallasite.websockets import WebSocket


@final
class FunctionApp:
    """The function of an `app` made by `request_response`, so that a router can run it in its own frame."""

    __slots__ = ("app", "func")

    def __init__(self, app: ASGIApp, func: Callable[[Request], Awaitable[Response]]) -> None:
        self.app = app
        self.func = func


def request_response(func: Callable[[Request], Awaitable[Response] | Response]) -> ASGIApp:
    """Return an ASGI application that responds with the result of `func`. A sync function runs in a worker thread.

    The application is a function, which distinguishes it from the classes and instances that routes accept as
    applications.
    """
    call: Callable[[Request], Awaitable[Response]]
    if is_async_callable(func):
        call = func
    else:
        in_thread: Any = call_in_threadpool
        call = functools.partial(in_thread, func)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request = Request(scope, receive, send)
        # Exceptions are handled here, inside the route's own middleware, so that the middleware sees a response.
        handlers = scope.get(HANDLERS_SCOPE_KEY)
        observed = Observer.of(scope, send)
        try:
            response = await call(request)
            if not callable(response):
                raise explain_result(func, response, scope["path"])
            await response(scope, receive, observed)
        except Exception as exc:
            if not await respond_to_exception(handlers, exc, request, scope, receive, observed):
                raise

    app._function_app = FunctionApp(app, call)  # type: ignore[attr-defined]  # the native table of routes reads it
    return app


def websocket_session(func: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    """Return an ASGI application that passes each websocket to the coroutine function `func`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        observed = Observer.of(scope, send)
        session: WebSocket = WebSocket(scope, receive, observed)
        handlers = scope.get(HANDLERS_SCOPE_KEY)
        try:
            await func(session)
        except Exception as exc:
            if not await respond_to_exception(handlers, exc, session, scope, receive, observed):
                raise

    return app
