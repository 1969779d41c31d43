"""OpenTelemetry's metrics of HTTP servers. Source: OpenTelemetry's semantic conventions for HTTP metrics."""

from __future__ import annotations

from typing import Any

try:
    from opentelemetry import metrics
except ImportError as error:
    raise ImportError("opentelemetry-api must be installed to use ObservabilityMiddleware(meter=...)") from error

from pallasite import __version__
from pallasite._observability.counters import BOUNDS, method_label
from pallasite.types import Scope

__all__ = ["Meter"]


class Meter:
    """Records ``http.server.request.duration`` and ``http.server.active_requests``. WebSockets are not recorded."""

    def __init__(self, provider: metrics.MeterProvider | None) -> None:
        meter = metrics.get_meter("pallasite", __version__, provider)
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=[bound / 1_000_000 for bound in BOUNDS],
        )
        self._active = meter.create_up_down_counter(
            "http.server.active_requests", unit="{request}", description="Number of active HTTP server requests."
        )

    def change_active(self, scope: Scope, by: int) -> None:
        """Count a request that begins (1) or ends (-1)."""
        if scope["type"] == "http":
            self._active.add(by, _attributes(scope))

    def record(self, scope: Scope, route: str | None, status: int, seconds: float, error: str | None) -> None:
        """Record a request that has ended. `error` is the name of the exception that ended it."""
        attributes = _attributes(scope)
        attributes["network.protocol.version"] = scope.get("http_version", "1.1")
        if route is not None:
            attributes["http.route"] = route
        if status:
            attributes["http.response.status_code"] = status
        if error is not None or status >= 500:
            attributes["error.type"] = error or str(status)
        self._duration.record(seconds, attributes)


def _attributes(scope: Scope) -> dict[str, Any]:
    return {"http.request.method": method_label(scope["method"]), "url.scheme": scope.get("scheme", "http")}
