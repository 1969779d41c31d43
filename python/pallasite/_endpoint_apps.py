"""Endpoint functions made into ASGI applications. Public in `pallasite.routing`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from pallasite._core import Observer
from pallasite._exception_handler import HANDLERS_SCOPE_KEY, respond_to_exception
from pallasite._utils import is_async_callable
from pallasite.concurrency import run_in_threadpool
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.types import ASGIApp, Receive, Scope, Send
from pallasite.websockets import WebSocket


class FunctionApp:
    """The ASGI application around an endpoint function ``func(request) -> response``.

    Exceptions are answered here, inside the route's own middleware, so that those see a response.
    """

    __slots__ = ("func",)

    def __init__(self, func: Callable[[Request], Awaitable[Response]]) -> None:
        self.func = func

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: Request = Request(scope, receive, send)
        handlers = scope.get(HANDLERS_SCOPE_KEY)
        observed = send if type(send) is Observer else Observer(send)
        try:
            response = await self.func(request)
            await response(scope, receive, observed)
        except Exception as exc:
            if not await respond_to_exception(handlers, exc, request, scope, receive, observed):
                raise


class SessionApp:
    """The ASGI application around a websocket endpoint function ``func(websocket)``."""

    __slots__ = ("func",)

    def __init__(self, func: Callable[[WebSocket], Awaitable[None]]) -> None:
        self.func = func

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session: WebSocket = WebSocket(scope, receive, send)
        handlers = scope.get(HANDLERS_SCOPE_KEY)
        try:
            await self.func(session)
        except Exception as exc:
            observed = send if type(send) is Observer else Observer(send)
            if not await respond_to_exception(handlers, exc, session, scope, receive, observed):
                raise


def request_response(func: Callable[[Request], Awaitable[Response] | Response]) -> ASGIApp:
    """An ASGI application that answers with what `func` returns; an ordinary function runs in a worker thread."""
    if is_async_callable(func):
        return FunctionApp(func)
    return FunctionApp(functools.partial(run_in_threadpool, func))  # type: ignore[arg-type, call-arg]


def websocket_session(func: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    """An ASGI application that hands each websocket to the coroutine function `func`."""
    return SessionApp(func)


for _public in (request_response, websocket_session):
    _public.__module__ = "pallasite.routing"
