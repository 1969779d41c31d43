"""The client as the proxies in front of the application name it. Source: RFC 7239, and de facto fields before it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from typing import Literal

from pallasite._core import TrustedProxies, set_header
from pallasite._http import scope_keys
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["ForwardedMiddleware"]

_logger = logging.getLogger(__name__)

_SECURE = {"http": "https", "https": "https", "ws": "wss", "wss": "wss"}
_PLAIN = {"http": "http", "https": "http", "ws": "ws", "wss": "ws"}


class ForwardedMiddleware:
    """Replace the client and the scheme of requests and WebSockets by what trusted proxies say.

    The client is the last address that a trusted proxy has named and that is not a trusted proxy itself: what stands
    before it may be forged. An address that cannot be read ends the search. The peer's own address stays in
    the scope, as ``pallasite.peer``. Only one family of fields is read. Peers that are not trusted and send them are
    counted in `mistrusted`, and the first is logged.

    Add it last, so that everything inside sees the client. Turn the same feature of the server off.

    Args:
        trusted: addresses and networks of the proxies, ``"unix"`` for peers without an address, ``"*"`` for any peer.
        header: ``"x-forwarded"`` for ``X-Forwarded-For``, ``-Proto`` and so on, or ``"forwarded"`` for RFC 7239.
        hops: the number of proxies, instead of `trusted`, if their addresses are not known. No client may be able to
            reach the application without passing all of them.
        host: also replace the Host header. It is not checked: `allowed_hosts` does that.
        prefix: also put the path in ``X-Forwarded-Prefix``, which a proxy has removed, in front of the root path.

    Raises:
        ValueError: a network, `header` or `hops` is not valid, nothing is trusted, or `prefix` is used with RFC 7239,
            which has no such parameter.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted: Sequence[str] = ("127.0.0.1", "::1"),
        header: Literal["x-forwarded", "forwarded"] = "x-forwarded",
        hops: int | None = None,
        host: bool = False,
        prefix: bool = False,
    ) -> None:
        if header not in ("x-forwarded", "forwarded"):
            raise ValueError(f"header must be 'x-forwarded' or 'forwarded', not {header!r}")
        if hops is not None and not 1 <= hops <= 100:
            raise ValueError(f"hops must be the number of proxies, from 1 to 100, not {hops!r}")
        if prefix and header == "forwarded":
            raise ValueError("prefix needs header='x-forwarded': RFC 7239 has no parameter for it")
        names = {trusted} if isinstance(trusted, str) else set(trusted)
        if not names:
            raise ValueError("trusted is empty, so no proxy would be believed: name one, or leave the middleware out")
        self.app = app
        self.host = host
        self.prefix = prefix
        #: The number of requests with such fields from peers that are not trusted.
        self.mistrusted = 0
        self._trusts_all = hops is not None or "*" in names
        self._trusts_unix = self._trusts_all or "unix" in names
        networks = [_network(name) for name in sorted(names - {"*", "unix"})]
        if not networks and "*" in names and hops is None:
            hops = 1  # of unknown proxies, only the nearest can be told from the client
        self._proxies = TrustedProxies(networks, hops, header == "forwarded")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope_keys.PEER not in scope:
            self._read(scope)
        await self.app(scope, receive, send)

    def _read(self, scope: Scope) -> None:
        headers = scope["headers"]
        peer = scope[scope_keys.PEER] = scope.get("client")
        said = self._proxies.read(headers)
        prefix = self._proxies.prefix(headers) if self.prefix else None
        if said is None and prefix is None:
            return
        if not (self._trusts_all or (self._trusts_unix if peer is None else self._proxies.trusts(peer[0]))):
            self._mistrust(peer)
            return
        client, is_secure, host = said or (None, None, None)
        if client is not None:
            scope["client"] = client
        if is_secure is not None:
            scheme = scope.get("scheme", "http" if scope["type"] == "http" else "ws")
            scope["scheme"] = (_SECURE if is_secure else _PLAIN).get(scheme, scheme)
        if host is not None and self.host:
            scope["headers"] = headers = list(headers)  # the server may use its list again
            set_header(headers, "host", host.decode("ascii"))
        if prefix is not None:
            scope["root_path"] = prefix + scope.get("root_path", "")
            scope["path"] = prefix + scope["path"]
            if scope.get("raw_path") is not None:
                scope["raw_path"] = prefix.encode("ascii") + scope["raw_path"]

    def _mistrust(self, peer: tuple[str, int] | None) -> None:
        if not self.mistrusted:
            _logger.warning(
                "%s sent the fields of a proxy and is not trusted. If it is a proxy, add it to trusted.",
                "A peer without an address" if peer is None else peer[0],
            )
        self.mistrusted += 1


def _network(name: str) -> str:
    try:
        return str(ipaddress.ip_network(name))
    except ValueError as error:
        raise ValueError(f"trusted takes addresses and networks such as '10.0.0.0/8', not {name!r}: {error}") from None
