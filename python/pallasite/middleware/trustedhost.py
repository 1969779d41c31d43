"""Allowed hosts: rejects forged Host headers before they reach links and caches."""

from __future__ import annotations

from collections.abc import Sequence

from pallasite._core import request_host
from pallasite._http import scope_keys
from pallasite.datastructures import URL
from pallasite.responses import PlainTextResponse, RedirectResponse, Response
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["ENFORCE_DOMAIN_WILDCARD", "TrustedHostMiddleware", "check_host_patterns"]

ENFORCE_DOMAIN_WILDCARD = "Domain wildcard patterns must be like '*.example.com'."


class TrustedHostMiddleware:
    """Respond with 400 unless there is exactly one Host header and it names an allowed host.

    Args:
        allowed_hosts: hosts without ports, in any case. `*.example.com` allows every subdomain, `*` (the default) every
            host. IPv6 addresses are written in brackets.
        www_redirect: redirect from `example.com` to `www.example.com` if only the latter is allowed.

    Deviation: a final dot is not part of the name: `example.com.` is `example.com` (RFC 1034 section 3.1).

    Source: RFC 9110 section 7.2.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str] | None = None, www_redirect: bool = True) -> None:
        self.app = app
        self.allowed_hosts = ["*"] if allowed_hosts is None else [pattern.lower() for pattern in allowed_hosts]
        check_host_patterns(self.allowed_hosts if allowed_hosts is None else allowed_hosts)
        self.allow_any = "*" in self.allowed_hosts
        self.www_redirect = www_redirect
        self._sort_patterns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.allow_any or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if len(self.allowed_hosts) != self._sorted_patterns:
            self._sort_patterns()  # the list was changed after construction
        host = _host(scope)
        if host is not None and self._allows(host):
            await self.app(scope, receive, send)
        else:
            await self._refusal(scope, host)(scope, receive, send)

    def _allows(self, host: str) -> bool:
        # Some clients decode escapes: for them `evil.example%2f.example.com` is another host.
        return host in self._hosts or ("%" not in host and host.endswith(self._suffixes))

    def _refusal(self, scope: Scope, host: str | None) -> Response:
        if self.www_redirect and host is not None and f"www.{host}" in self._hosts:
            # Based on the Host header, which is known here: the application may have a fixed origin for its URLs.
            url = URL(scope={**scope, scope_keys.ORIGIN: None})
            return RedirectResponse(str(url.replace(netloc=f"www.{url.netloc}")))
        return PlainTextResponse("Invalid host header", status_code=400)

    def _sort_patterns(self) -> None:
        self._sorted_patterns = len(self.allowed_hosts)
        patterns = [pattern.removesuffix(".") for pattern in self.allowed_hosts]
        self._hosts = frozenset(pattern for pattern in patterns if not pattern.startswith("*"))
        self._suffixes = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*"))


def check_host_patterns(patterns: Sequence[str]) -> None:
    """Raise AssertionError unless `patterns` is a list of hosts, `*`, or domains after `*.`."""
    assert not isinstance(patterns, str), "allowed_hosts must be a list of hosts, got a string"
    for pattern in patterns:
        assert "*" not in pattern[1:], ENFORCE_DOMAIN_WILDCARD
        assert pattern == "*" or pattern[:1] != "*" or pattern[1:2] == ".", ENFORCE_DOMAIN_WILDCARD


def _host(scope: Scope) -> str | None:
    """Return the host in lower case, or None unless there is exactly one valid Host header."""
    named = request_host(scope["headers"])
    return None if named is None else named[0].lower()
