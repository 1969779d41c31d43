"""opentelemetry-instrumentation-starlette: spans named after routes, for one application and for all."""

from __future__ import annotations

from typing import Any

import pytest
import starlette.applications
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket


async def home(request: Request) -> Response:
    return PlainTextResponse(f"home of {request.path_params.get('name')}")


async def failing(request: Request) -> Response:
    raise ZeroDivisionError("nothing to divide by")


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def make_app() -> Any:
    # Through the module, as the package's users have to: a program-wide instrumentation replaces the class there.
    return starlette.applications.Starlette(
        routes=[
            Host("api.example", app=Router([Route("/{name}", home)])),
            Route("/homes/{name}", home),
            Route("/failing", failing),
            Mount("/below", routes=[Route("/{name}", home)]),
            WebSocketRoute("/chat/{room}", chat),
        ],
        middleware=[Middleware(GZipMiddleware)],
    )


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def of_server(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER]


def test_span_of_instrumented_app_is_named_after_route(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    app = make_app()
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    client = TestClient(app)
    assert client.get("/homes/ann").text == "home of ann"
    assert client.get("/below/bob").text == "home of bob"
    assert client.get("/nowhere").status_code == 404
    spans = of_server(exporter)
    assert [span.name for span in spans] == ["GET /homes/{name}", "GET /below", "GET"]
    assert spans[0].attributes["http.route"] == "/homes/{name}"
    assert [span.attributes["http.status_code"] for span in spans] == [200, 200, 404]

    exporter.clear()
    StarletteInstrumentor.uninstrument_app(app)
    assert TestClient(app).get("/homes/ann").status_code == 200
    assert of_server(exporter) == []


def test_host_route_which_has_no_path_is_passed_over(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    app = make_app()
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    assert TestClient(app, base_url="http://api.example").get("/ann").text == "home of ann"
    assert len(of_server(exporter)) == 1


def test_exception_is_recorded_in_span(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    app = make_app()
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    assert TestClient(app, raise_server_exceptions=False).get("/failing").status_code == 500
    (span,) = of_server(exporter)
    assert span.name == "GET /failing"
    assert not span.status.is_ok
    assert [event.attributes["exception.type"] for event in span.events] == ["ZeroDivisionError"]


def test_websocket_has_span(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    app = make_app()
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    with TestClient(app).websocket_connect("/chat/kitchen") as session:
        session.send_text("hello")
        assert session.receive_text() == "hello"
    assert [span.name for span in of_server(exporter)] == ["/chat/{room}"]


def test_whole_program_instrumented_reaches_apps_made_later(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    seen: list[str] = []

    def hook(span: Span, scope: dict[str, Any]) -> None:
        seen.append(scope["path"])
        span.set_attribute("asked.for", scope["path"])

    instrumentor = StarletteInstrumentor()
    instrumentor.instrument(tracer_provider=provider, server_request_hook=hook)
    try:
        assert TestClient(make_app()).get("/homes/ann").text == "home of ann"
    finally:
        instrumentor.uninstrument()
    assert seen == ["/homes/ann"]
    assert [span.attributes["asked.for"] for span in of_server(exporter)] == ["/homes/ann"]
    assert TestClient(make_app()).get("/homes/ann").status_code == 200
    assert len(of_server(exporter)) == 1
