"""starlette-context: values of the current request that any function can reach."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette_context import context, plugins
from starlette_context.middleware import ContextMiddleware, RawContextMiddleware


def remember(value: str) -> None:
    context["remembered"] = value


async def index(request: Request) -> Response:
    remember(request.query_params["value"])
    logging.getLogger("shop").info("asked", extra={"request_id": context["X-Request-ID"]})
    return JSONResponse(context.data)


@pytest.fixture(params=[ContextMiddleware, RawContextMiddleware])
def client(request: pytest.FixtureRequest) -> TestClient:
    chosen = (plugins.RequestIdPlugin(), plugins.CorrelationIdPlugin(), plugins.UserAgentPlugin())
    return TestClient(Starlette(routes=[Route("/", index)], middleware=[Middleware(request.param, plugins=chosen)]))


def test_context_of_request_holds_ids_and_what_was_stored(client: TestClient) -> None:
    response = client.get("/?value=blue", headers={"User-Agent": "tester", "X-Correlation-ID": "5c" * 16})
    seen = response.json()
    assert seen["remembered"] == "blue"
    assert seen["User-Agent"] == "tester"
    assert seen["X-Correlation-ID"] == response.headers["x-correlation-id"] == "5c" * 16
    assert UUID(seen["X-Request-ID"]).hex == response.headers["x-request-id"]


def test_context_is_another_for_each_request_and_none_outside(client: TestClient) -> None:
    first, second = (client.get("/", params={"value": value}).json() for value in ("red", "green"))
    assert (first["remembered"], second["remembered"]) == ("red", "green")
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert not context.exists()


def test_malformed_correlation_id_is_400(client: TestClient) -> None:
    response = client.get("/?value=x", headers={"X-Correlation-ID": "not a uuid"})
    assert response.status_code == 400
