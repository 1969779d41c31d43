"""starlette-prometheus: a function middleware that looks the route up once more, and its page of numbers."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette_prometheus import PrometheusMiddleware, metrics


async def person(request: Request) -> Response:
    return PlainTextResponse(request.path_params["name"])


async def failing(request: Request) -> Response:
    raise ZeroDivisionError


def make_client(**settings: bool) -> TestClient:
    app = Starlette(
        routes=[
            Route("/people/{name}", person),
            Route("/failing", failing),
            Mount("/below", routes=[Route("/{name}", person)]),
        ]
    )
    app.add_middleware(PrometheusMiddleware, **settings)
    app.add_route("/metrics/", metrics)
    return TestClient(app)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_requests_are_counted_by_template() -> None:
    client = make_client()
    before = value("starlette_requests_total", method="GET", path_template="/people/{name}")
    assert [client.get(f"/people/{name}").text for name in ("ann", "bob")] == ["ann", "bob"]
    client.get("/below/carl")
    assert value("starlette_requests_total", method="GET", path_template="/people/{name}") == before + 2
    assert value("starlette_responses_total", method="GET", path_template="/below", status_code="200") == 1
    page = client.get("/metrics/")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'starlette_responses_total{method="GET",path_template="/people/{name}",status_code="200"}' in page.text


def test_exception_is_counted_and_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        make_client().get("/failing")
    labels = {"method": "GET", "path_template": "/failing"}
    assert value("starlette_exceptions_total", **labels, exception_type="ZeroDivisionError") == 1
    assert value("starlette_requests_in_progress", **labels) == 0


def test_paths_without_route_can_be_left_out() -> None:
    assert make_client(filter_unhandled_paths=True).get("/left/out").status_code == 404
    assert value("starlette_requests_total", method="GET", path_template="/left/out") == 0
    assert make_client().get("/counted").status_code == 404
    assert value("starlette_requests_total", method="GET", path_template="/counted") == 1
