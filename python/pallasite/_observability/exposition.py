"""The metrics as text for Prometheus. Source: Prometheus' text exposition format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pallasite._observability.counters import BOUNDS, Labels, Totals

__all__ = ["MEDIA_TYPE", "exposition"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (*(f"{bound / 1_000_000:g}" for bound in BOUNDS), "+Inf")


def exposition(totals: Totals) -> str:
    """Return all metrics. The names are those of OpenTelemetry's conventions, as its exporters write them."""
    rows = [(_text_of(labels), row) for labels, row in sorted(totals.rows.items())]
    lines = [
        *_gauge("http_server_active_requests", "Requests that are being handled.", totals.active),
        *_gauge("websocket_server_active_connections", "WebSockets that are open.", totals.websockets),
        *_histogram("http_server_request_duration_seconds", "Time to the end of the response.", rows, Totals.duration),
        *_histogram(
            "http_server_response_start_seconds", "Time to the start of the response.", rows, Totals.first_byte
        ),
        *_counter("http_server_response_body_bytes_total", "Bytes of content sent.", rows, Totals.size),
        *_counter(
            "http_server_requests_abandoned_total",
            "Requests whose client left before the response was complete.",
            rows,
            Totals.abandoned,
        ),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _gauge(name: str, text: str, value: int) -> Iterator[str]:
    yield from _head(name, "gauge", text)
    yield f"{name} {value}"


def _counter(name: str, text: str, rows: list[tuple[str, list[int]]], of: Callable[[list[int]], int]) -> Iterator[str]:
    yield from _head(name, "counter", text)
    for labels, row in rows:
        yield f"{name}{{{labels}}} {of(row)}"


def _histogram(
    name: str, text: str, rows: list[tuple[str, list[int]]], of: Callable[[list[int]], tuple[list[int], int]]
) -> Iterator[str]:
    yield from _head(name, "histogram", text)
    for labels, row in rows:
        buckets, micros = of(row)
        below = 0
        for bound, count in zip(_BOUNDS, buckets, strict=True):
            below += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {below}'
        yield f"{name}_sum{{{labels}}} {micros / 1_000_000:.6f}"
        yield f"{name}_count{{{labels}}} {below}"


def _text_of(labels: Labels) -> str:
    named = {
        "http_request_method": labels.method,
        "http_response_status_code": labels.status,
        "http_route": labels.route,
    }
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in named.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
