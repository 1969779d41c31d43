"""prometheus-fastapi-instrumentator: requests counted by route template, and scraped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator, metrics
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()

    @app.get("/items/{number}")
    def item(number: int) -> dict[str, int]:
        if number > 99:
            raise HTTPException(404)
        return {"number": number}

    router = APIRouter(prefix="/shop")

    @router.post("/orders/{name}")
    def order(name: str) -> str:
        return name

    app.include_router(router)

    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    app.mount("/below", Starlette(routes=[Mount("/deeper", routes=[Route("/{page}", page)])]))
    registry = CollectorRegistry()
    instrumentator = Instrumentator(registry=registry, should_group_status_codes=False, excluded_handlers=["/metrics"])
    instrumentator.add(metrics.default(registry=registry))
    instrumentator.add(metrics.request_size(registry=registry, metric_namespace="shop"))
    instrumentator.instrument(app).expose(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def count(client: TestClient, **labels: str) -> float:
    """The value of `http_requests_total` with these labels, as the scraper reads it."""
    wanted = "http_requests_total{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "} "
    found = [line for line in client.get("/metrics").text.splitlines() if line.startswith(wanted)]
    return float(found[0].removeprefix(wanted)) if found else 0


def test_requests_are_counted_by_template_method_and_status(client: TestClient) -> None:
    for number in (1, 2, 100):
        client.get(f"/items/{number}")
    client.post("/shop/orders/tea")
    client.post("/shop/orders/coffee")
    client.get("/items/nonsense")
    assert count(client, handler="/items/{number}", method="GET", status="200") == 2
    assert count(client, handler="/items/{number}", method="GET", status="404") == 1
    assert count(client, handler="/items/{number}", method="GET", status="422") == 1
    assert count(client, handler="/shop/orders/{name}", method="POST", status="200") == 2


def test_routes_below_mounts_have_their_whole_template(client: TestClient) -> None:
    client.get("/below/deeper/first")
    client.get("/below/deeper/second")
    assert count(client, handler="/below/deeper/{page}", method="GET", status="200") == 2


def test_request_without_route_is_counted_as_none(client: TestClient) -> None:
    client.get("/nowhere")
    assert count(client, handler="none", method="GET", status="404") == 1


def test_chosen_metrics_measure_bodies(client: TestClient) -> None:
    client.post("/shop/orders/tea", content=b"x" * 1000)
    assert "shop_http_request_size_bytes_sum" in client.get("/metrics").text
    line = next(
        line for line in client.get("/metrics").text.splitlines() if line.startswith("shop_") and "_sum" in line
    )
    assert line.endswith(" 1000.0")
