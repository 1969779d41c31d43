"""Requests are answered for known hosts only, which keeps forged Host headers out of links and caches."""

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
    """Answers 400 unless the one Host header names one of `allowed_hosts`; ports do not matter, nor does case.

    `*.example.com` allows each subdomain, `*` (the default) everything; an IPv6 address is written in brackets.
    Where `example.com` was asked for and only `www.example.com` is allowed, `www_redirect` sends the client there.
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
            self._sort_patterns()  # somebody has added to the list
        host = _host(scope)
        if host is not None and self._allows(host):
            await self.app(scope, receive, send)
        else:
            await self._refusal(scope, host)(scope, receive, send)

    def _allows(self, host: str) -> bool:
        # Some clients decode an escape: `evil.example%2f.example.com` would be another host then.
        return host in self._hosts or ("%" not in host and host.endswith(self._suffixes))

    def _refusal(self, scope: Scope, host: str | None) -> Response:
        if self.www_redirect and host is not None and f"www.{host}" in self._hosts:
            # On the Host header, which is one of ours: the application may have fixed another for its URLs.
            url = URL(scope={**scope, scope_keys.ORIGIN: None})
            return RedirectResponse(str(url.replace(netloc=f"www.{url.netloc}")))
        return PlainTextResponse("Invalid host header", status_code=400)

    def _sort_patterns(self) -> None:
        self._sorted_patterns = len(self.allowed_hosts)
        self._hosts = frozenset(pattern for pattern in self.allowed_hosts if not pattern.startswith("*"))
        self._suffixes = tuple(pattern[1:] for pattern in self.allowed_hosts if pattern.startswith("*"))


def check_host_patterns(patterns: Sequence[str]) -> None:
    """Raises AssertionError unless these are hosts, `*` or `*.` before a domain, in a list."""
    assert not isinstance(patterns, str), "allowed_hosts has to be a list of hosts"
    for pattern in patterns:
        assert "*" not in pattern[1:], ENFORCE_DOMAIN_WILDCARD
        assert pattern == "*" or pattern[:1] != "*" or pattern[1:2] == ".", ENFORCE_DOMAIN_WILDCARD


def _host(scope: Scope) -> str | None:
    """The host of the one Host header, in lower case; None where there is none, more than one, or it is no host."""
    named = request_host(scope["headers"])
    return None if named is None else named[0].lower()
