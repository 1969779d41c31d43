"""Protection against cross-site request forgery by the headers in which browsers say where a request comes from.

No token is needed, so pages may be cached and forms need no hidden field. Source: W3C Fetch Metadata Request Headers,
RFC 6454 section 7 (Origin). The steps are those of Go's `http.CrossOriginProtection`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pallasite._core import header_values
from pallasite._http import scope_keys
from pallasite._http.schemes import DEFAULT_PORTS
from pallasite.exceptions import HTTPException
from pallasite.problems import refuse
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["CrossOriginMiddleware", "CrossOriginRefused"]

_logger = logging.getLogger(__name__)

# Methods that change nothing. TRACE is none of them: pages cannot send it.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class CrossOriginRefused(HTTPException):
    """A page of another site sent a request that may change something.

    Attributes:
        reason: why it was refused, for logs.
        origin: the origin of the page as the browser gave it, or None.
    """

    def __init__(self, reason: str, origin: str | None = None, status_code: int = 403) -> None:
        self.reason = reason
        self.origin = origin
        super().__init__(status_code, detail="The request comes from a page of another site.")


class CrossOriginMiddleware:
    """Refuse requests that pages of other sites send with the cookies of the user, and their WebSockets.

    GET, HEAD and OPTIONS pass: they must not change anything. Programs that are not browsers pass too, because they
    send neither `Sec-Fetch-Site` nor `Origin`, and nobody can make them send the cookies of somebody else.

    Args:
        trusted_origins: origins whose pages may send anything, such as ``"https://login.example.org"``.
        exempt: path prefixes, such as ``"/webhooks/"``, where pages of any site may send anything.
        allow_same_site: let pages of other hosts below the same registrable domain pass. Only if all of them are as
            trustworthy as this one.
        report_only: let everything pass, and log as a warning what would be refused.
        status: the status code of the refusal.

    Raises:
        ValueError: an origin is not written as browsers write it, so that it would never match, a prefix does not start
            with a slash, or `status` is not an error's.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted_origins: Sequence[str] = (),
        exempt: Sequence[str] = (),
        allow_same_site: bool = False,
        report_only: bool = False,
        status: int = 403,
    ) -> None:
        if not 400 <= status <= 499:
            raise ValueError(f"status must be that of a client error (400 to 499), not {status!r}")
        self.app = app
        self.trusted_origins = frozenset(map(_check_origin, _sequence(trusted_origins)))
        self.exempt = tuple(map(_check_prefix, _sequence(exempt)))
        self.passing_sites = frozenset({"same-origin", "none"} | ({"same-site"} if allow_same_site else set()))
        self.report_only = report_only
        self.status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "websocket" or (kind == "http" and scope["method"] not in _SAFE):
            refusal = self._judge(scope)
            if refusal is not None:
                if not self.report_only:
                    await refuse(refusal, scope, receive, send)
                    return
                _logger.warning("Would refuse %s %s: %s", scope.get("method", kind), scope["path"], refusal.reason)
        await self.app(scope, receive, send)

    def _judge(self, scope: Scope) -> CrossOriginRefused | None:
        """Return the refusal of a request, or None if it passes."""
        headers = scope["headers"]
        sites, origins = header_values(headers, "sec-fetch-site"), header_values(headers, "origin")
        if len(sites) > 1 or len(origins) > 1:
            return self._refusal("a header that browsers send once is there twice", None)
        origin = origins[0] if origins else None
        if sites and sites[0]:
            if sites[0] in self.passing_sites:
                return None
            reason = f"Sec-Fetch-Site is {sites[0]!r}"
        elif origin is None:
            return None
        elif _is_of_host(origin, scope):
            # Browsers send no Sec-Fetch-Site to sites without TLS, except on the same machine.
            return None
        else:
            reason = f"Origin is {origin!r}"
        if origin in self.trusted_origins or scope["path"].startswith(self.exempt):
            return None
        return self._refusal(reason, origin)

    def _refusal(self, reason: str, origin: str | None) -> CrossOriginRefused:
        return CrossOriginRefused(reason, origin, self.status)


def _is_of_host(origin: str, scope: Scope) -> bool:
    """Return True if the page has the host and port that the request is addressed to. The scheme is ignored."""
    fixed = scope.get(scope_keys.ORIGIN)  # the application's `base_url`, for proxies that change the Host header
    hosts = [fixed[1]] if fixed is not None else header_values(scope["headers"], "host")
    scheme, separator, authority = origin.partition("://")
    if not separator or len(hosts) != 1:
        return False
    port = f":{DEFAULT_PORTS[scheme]}" if scheme in DEFAULT_PORTS else ":"
    return authority.lower().removesuffix(port) == hosts[0].lower().removesuffix(port)


def _sequence(values: Sequence[str]) -> Sequence[str]:
    return (values,) if isinstance(values, str) else values


def _check_origin(origin: str) -> str:
    scheme, separator, authority = origin.partition("://")
    port = DEFAULT_PORTS.get(scheme)
    if scheme not in ("http", "https") or not separator or not authority:
        problem = "needs a scheme, http or https, and a host"
    elif any(character in authority for character in "/?#@ "):
        problem = "must end after the host and port"
    elif origin != origin.lower():
        problem = "must be in lower case"
    elif authority.endswith(f":{port}"):
        problem = f"must not name the default port {port}"
    else:
        return origin
    raise ValueError(f"the trusted origin {origin!r} would never match: it {problem}, as in 'https://example.org'")


def _check_prefix(prefix: str) -> str:
    if not prefix.startswith("/"):
        raise ValueError(f"exempt takes path prefixes that start with a slash, not {prefix!r}")
    return prefix
