"""Types of ASGI: scopes, messages, applications, lifespans and exception handlers. Source: ASGI 3.0."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pallasite.requests import Request
    from pallasite.responses import Response
    from pallasite.websockets import WebSocket

__all__ = [
    "ASGIApp",
    "AppType",
    "ExceptionHandler",
    "HTTPExceptionHandler",
    "Lifespan",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "StatefulLifespan",
    "StatelessLifespan",
    "WebSocketExceptionHandler",
]

# The facts of a connection, and one event on it. Plain mutable dicts: servers, middleware and tracers write to them.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# A lifespan surrounds the application's life. A stateful one also yields the mapping that becomes the state.
AppType = TypeVar("AppType")
StatelessLifespan = Callable[[AppType], AbstractAsyncContextManager[None]]
StatefulLifespan = Callable[[AppType], AbstractAsyncContextManager[Mapping[str, Any]]]
Lifespan = StatelessLifespan[AppType] | StatefulLifespan[AppType]

# Quoted, so that this module imports no other module of the package. The exception is Any, since a handler may require
# the class that it is registered for.
HTTPExceptionHandler = Callable[["Request", Any], "Response | Awaitable[Response]"]
WebSocketExceptionHandler = Callable[["WebSocket", Any], Awaitable[None]]
ExceptionHandler = HTTPExceptionHandler | WebSocketExceptionHandler
