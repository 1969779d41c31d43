"""Authentication: a backend identifies the client before the application runs."""

from __future__ import annotations

from collections.abc import Callable

from pallasite.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, UnauthenticatedUser
from pallasite.requests import HTTPConnection
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["AuthenticationMiddleware"]


class AuthenticationMiddleware:
    """Set ``request.user`` and ``request.auth`` to the result of `backend`.

    Args:
        backend: identifies the client of each HTTP request and WebSocket.
        on_error: ``on_error(conn, exc)`` returns the response for wrong credentials. By default, 400 with the error's
            text. A WebSocket is closed instead.
    """

    def __init__(
        self,
        app: ASGIApp,
        backend: AuthenticationBackend,
        on_error: Callable[[HTTPConnection, AuthenticationError], Response] | None = None,
    ) -> None:
        self.app = app
        self.backend = backend
        self.on_error = self.default_on_error if on_error is None else on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" or kind == "websocket":
            conn: HTTPConnection = HTTPConnection(scope)
            try:
                result = await self.backend.authenticate(conn)
            except AuthenticationError as exc:
                refusal = self.on_error(conn, exc)
                if kind == "websocket":
                    await send({"type": "websocket.close", "code": 1000})
                else:
                    await refusal(scope, receive, send)
                return
            scope["auth"], scope["user"] = result or (AuthCredentials(), UnauthenticatedUser())
        await self.app(scope, receive, send)

    @staticmethod
    def default_on_error(conn: HTTPConnection, exc: Exception) -> Response:
        """Return a 400 response with the error's text."""
        return PlainTextResponse(str(exc), status_code=400)
