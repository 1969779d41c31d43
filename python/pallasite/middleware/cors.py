"""Cross-origin requests: which pages may read responses. Source: the Fetch standard, "HTTP CORS protocol"."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Collection

from pallasite._compat.stock import original
from pallasite._compat.warn import advise
from pallasite._core import find_header
from pallasite.datastructures import Headers, MutableHeaders
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ALL_METHODS", "SAFELISTED_HEADERS", "CORSMiddleware"]

ALL_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
SAFELISTED_HEADERS = {"Accept", "Accept-Language", "Content-Language", "Content-Type"}

_PREFLIGHT_VARY = ("Origin", *(f"Access-Control-Request-{name}" for name in ("Method", "Headers", "Private-Network")))
_ALLOW_ORIGIN = b"access-control-allow-origin"
# No page has this origin (RFC 2606), so a regex that matches it matches every origin.
_ANYBODY = "https://anybody.invalid"
_VARY_ORIGIN = (b"vary", b"Origin")


class CORSMiddleware:
    """Respond to preflight requests, and let pages of allowed origins read other responses.

    A preflight for something that is not allowed gets 400 and the reason. Other requests are never rejected: the
    browser enforces the headers.

    Args:
        allow_origins: complete origins such as `https://example.org`, or `"*"`.
        allow_methods: `"*"` allows all methods.
        allow_headers: `"*"` allows all headers.
        allow_credentials: allow cookies and other credentials. Responses then name the request's origin instead of
            `*`. Credentials together with every origin, by `"*"` or by a regex that matches any, let every page on
            the web act as its visitor and read the responses: a `SecurityWarning`.
        allow_origin_regex: must match a complete origin.
        allow_private_network: allow preflights for private network access.
        expose_headers: headers that pages may read beyond the safelisted ones.
        max_age: how long a browser may cache a preflight response, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_origins: Collection[str] = (),
        allow_methods: Collection[str] = ("GET",),
        allow_headers: Collection[str] = (),
        allow_credentials: bool = False,
        allow_origin_regex: str | None = None,
        allow_private_network: bool = False,
        expose_headers: Collection[str] = (),
        max_age: int = 600,
    ) -> None:
        self.app = app
        self.allow_origins = allow_origins
        self.allow_all_origins = "*" in allow_origins
        self.allow_origin_regex = None if allow_origin_regex is None else re.compile(allow_origin_regex)
        self.allow_methods = ALL_METHODS if "*" in allow_methods else allow_methods
        named_headers = sorted(SAFELISTED_HEADERS.union(allow_headers))
        self.allow_headers = [name.lower() for name in named_headers]
        self.allow_all_headers = "*" in allow_headers
        self.allow_credentials = allow_credentials
        self.allow_private_network = allow_private_network
        fits_any = self.allow_origin_regex is not None and self.allow_origin_regex.fullmatch(_ANYBODY) is not None
        if allow_credentials and (self.allow_all_origins or fits_any):
            advise(
                "allow_credentials with every origin lets any website act as the user; list trusted origins in"
                " allow_origins",
                stacklevel=2,
            )
        self.preflight_explicit_allow_origin = allow_credentials or not self.allow_all_origins

        credentials = {"Access-Control-Allow-Credentials": "true"} if allow_credentials else {}
        any_origin = {"Access-Control-Allow-Origin": "*"}
        exposed = {"Access-Control-Expose-Headers": ", ".join(expose_headers)} if expose_headers else {}
        self.simple_headers = {**(any_origin if self.allow_all_origins else {}), **credentials, **exposed}
        self.preflight_headers = {
            "Vary": ", ".join(_PREFLIGHT_VARY),
            **({} if self.preflight_explicit_allow_origin else any_origin),
            "Access-Control-Allow-Methods": ", ".join(self.allow_methods),
            "Access-Control-Max-Age": str(max_age),
            **({} if self.allow_all_headers else {"Access-Control-Allow-Headers": ", ".join(named_headers)}),
            **credentials,
        }

        # Raises for values that are not valid in a header: here rather than at every response.
        MutableHeaders({**self.simple_headers, **self.preflight_headers})

        self._fields: list[tuple[bytes, bytes]] = []
        self._fields_of: dict[str, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        origin = find_header(scope["headers"], "origin")
        if origin is not None and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "access-control-request-method" in headers:
                await self.preflight_response(request_headers=headers)(scope, receive, send)
                return
        own = type(self)
        # Fast path: copies `CORSMiddleware.simple_response`, `CORSMiddleware.send` and
        # `CORSMiddleware.allow_explicit_origin`; 35 % fewer instructions (bench: cors).
        if (
            own.simple_response is not _STOCK_SIMPLE_RESPONSE
            or own.send is not _STOCK_SEND
            or own.allow_explicit_origin is not _STOCK_ALLOW_EXPLICIT_ORIGIN
        ):
            await self.simple_response(scope, receive, send, request_headers=Headers(scope=scope))
            return

        def send_with_headers(message: Message) -> Awaitable[None]:
            # Not a coroutine: it returns the server's awaitable, which saves a frame per message.
            if message["type"] == "http.response.start":
                self._append_headers(message, origin)
            return send(message)

        await self.app(scope, receive, send_with_headers)

    def is_allowed_origin(self, origin: str) -> bool:
        """Return True if pages of this origin may read responses."""
        if self.allow_all_origins or origin in self.allow_origins:
            return True
        return self.allow_origin_regex is not None and self.allow_origin_regex.fullmatch(origin) is not None

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight request."""
        answer = dict(self.preflight_headers)
        refused = []

        # Servers reject line breaks in headers. If one passes them on, they must not be echoed.
        origin = request_headers["origin"]
        if not origin.isprintable() or not self.is_allowed_origin(origin=origin):
            refused.append("origin")
        elif self.preflight_explicit_allow_origin:
            answer["Access-Control-Allow-Origin"] = origin

        if request_headers["access-control-request-method"] not in self.allow_methods:
            refused.append("method")

        wanted = request_headers.get("access-control-request-headers")
        if wanted is not None:
            if self.allow_all_headers and wanted.isprintable():
                answer["Access-Control-Allow-Headers"] = wanted
            elif not all(name.strip() in self.allow_headers for name in wanted.lower().split(",")):
                refused.append("headers")

        if "access-control-request-private-network" in request_headers:
            if self.allow_private_network:
                answer["Access-Control-Allow-Private-Network"] = "true"
            else:
                refused.append("private-network")

        # Browsers do not need an error status to reject. It helps people who look for the reason.
        if refused:
            return PlainTextResponse(f"Disallowed CORS {', '.join(refused)}", status_code=400, headers=answer)
        return PlainTextResponse("OK", headers=answer)

    async def simple_response(self, scope: Scope, receive: Receive, send: Send, request_headers: Headers) -> None:
        """Run the application with `send` wrapped, for a request that is not a preflight."""

        async def wrapped(message: Message) -> None:
            await self.send(message, send=send, request_headers=request_headers)

        await self.app(scope, receive, wrapped)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Send a message of the application, with this middleware's headers at the start of the response."""
        if message["type"] == "http.response.start":
            headers = message["headers"] = list(message.get("headers", ()))
            origin = request_headers.get("origin")
            self._merge_headers(headers, origin is not None, self._named(origin))
        await send(message)

    @staticmethod
    def allow_explicit_origin(headers: MutableHeaders, origin: str) -> None:
        """Set `origin` as the one that may read the response."""
        headers["Access-Control-Allow-Origin"] = origin
        _vary_by_origin(headers)

    def _append_headers(self, message: Message, origin: str | None) -> None:
        """Do what `_merge_headers` does, by appending bytes if no field has to be replaced or joined."""
        present: list[tuple[bytes, bytes]]
        present = message["headers"] = list(message.get("headers", ()))
        named = self._named(origin)
        for pair in present:
            if pair[0] in _FIELD_NAMES:
                self._merge_headers(present, origin is not None, named)
                return
        if origin is not None:
            present += self._simple_fields()
        if named is not None:
            field = (_ALLOW_ORIGIN, named.encode("latin-1"))
            if self.allow_all_origins:
                present[:] = [field if pair[0] == _ALLOW_ORIGIN else pair for pair in present]
            else:
                present.append(field)
        present.append(_VARY_ORIGIN)

    def _merge_headers(self, raw: list[tuple[bytes, bytes]], is_cross_origin: bool, named: str | None) -> None:
        headers = MutableHeaders(raw=raw)
        if is_cross_origin:
            headers.update(self.simple_headers)
        if named is not None:
            self.allow_explicit_origin(headers, named)
        else:
            _vary_by_origin(headers)

    def _named(self, origin: str | None) -> str | None:
        """Return the request's origin if the response must name it, None for `*` and for no permission."""
        if origin is None:
            return None
        is_wanted = self.allow_credentials if self.allow_all_origins else self.is_allowed_origin(origin=origin)
        return origin if is_wanted and origin.isprintable() else None

    def _simple_fields(self) -> list[tuple[bytes, bytes]]:
        """Return `simple_headers` as bytes, encoded again if the dictionary has changed."""
        if self._fields_of != self.simple_headers:
            self._fields_of = dict(self.simple_headers)
            self._fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in self._fields_of.items()]
        return self._fields


_STOCK_SIMPLE_RESPONSE = original(CORSMiddleware, "simple_response")
_STOCK_SEND = original(CORSMiddleware, "send")
_STOCK_ALLOW_EXPLICIT_ORIGIN = original(CORSMiddleware, "allow_explicit_origin")

_FIELD_NAMES = frozenset(
    {_ALLOW_ORIGIN, b"access-control-allow-credentials", b"access-control-expose-headers", b"vary"}
)


def _vary_by_origin(headers: MutableHeaders) -> None:
    headers["Vary"] = ", ".join([*headers.getlist("Vary"), "Origin"])
