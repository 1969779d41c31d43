"""Origins (RFC 6454 section 6.2): the one that absolute URLs start with, and those whose pages may open a WebSocket.

Browsers let any page open a WebSocket to any site, with that site's cookies, and send the page's origin in the
handshake. Source: RFC 6455 section 10.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from pallasite._core import header_values
from pallasite._http.host import parse_host_header
from pallasite._http.schemes import DEFAULT_PORTS, WEBSOCKET_SCHEMES
from pallasite.types import Scope

ANY = "*"
SELF = "self"


def parse_origin(base_url: str) -> tuple[str, str]:
    """Return the scheme and authority of a URL that consists of these alone.

    Raises:
        ValueError: the scheme is not http or https, the host is invalid, or there is a path, query or user information.
    """
    scheme, _, rest = base_url.partition("://")
    authority = rest.removesuffix("/")
    host = parse_host_header(authority)
    if scheme not in WEBSOCKET_SCHEMES or host is None or not host.is_valid_port:
        raise ValueError(
            f"base_url must be a scheme and a host, such as 'https://example.org', got {base_url!r}; configure a path"
            " prefix as the server's root_path"
        )
    return scheme, authority


def is_admitted(scope: Scope, origins: Iterable[str]) -> bool:
    """Return True if a handshake has one of these origins, or no Origin field, which means it comes from no page.

    ``"https://example.org"`` is a single origin. ``"https://*.example.org"`` is any host below that domain. ``"self"``
    is the host and port that the handshake is addressed to. ``"*"`` is any origin. Two Origin fields are rejected.
    """
    given = header_values(scope["headers"], "origin")
    if not given:
        return True
    origin = _plain(given[0])
    return len(given) == 1 and any(_fits(origin, entry, scope) for entry in origins)


def _fits(origin: str, entry: str, scope: Scope) -> bool:
    if entry == ANY:
        return True
    scheme, separator, place = origin.partition("://")
    if entry == SELF:
        # The scheme is ignored: a proxy may speak TLS where the server does not.
        hosts = header_values(scope["headers"], "host")
        return bool(separator) and len(hosts) == 1 and _plain(f"{scheme}://{hosts[0]}") == origin
    wanted = _plain(entry)
    before, star, domain = wanted.partition("://*.")
    if star:
        return scheme == before and place.endswith("." + domain)
    return origin == wanted


def _plain(origin: str) -> str:
    """Return an origin as browsers write it: in lower case, without the default port and without a trailing slash."""
    origin = origin.lower().rstrip("/")
    port = DEFAULT_PORTS.get(origin.partition("://")[0])
    return origin if port is None else origin.removesuffix(f":{port}")
