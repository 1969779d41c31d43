"""sentry-sdk: errors and transactions of an application whose classes it has patched; nothing is sent anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from fastapi import FastAPI
from fastapi.testclient import TestClient as FastAPITestClient
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient


class Kept(Transport):
    """Sends nothing and remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items += [item.payload.json for item in envelope.items if item.payload.json is not None]

    def errors(self) -> list[dict[str, Any]]:
        return [item for item in self.items if "exception" in item]

    def transactions(self) -> list[dict[str, Any]]:
        return [item for item in self.items if item.get("type") == "transaction"]


@pytest.fixture
def sent() -> Iterator[Kept]:
    kept = Kept()
    sentry_sdk.init("https://key@sentry.example/1", transport=kept, traces_sample_rate=1.0, send_default_pii=True)
    yield kept
    sentry_sdk.get_client().close()


class Badge(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(["guest"]), SimpleUser("ann")


class Stamp(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = "yes"
        return response


async def divide(request: Request) -> Response:
    given = await request.json()
    return JSONResponse(1 / given["by"])


def divide_in_thread(request: Request) -> Response:
    raise LookupError("nothing in the thread")


async def greet(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params['name']}")


async def refuse(request: Request) -> Response:
    raise HTTPException(503, detail="tea time")


async def failing_afterwards(request: Request) -> Response:
    def task() -> None:
        raise OSError("after the response")

    return PlainTextResponse("done", background=BackgroundTask(task))


def make_client() -> TestClient:
    """Made after `init`, which patches what an application is made of."""
    app = Starlette(
        routes=[
            Route("/divide", divide, methods=["POST"]),
            Route("/thread", divide_in_thread),
            Route("/refuse", refuse),
            Route("/afterwards", failing_afterwards),
            Route("/people/{name}", greet),
        ],
        middleware=[
            Middleware(AuthenticationMiddleware, backend=Badge()),
            Middleware(GZipMiddleware),
            Middleware(Stamp),
        ],
    )
    return TestClient(app, raise_server_exceptions=False)


def test_unhandled_error_carries_request_body_and_user(sent: Kept) -> None:
    response = make_client().post("/divide?why=test", json={"by": 0}, cookies={"taste": "sweet"})
    assert response.status_code == 500
    (error,) = sent.errors()
    assert error["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    assert error["transaction"] == "/divide"
    request = error["request"]
    assert (request["method"], request["url"]) == ("POST", "http://testserver/divide")
    assert (request["query_string"], request["data"], request["cookies"]) == ("why=test", {"by": 0}, {"taste": "sweet"})
    assert error["user"]["username"] == "ann"


def test_error_in_thread_and_in_background_is_reported(sent: Kept) -> None:
    client = make_client()
    assert client.get("/thread").status_code == 500
    client.get("/afterwards")
    assert [error["exception"]["values"][-1]["type"] for error in sent.errors()] == ["LookupError", "OSError"]


def test_http_exception_of_server_error_is_reported_as_handled(sent: Kept) -> None:
    assert make_client().get("/refuse").text == "tea time"
    (error,) = sent.errors()
    (exception,) = error["exception"]["values"]
    assert exception["type"] == "HTTPException"
    assert exception["mechanism"]["handled"] is True


def test_transaction_is_named_after_route(sent: Kept) -> None:
    response = make_client().get("/people/ann", headers={"Accept-Encoding": "identity"})
    assert (response.text, response.headers["x-stamp"]) == ("hello ann", "yes")
    (transaction,) = sent.transactions()
    assert transaction["transaction"] == "/people/{name}"
    assert transaction["contexts"]["trace"]["data"]["http.response.status_code"] == 200
    assert sent.errors() == []


def test_middleware_spans_can_be_switched_on(sent: Kept) -> None:
    from sentry_sdk.integrations.starlette import StarletteIntegration

    integration = StarletteIntegration(transaction_style="endpoint", middleware_spans=True)
    kept = Kept()
    sentry_sdk.init("https://key@sentry.example/1", transport=kept, traces_sample_rate=1.0, integrations=[integration])
    assert make_client().get("/people/ann").text == "hello ann"
    (transaction,) = kept.transactions()
    names = [span["description"] for span in transaction["spans"] if span["op"] == "middleware.starlette"]
    assert {"AuthenticationMiddleware", "GZipMiddleware", "Stamp", "ExceptionMiddleware"} <= set(names)
    assert transaction["transaction"].endswith("greet")


def test_templates_get_trace_of_page(sent: Kept, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<head>{{ sentry_trace_meta }}</head>")
    templates = Jinja2Templates(directory=tmp_path)

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    text = TestClient(Starlette(routes=[Route("/", page)])).get("/").text
    assert text.startswith('<head><meta name="sentry-trace"')


def test_fastapi_error_names_route(sent: Kept) -> None:
    app = FastAPI()

    @app.get("/items/{number}")
    def item(number: int) -> float:
        return 1 / number

    client = FastAPITestClient(app, raise_server_exceptions=False)
    assert client.get("/items/4").json() == 0.25
    assert client.get("/items/0").status_code == 500
    assert [error["transaction"] for error in sent.errors()] == ["/items/{number}"]
    assert [each["transaction"] for each in sent.transactions()] == ["/items/{number}"] * 2
