"""Which pages may open a WebSocket. Browsers let any page open one to any site, with that site's cookies, and name the
page's origin in the handshake. Source: RFC 6455 section 10.2; origins as text: RFC 6454 section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from pallasite._core import header_values
from pallasite.types import Scope

ANY = "*"
SELF = "self"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_admitted(scope: Scope, origins: Iterable[str]) -> bool:
    """Whether a handshake comes from one of these origins, or from no page at all: then it has no Origin field.

    ``"https://example.org"`` is one origin, ``"https://*.example.org"`` any host below that domain, ``"self"`` the host
    and port that the handshake is addressed to, and ``"*"`` any. Two Origin fields are refused.
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
        # Not the scheme: a proxy in front may speak TLS where the server does not.
        hosts = header_values(scope["headers"], "host")
        return bool(separator) and len(hosts) == 1 and _plain(f"{scheme}://{hosts[0]}") == origin
    wanted = _plain(entry)
    before, star, domain = wanted.partition("://*.")
    if star:
        return scheme == before and place.endswith("." + domain)
    return origin == wanted


def _plain(origin: str) -> str:
    """An origin as browsers write it: in lower case, without the default port and what may stand behind it."""
    origin = origin.lower().rstrip("/")
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))
