"""opentelemetry-instrumentation-fastapi: spans of requests, failures and background tasks."""

from __future__ import annotations

from collections.abc import Iterator

import fastapi
import pytest
from fastapi import BackgroundTasks, HTTPException
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

done: list[str] = []


def write_down(name: str) -> None:
    done.append(name)


def make_app() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    router = fastapi.APIRouter(prefix="/shop")

    @router.get("/items/{number}")
    async def item(number: int) -> dict[str, str]:
        if number > 9:
            raise HTTPException(418)
        return {"trace": format(trace.get_current_span().get_span_context().trace_id, "032x")}

    @router.post("/orders")
    def order(tasks: BackgroundTasks) -> str:
        tasks.add_task(write_down, "an order")
        return "taken"

    @app.get("/failing")
    async def failing() -> None:
        raise ZeroDivisionError

    @app.get("/health")
    async def health() -> str:
        return "well"

    app.include_router(router)
    return app


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def client(exporter: InMemorySpanExporter) -> Iterator[TestClient]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = make_app()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls="health")
    yield TestClient(app, raise_server_exceptions=False)
    FastAPIInstrumentor.uninstrument_app(app)


def of_server(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER]


def test_span_is_named_after_route_and_continues_trace_of_client(
    client: TestClient, exporter: InMemorySpanExporter
) -> None:
    number = "0af7651916cd43dd8448eb211c80319c"
    response = client.get("/shop/items/7", headers={"traceparent": f"00-{number}-b7ad6b7169203331-01"})
    assert response.json() == {"trace": number}
    (span,) = of_server(exporter)
    assert span.name == "GET /shop/items/{number}"
    assert span.attributes["http.route"] == "/shop/items/{number}"
    assert format(span.context.trace_id, "032x") == number


def test_status_of_http_exception_and_of_failure_is_in_span(client: TestClient, exporter: InMemorySpanExporter) -> None:
    assert [client.get("/shop/items/10").status_code, client.get("/failing").status_code] == [418, 500]
    refused, failed = of_server(exporter)
    assert refused.attributes["http.status_code"] == 418
    assert failed.attributes["http.status_code"] == 500
    assert [event.attributes["exception.type"] for event in failed.events] == ["ZeroDivisionError"]


def test_excluded_url_has_no_span(client: TestClient, exporter: InMemorySpanExporter) -> None:
    assert client.get("/health").json() == "well"
    assert of_server(exporter) == []


def test_background_task_runs_and_has_span_of_its_own(client: TestClient, exporter: InMemorySpanExporter) -> None:
    done.clear()
    assert client.post("/shop/orders").json() == "taken"
    assert done == ["an order"]
    assert any("write_down" in span.name for span in exporter.get_finished_spans())


def test_whole_program_instrumented_measures_durations_of_apps_made_later() -> None:
    reader = InMemoryMetricReader()
    instrumentor = FastAPIInstrumentor()
    instrumentor.instrument(meter_provider=MeterProvider([reader]))
    try:
        TestClient(make_app()).get("/shop/items/7")
    finally:
        instrumentor.uninstrument()
    (resource,) = reader.get_metrics_data().resource_metrics
    measured = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    (point,) = measured["http.server.duration"].data.data_points
    assert point.count == 1
    assert point.attributes["http.target"] == "/shop/items/{number}"
