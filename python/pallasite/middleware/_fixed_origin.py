"""A fixed origin for an application's absolute URLs, used instead of the Host header."""

from __future__ import annotations

from pallasite._http import scope_keys
from pallasite._http.origin import parse_origin
from pallasite._http.schemes import WEBSOCKET_SCHEMES
from pallasite.types import ASGIApp, Receive, Scope, Send


class FixedOrigin:
    """Make URLs built from the scope start with `base_url`, in this application and in those mounted in it."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        self.app = app
        scheme, authority = parse_origin(base_url)
        self._origins = {"http": (scheme, authority), "websocket": (WEBSOCKET_SCHEMES[scheme], authority)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = self._origins.get(scope["type"])
        if origin is not None:
            scope[scope_keys.ORIGIN] = origin
        await self.app(scope, receive, send)
