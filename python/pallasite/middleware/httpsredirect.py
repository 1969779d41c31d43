"""Redirects from `http` to `https`, and from `ws` to `wss`."""

from __future__ import annotations

from pallasite._http.host import parse_host_header
from pallasite._http.schemes import DEFAULT_PORTS, DEFAULT_SCHEMES, SECURE_SCHEMES
from pallasite.datastructures import URL
from pallasite.responses import PlainTextResponse, RedirectResponse, Response
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["HTTPSRedirectMiddleware"]

# Of either scheme: a proxy may leave the port of the other one in the header.
_DEFAULT_PORTS = {str(port) for port in DEFAULT_PORTS.values()}


class HTTPSRedirectMiddleware:
    """Redirect `http` and `ws` requests to the same URL with `https` or `wss` (307).

    A default port in the Host header is dropped, any other port is kept. A request without a valid host gets 400.

    The scheme in the scope decides. After a proxy that terminates TLS, configure the server to trust the proxy's
    headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        default = DEFAULT_SCHEMES.get(scope["type"])
        secure = default and SECURE_SCHEMES.get(scope.get("scheme", default))
        if secure:
            await _redirect(scope, secure)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _redirect(scope: Scope, scheme: str) -> Response:
    url = URL(scope=scope)
    address = parse_host_header(url.netloc)
    if address is None:
        return PlainTextResponse("Invalid host header", status_code=400)
    # The host keeps the brackets of an IPv6 address.
    is_default = address.port is not None and address.port.lstrip("0") in _DEFAULT_PORTS
    netloc = address.host if is_default else url.netloc
    return RedirectResponse(url.replace(scheme=scheme, netloc=netloc), status_code=307)
