"""Authentication and authorisation: backends, credentials, users, and `requires` to guard an endpoint."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec
from urllib.parse import urlencode

from pallasite._utils import is_async_callable
from pallasite.exceptions import HTTPException
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import RedirectResponse, Response
from pallasite.websockets import WebSocket

__all__ = [
    "AuthCredentials",
    "AuthenticationBackend",
    "AuthenticationError",
    "BaseUser",
    "SimpleUser",
    "UnauthenticatedUser",
    "has_required_scope",
    "requires",
]

_P = ParamSpec("_P")

_CONNECTION_TYPES: dict[str, type[HTTPConnection]] = {"request": Request, "websocket": WebSocket}


def has_required_scope(conn: HTTPConnection, scopes: Sequence[str]) -> bool:
    """Return True if the connection's credentials include all `scopes`."""
    granted = conn.auth.scopes
    return all(scope in granted for scope in scopes)


def requires(
    scopes: str | Sequence[str], status_code: int = 403, redirect: str | None = None
) -> Callable[[Callable[_P, Any]], Callable[_P, Any]]:
    """Guard an endpoint: a client without all `scopes` gets `status_code`, and a WebSocket is closed.

    The endpoint must have a parameter named ``request`` or ``websocket``.

    Args:
        scopes: the required scopes, or a single one.
        status_code: the status for other clients.
        redirect: the name of a route to redirect to (303) instead, with the requested URL as ``next``.
    """
    needed = [scopes] if isinstance(scopes, str) else list(scopes)

    def refusal(request: HTTPConnection) -> Response:
        if redirect is None:
            raise HTTPException(status_code=status_code)
        wanted = urlencode({"next": str(request.url)})
        return RedirectResponse(url=f"{request.url_for(redirect)}?{wanted}", status_code=303)

    def guard(func: Callable[_P, Any]) -> Callable[_P, Any]:
        position, kind = _find_connection(func)

        def connection(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPConnection:
            conn = kwargs.get(kind, args[position] if position < len(args) else None)
            expected = _CONNECTION_TYPES[kind]
            assert isinstance(conn, expected), (
                f"Parameter with name '{kind}' is required to be of type '{expected.__name__}'"
                f" not '{type(conn).__name__}'"
            )
            return conn

        @functools.wraps(func)
        async def guarded_websocket(*args: _P.args, **kwargs: _P.kwargs) -> None:
            websocket = connection(args, kwargs)
            if has_required_scope(websocket, needed):
                await func(*args, **kwargs)
            else:
                await websocket.close()  # type: ignore[attr-defined]

        @functools.wraps(func)
        async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            request = connection(args, kwargs)
            return await func(*args, **kwargs) if has_required_scope(request, needed) else refusal(request)

        @functools.wraps(func)
        def guarded_function(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            request = connection(args, kwargs)
            return func(*args, **kwargs) if has_required_scope(request, needed) else refusal(request)

        if kind == "websocket":
            return guarded_websocket
        return guarded if is_async_callable(func) else guarded_function

    return guard


def _find_connection(func: Callable[..., Any]) -> tuple[int, str]:
    """Return the position and name of the parameter for the request or WebSocket."""
    for position, name in enumerate(inspect.signature(func).parameters):
        if name in _CONNECTION_TYPES:
            return position, name
    raise Exception(f'No "request" or "websocket" argument on function "{func}"')


class AuthenticationError(Exception):
    """Raised by a backend if the client's credentials are wrong. Its text is sent to the client."""


class AuthCredentials:
    """The scopes granted to the client."""

    def __init__(self, scopes: Sequence[str] | None = None) -> None:
        self.scopes = list(scopes or ())


class BaseUser:
    """The base class of users. Subclasses implement these three properties."""

    @property
    def is_authenticated(self) -> bool:
        """True if the user is known."""
        raise NotImplementedError

    @property
    def display_name(self) -> str:
        """The name to display."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """The unique identifier of the user."""
        raise NotImplementedError


class SimpleUser(BaseUser):
    """An authenticated user with only a name."""

    def __init__(self, username: str) -> None:
        self.username = username

    is_authenticated = property(lambda self: True)
    display_name = property(lambda self: self.username)
    identity = property(lambda self: self.username)


class UnauthenticatedUser(BaseUser):
    """A user who is not authenticated."""

    is_authenticated = property(lambda self: False)
    display_name = property(lambda self: "")
    identity = property(lambda self: "")


class AuthenticationBackend:
    """The base class of backends, which identify the client."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Return the client's credentials and user, or None for an anonymous client.

        Raises:
            AuthenticationError: the client sent wrong credentials.
        """
        raise NotImplementedError
