"""OpenTelemetry spans for requests. Source: OpenTelemetry's semantic conventions for HTTP servers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

try:
    from opentelemetry import context, metrics, propagate, trace
    from opentelemetry.propagators.textmap import Getter
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
except ImportError as error:
    raise ImportError("opentelemetry-api must be installed to use OpenTelemetryMiddleware") from error

from pallasite import __version__
from pallasite._core import find_header, header_items, header_values
from pallasite._http import scope_keys
from pallasite._observability.route_template import route_template
from pallasite.datastructures import URL
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["OpenTelemetryMiddleware"]


class OpenTelemetryMiddleware:
    """Create a server span for each HTTP request, named after its method and route.

    The client's span, if the request carries one, is its parent. WebSockets are not traced. The attributes of the
    spans may still change. Requires the `opentelemetry-api` package.

    Args:
        excluded_urls: regular expressions, as a sequence or separated by commas. A request gets no span if one of
            them matches anywhere in its complete URL.
        tracer_provider: the global tracer provider by default.
        meter_provider: accepted for compatibility; no metrics are recorded.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        excluded_urls: str | Sequence[str] = (),
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self.app = app
        patterns = excluded_urls.split(",") if isinstance(excluded_urls, str) else excluded_urls
        self._excluded_urls = [re.compile(pattern.strip()) for pattern in patterns if pattern.strip()]
        self._tracer_provider = tracer_provider or trace.get_tracer_provider()
        self._meter_provider = meter_provider
        self._tracer: trace.Tracer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope.get(scope_keys.OPENTELEMETRY):
            await self.app(scope, receive, send)
            return
        scope[scope_keys.OPENTELEMETRY] = True
        try:
            await self._run(scope, receive, send)
        finally:
            del scope[scope_keys.OPENTELEMETRY]

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(self._tracer_provider, trace.NoOpTracerProvider):
            await self.app(scope, receive, send)
            return
        url = URL(scope=scope)
        if self._excluded_urls:
            whole = str(url)
            if any(pattern.search(whole) for pattern in self._excluded_urls):
                await self.app(scope, receive, send)
                return

        headers = scope.get("headers", ())
        method = scope.get("method", "").upper()
        if self._tracer is None:
            self._tracer = self._tracer_provider.get_tracer("pallasite", __version__)
        parent = propagate.extract(headers, getter=_GETTER)
        span = self._tracer.start_span(
            method, context=parent, kind=SpanKind.SERVER, attributes=_request_attributes(scope, url, headers)
        )
        if scope_keys.REQUEST_ID in scope:
            scope[scope_keys.TRACE_ID] = span.get_span_context().trace_id or None
        # The context manager of the API does the same with two generators: 6 us of 24 at 1 % sampled.
        token = context.attach(trace.set_span_in_context(span, parent))
        try:
            if span.is_recording():
                await self._run_recorded(span, method, scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            context.detach(token)
            span.end()

    async def _run_recorded(self, span: Span, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        def send_with_telemetry(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                _note_status(span, message["status"])
            return send(message)

        try:
            await self.app(scope, receive, send_with_telemetry)
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            # The route is known only now.
            route = route_template(scope)
            if route is not None:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)


class _Getter(Getter[Iterable[tuple[bytes, bytes]]]):
    """Reads those fields that a propagator asks for."""

    def get(self, carrier: Iterable[tuple[bytes, bytes]], key: str) -> list[str] | None:
        return header_values(carrier, key) or None

    def keys(self, carrier: Iterable[tuple[bytes, bytes]]) -> list[str]:
        return [name for name, _ in header_items(carrier)]


_GETTER = _Getter()


def _request_attributes(scope: Scope, url: URL, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str | int]:
    method = scope.get("method", "")
    client, server = scope.get("client"), scope.get("server")
    address, port = _address(url)
    known: dict[str, Any] = {
        "http.request.method": method.upper(),
        "http.request.method_original": method if method != method.upper() else None,
        "url.path": scope.get("path", ""),
        "url.scheme": scope.get("scheme", "http"),
        "url.query": url.query or None,
        "network.protocol.version": scope.get("http_version") or None,
        "client.address": client[0] if client is not None else None,
        "user_agent.original": find_header(headers, "user-agent") or None,
    }
    if address is not None:
        known["server.address"] = address
        known["server.port"] = server[1] if port is None and server is not None else port
    return {name: value for name, value in known.items() if value is not None}


def _address(url: URL) -> tuple[str | None, int | None]:
    """Return the server's name and port from the URL; None if the client sent an invalid one."""
    try:
        return url.hostname, url.port
    except ValueError:
        return None, None


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))
