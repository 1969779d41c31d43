"""Who the client is and what it may do: backends, credentials, users, and `requires` to guard an endpoint."""

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
    """Whether the connection's credentials include every one of `scopes`."""
    granted = conn.auth.scopes
    return all(scope in granted for scope in scopes)


def requires(
    scopes: str | Sequence[str], status_code: int = 403, redirect: str | None = None
) -> Callable[[Callable[_P, Any]], Callable[_P, Any]]:
    """Guards an endpoint: without all of `scopes` the client gets `status_code`.

    With `redirect`, the name of a route, it is sent there (303) with the page it wanted as ``next``. A websocket is
    closed. The endpoint needs a parameter called ``request`` or ``websocket``.
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
    """The position and the name of the parameter that takes the request or websocket."""
    for position, name in enumerate(inspect.signature(func).parameters):
        if name in _CONNECTION_TYPES:
            return position, name
    raise Exception(f'No "request" or "websocket" argument on function "{func}"')


class AuthenticationError(Exception):
    """Raised by a backend when the client's credentials are wrong. Its text goes to the client."""


class AuthCredentials:
    """What the client may do: a list of scopes."""

    def __init__(self, scopes: Sequence[str] | None = None) -> None:
        self.scopes = list(scopes or ())


class BaseUser:
    """What is known of a user. Give these three properties in a subclass."""

    @property
    def is_authenticated(self) -> bool:
        """Whether the user is known."""
        raise NotImplementedError

    @property
    def display_name(self) -> str:
        """The name to show."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """What tells this user from all others."""
        raise NotImplementedError


class SimpleUser(BaseUser):
    """A known user of whom there is nothing but a name."""

    def __init__(self, username: str) -> None:
        self.username = username

    is_authenticated = property(lambda self: True)
    display_name = property(lambda self: self.username)
    identity = property(lambda self: self.username)


class UnauthenticatedUser(BaseUser):
    """A user of whom nothing is known."""

    is_authenticated = property(lambda self: False)
    display_name = property(lambda self: "")
    identity = property(lambda self: "")


class AuthenticationBackend:
    """Says who the client is."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """The client's credentials and user; None for an anonymous one.

        Raises:
            AuthenticationError: the client showed credentials, and they are wrong.
        """
        raise NotImplementedError
