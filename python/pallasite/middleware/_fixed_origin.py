"""The origin that an application's absolute URLs begin with, whatever Host header a client sends."""

from __future__ import annotations

from pallasite._http import scope_keys
from pallasite._http.host import parse_host_header
from pallasite.types import ASGIApp, Receive, Scope, Send

_SCHEMES = {"http": "ws", "https": "wss"}


def parse_origin(base_url: str) -> tuple[str, str]:
    """Scheme and authority of a URL that has nothing else.

    Raises:
        ValueError: it is none of `http` or `https`, names no valid host, or has a path, a query or user information.
    """
    scheme, _, rest = base_url.partition("://")
    authority = rest.removesuffix("/")
    host = parse_host_header(authority)
    if scheme not in _SCHEMES or host is None or not host.is_valid_port:
        raise ValueError(
            f"base_url has to be a scheme and a host, such as 'https://example.org', not {base_url!r}; a path before"
            " all others is the server's root_path"
        )
    return scheme, authority


class FixedOrigin:
    """Has URLs made from the scope begin with `base_url`: in here, and in the applications mounted below."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        self.app = app
        scheme, authority = parse_origin(base_url)
        self._origins = {"http": (scheme, authority), "websocket": (_SCHEMES[scheme], authority)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = self._origins.get(scope["type"])
        if origin is not None:
            scope[scope_keys.ORIGIN] = origin
        await self.app(scope, receive, send)
