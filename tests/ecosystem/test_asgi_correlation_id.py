"""asgi-correlation-id: every line that a request logs carries the request's number."""

from __future__ import annotations

import logging

import pytest
from asgi_correlation_id import CorrelationIdFilter, CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["*"], expose_headers=["X-Request-ID"])
app.add_middleware(CorrelationIdMiddleware)
logger = logging.getLogger("shop")


@app.get("/")
async def index() -> dict[str, str | None]:
    logger.warning("in the endpoint")
    return {"id": correlation_id.get()}


@app.get("/sync")
def in_a_thread() -> dict[str, str | None]:
    logger.warning("in a thread")
    return {"id": correlation_id.get()}


@app.exception_handler(ZeroDivisionError)
async def answer_with_id(request: object, error: Exception) -> JSONResponse:
    return JSONResponse({"failed": correlation_id.get()}, status_code=500)


@app.get("/failing")
async def failing() -> None:
    raise ZeroDivisionError


@pytest.fixture
def client(caplog: pytest.LogCaptureFixture) -> TestClient:
    caplog.handler.addFilter(CorrelationIdFilter(uuid_length=8, default_value="-"))
    return TestClient(app)


@pytest.mark.parametrize("path", ["/", "/sync"])
def test_id_of_client_is_in_endpoint_log_and_response(
    client: TestClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    number = "773fa68858c14fa0a4c9a3bcdb2ae4a4"
    response = client.get(path, headers={"X-Request-ID": number, "Origin": "https://shop.example"})
    assert response.json() == {"id": number}
    assert response.headers["x-request-id"] == number
    assert response.headers["access-control-expose-headers"].lower() == "x-request-id"
    assert [record.correlation_id for record in caplog.records if record.name == "shop"] == ["773fa688"]


def test_id_is_made_where_client_sends_none_or_nonsense(client: TestClient) -> None:
    made = [client.get("/", headers=headers).json()["id"] for headers in ({}, {"X-Request-ID": "nonsense"})]
    assert len({*made, "nonsense"}) == 3
    assert all(len(number) == 32 for number in made)


def test_id_is_known_to_exception_handler(client: TestClient) -> None:
    response = client.get("/failing")
    assert response.json() == {"failed": response.headers["x-request-id"]}
