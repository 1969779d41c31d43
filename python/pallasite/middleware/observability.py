"""Request ids, an access log, metrics and traces, in one layer.

Sources: OpenTelemetry's semantic conventions for HTTP servers, Prometheus' text exposition format 0.0.4, Apache's
Combined Log Format, RFC 9562 section 5.7 (ids).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Literal

import anyio
from anyio import to_thread

from pallasite._core import Observer, ResponseRecord, encode_header, forget_random
from pallasite._http import scope_keys
from pallasite._observability.access_log import FORMATS, AccessLog, Entry
from pallasite._observability.counters import Counters
from pallasite._observability.exposition import MEDIA_TYPE, exposition
from pallasite._observability.route_template import route_template
from pallasite._runtime.request_id import current
from pallasite._utils import get_route_path
from pallasite.requests import ClientDisconnect
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["ObservabilityMiddleware", "RequestIdFilter"]

#: Names of query parameters that usually hold a secret.
SECRETS = (
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "client_secret",
    "code",
    "key",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_random)

# Each middleware of a process counts for itself. Workers create theirs in the same order.
_numbers = count()


class RequestIdFilter(logging.Filter):
    """Give every log record the attribute `request_id`: the id of the running request, or a hyphen outside one."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get() or "-"
        return True


class ObservabilityMiddleware:
    """Identify, log, count and trace requests and WebSockets. Each part can be left out, and then costs nothing.

    Add it last, so that it lies outside all other middleware. It sees refusals and the application's outer 500 response
    as well.

    Args:
        request_id: the header field with the id of the request. `pallasite.request_id()`, `request.state.request_id`
            and the response have it. None leaves it out.
        trust_request_id: keep a valid id that the request already has. Only behind a proxy that sets or removes it.
        access_log: write a line for each request to the logger ``pallasite.access``, as JSON or in the Combined Log
            Format. Without a handler, the logger writes to standard output.
        tracer: create an OpenTelemetry span for each request: True for the global tracer provider, or a provider.
        meter: record OpenTelemetry's metrics for HTTP servers: True for the global meter provider, or a provider.
        prometheus: respond to this path with the metrics of all workers, for Prometheus.
        skip: prefixes of paths that are neither logged, counted nor traced. `Health` leaves its own out by itself.
        hidden: names of query parameters whose values are not logged.

    Raises:
        ValueError: a name or a path is not valid, or the log has another format.
        ImportError: `tracer` or `meter` is used without OpenTelemetry.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_id: str | None = "x-request-id",
        trust_request_id: bool = False,
        access_log: Literal["json", "combined"] | None = None,
        tracer: TracerProvider | bool | None = None,
        meter: MeterProvider | bool | None = None,
        prometheus: str | None = None,
        skip: Sequence[str] = (),
        hidden: Sequence[str] = SECRETS,
    ) -> None:
        if access_log is not None and access_log not in FORMATS:
            raise ValueError(f"access_log must be 'json', 'combined' or None, not {access_log!r}")
        self.skip = (skip,) if isinstance(skip, str) else tuple(skip)
        for path in (*self.skip, *(() if prometheus is None else (prometheus,))):
            if not path.startswith("/"):
                raise ValueError(f"a path must start with a slash: {path!r}")
        if request_id is not None:
            encode_header(request_id, "")  # raises ValueError if it is not a token
        self.app = self._inner = app
        self.prometheus = prometheus
        self._field = None if request_id is None else request_id.lower().encode("ascii")
        self._trusts = trust_request_id
        self._log = None if access_log is None else AccessLog(FORMATS[access_log], hidden)
        self._keeps_headers = access_log == "combined"
        self._counters = None if prometheus is None else Counters(next(_numbers))
        self._meter: Meter | None = None
        if meter:
            from pallasite._observability.meter import Meter

            self._meter = Meter(None if meter is True else meter)
        if tracer:
            from pallasite.middleware.opentelemetry import OpenTelemetryMiddleware

            self._inner = OpenTelemetryMiddleware(app, tracer_provider=None if tracer is True else tracer)
        self._reports = self._log is not None or self._counters is not None or self._meter is not None
        self._is_idle = self._field is None and not self._reports and not tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if (
            self._is_idle
            or (kind != "http" and kind != "websocket")
            or scope_keys.REQUEST_ID in scope  # observed further out
            or (self.skip and scope["path"].startswith(self.skip))
        ):
            is_lifespan = kind == "lifespan" and self._log is not None
            await self.app(scope, receive, self._flushing(send) if is_lifespan else send)
            return
        if self.prometheus is not None and kind == "http" and get_route_path(scope) == self.prometheus:
            await (await self._metrics(scope))(scope, receive, send)
            return
        if self._field is None:
            scope[scope_keys.REQUEST_ID] = None
            record = ResponseRecord()
        else:
            record = ResponseRecord.identified(scope, self._field, self._trusts)
            # Kept when an error is raised: the server's report of it should have the id.
            token = current.set(record.request_id)
        observed = Observer.of(scope, send)
        observed.record_to(record)
        counters, meter = self._counters, self._meter
        gauges = None if counters is None else counters.gauges or await to_thread.run_sync(counters.open)
        if gauges is not None:
            gauges.add(kind == "websocket", 1)
        if meter is not None:
            meter.change_active(scope, 1)
        error: BaseException | None = None
        try:
            await self._inner(scope, receive, observed)
        except BaseException as exc:
            error = exc
            raise
        finally:
            if gauges is not None:
                gauges.add(kind == "websocket", -1)
            if meter is not None:
                meter.change_active(scope, -1)
            if self._reports and scope_keys.EXEMPT not in scope:
                self._report(scope, record, error)
        if self._field is not None:
            current.reset(token)

    def _flushing(self, send: Send) -> Send:
        """Return a `send` that writes the rest of the log before the application reports its end.

        Some servers end their workers so soon after that no thread and no exit handler runs any more.
        """

        async def flush_and_send(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown.") and self._log is not None:
                self._log.flush()
            await send(message)

        return flush_and_send

    def _report(self, scope: Scope, record: ResponseRecord, error: BaseException | None) -> None:
        kind, log = scope["type"], self._log
        # A WebSocket may be closed by its client at any time.
        gone = not record.complete and kind == "http" and (error is None or _is_departure(error))
        name = None if error is None or gone else type(error).__qualname__
        status = record.status or (500 if name is not None else 0)  # the layer outside responds to errors
        route = route_template(scope)
        if kind == "http":
            if self._counters is not None:
                self._counters.numbers(scope["method"], route, status).count(record, gone)
            if self._meter is not None:
                self._meter.record(scope, route, status, record.duration / 1_000_000, name)
        if log is not None:
            client = scope.get("client")
            log.add(
                Entry(
                    time.time(),
                    kind,
                    record.request_id,
                    scope.get(scope_keys.TRACE_ID),
                    None if client is None else client[0],
                    scope.get("method", "GET"),
                    scope["path"],
                    scope.get("query_string", b""),
                    scope.get("http_version", "1.1"),
                    route,
                    status,
                    record.size,
                    record.duration,
                    record.first_byte,
                    gone,
                    name,
                    scope["headers"] if self._keeps_headers else (),
                )
            )

    async def _metrics(self, scope: Scope) -> Response:
        assert self._counters is not None
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed", 405, {"allow": "GET, HEAD"})
        totals = await to_thread.run_sync(self._counters.totals)
        return Response(exposition(totals), media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})


def _is_departure(error: BaseException) -> bool:
    """Return True if the request ended because its client left, rather than by a fault of the application."""
    return isinstance(error, (OSError, ClientDisconnect, anyio.get_cancelled_exc_class()))
