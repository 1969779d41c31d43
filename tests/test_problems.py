"""Problem documents (RFC 9457), for exceptions, whole applications and middleware."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pallasite._http import scope_keys
from pallasite.applications import Pallasite
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.problems import InvalidParameter, ProblemException, ProblemResponse, problem_handlers, refuse
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.testclient import WebSocketDenialResponse
from pallasite.types import ASGIApp, Receive, Scope, Send
from pallasite.websockets import WebSocket
from tests.support.asgi import connect
from tests.support.clients import ClientFactory

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def raising(exc: Exception, **settings: Any) -> Pallasite:
    async def endpoint(request: Request) -> Response:
        raise exc

    return Pallasite(routes=[Route("/", endpoint)], **settings)


def out_of_credit() -> ProblemException:
    return ProblemException(
        403,
        type="https://example.com/probs/out-of-credit",
        title="You do not have enough credit.",
        detail="Your current balance is 30, but that costs 50.",
        instance="/account/12345/msgs/abc",
        headers={"X-Account": "12345"},
        balance=30,
        accounts=["/account/12345", "/account/67890"],
    )


def test_problem_exception_is_a_document(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(raising(out_of_credit())).get("/")
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["vary"] == "Accept"
    assert response.headers["x-account"] == "12345"
    # The document of RFC 9457 section 3, with the status that the section recommends.
    assert response.json() == {
        "type": "https://example.com/probs/out-of-credit",
        "title": "You do not have enough credit.",
        "status": 403,
        "detail": "Your current balance is 30, but that costs 50.",
        "instance": "/account/12345/msgs/abc",
        "balance": 30,
        "accounts": ["/account/12345", "/account/67890"],
    }


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/problem+json", "image/png", ""])
def test_problem_exception_program_gets_the_document(accept: str, test_client_factory: ClientFactory) -> None:
    response = test_client_factory(raising(ProblemException(409))).get("/", headers={"Accept": accept})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {"type": "about:blank", "title": "Conflict", "status": 409}


@pytest.mark.parametrize(
    ("exc", "text"),
    [(ProblemException(409), "409 Conflict"), (ProblemException(409, detail="Locked."), "409 Conflict: Locked.")],
    ids=["title", "detail"],
)
def test_problem_exception_browser_gets_text(
    exc: ProblemException, text: str, test_client_factory: ClientFactory
) -> None:
    response = test_client_factory(raising(exc)).get("/", headers=BROWSER)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["vary"] == "Accept"
    assert response.text == text


def test_problem_exception_is_an_http_exception_with_a_detail() -> None:
    assert str(ProblemException(404)) == "404: Not Found"
    assert str(ProblemException(404, title="No Stone")) == "404: No Stone"
    assert str(ProblemException(404, detail="No stone 7.")) == "404: No stone 7."
    assert ProblemException(599)._problem == {"type": "about:blank", "title": "Server Error", "status": 599}
    assert ProblemException(499)._problem == {"type": "about:blank", "title": "Client Error", "status": 499}


@pytest.mark.parametrize("make", [ProblemException, ProblemResponse])
@pytest.mark.parametrize(
    ("status", "members", "error"),
    [
        (200, {}, ValueError),
        (600, {}, ValueError),
        (400, {"type": None}, TypeError),
        (400, {"title": 3}, TypeError),
        (400, {"detail": ["a"]}, TypeError),
        (400, {"instance": b"/"}, TypeError),
        (400, {"status": 401}, ValueError),
        (400, {"a-b": 1}, ValueError),
        (400, {"é": 1}, ValueError),
        (400, {"headers": {"a b": "c"}}, ValueError),
    ],
)
def test_problem_malformed_is_refused_where_it_is_made(
    make: Any, status: int, members: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make(status, **members)


def test_problem_response_is_sent_as_it_is(test_client_factory: ClientFactory) -> None:
    async def endpoint(request: Request) -> Response:
        return ProblemResponse(404, detail="No stone 7.", headers={"X-A": "1"}, stone=7)

    response = test_client_factory(Pallasite(routes=[Route("/", endpoint)])).get("/", headers=BROWSER)
    assert (response.status_code, response.headers["x-a"]) == (404, "1")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "No stone 7.",
        "stone": 7,
    }


def with_handlers(exc: Exception, **settings: Any) -> Pallasite:
    app = raising(exc)
    problem_handlers(app, **settings)
    return app


@pytest.mark.parametrize(
    ("exc", "document"),
    [
        (HTTPException(404), {"title": "Not Found", "status": 404}),
        (HTTPException(404, detail=""), {"title": "Not Found", "status": 404}),
        (HTTPException(404, detail="No stone."), {"title": "Not Found", "status": 404, "detail": "No stone."}),
        (
            HTTPException(409, detail={"a": 1}),  # type: ignore[arg-type]
            {"title": "Conflict", "status": 409, "data": {"a": 1}},
        ),
        (KeyError("secret"), {"title": "Internal Server Error", "status": 500}),
    ],
)
def test_problem_handlers_every_error_is_a_document(
    exc: Exception, document: dict[str, Any], test_client_factory: ClientFactory
) -> None:
    client = test_client_factory(with_handlers(exc), raise_server_exceptions=False)
    response = client.get("/")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {"type": "about:blank", **document}
    assert response.status_code == document["status"]
    assert client.get("/missing").json()["title"] == "Not Found"
    assert client.post("/").json()["title"] == "Method Not Allowed"
    assert client.post("/").headers["allow"] == "GET, HEAD"


def test_problem_handlers_name_types_below_the_base(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(with_handlers(out_of_credit(), types_base="https://example.org/problems/"))
    assert client.post("/").json()["type"] == "https://example.org/problems/method-not-allowed"
    assert client.get("/").json()["type"] == "https://example.com/probs/out-of-credit"


def test_problem_handlers_leave_redirects_alone(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(with_handlers(HTTPException(303, headers={"Location": "/b"})))
    response = client.get("/", follow_redirects=False)
    assert (response.status_code, response.headers["location"], response.text) == (303, "/b", "See Other")


@pytest.mark.parametrize(
    ("request_id", "member"),
    [
        ("01936d5e-0000-7000-8000-000000000000", ("instance", "urn:uuid:01936d5e-0000-7000-8000-000000000000")),
        ("abc-7", ("request_id", "abc-7")),
    ],
)
@pytest.mark.parametrize("included", [True, False])
def test_problem_handlers_name_the_request(
    request_id: str, member: tuple[str, str], included: bool, test_client_factory: ClientFactory
) -> None:
    app = with_handlers(HTTPException(404), include_request_id=included)

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        scope[scope_keys.REQUEST_ID] = request_id
        await app(scope, receive, send)

    document = test_client_factory(identified).get("/").json()
    assert (member in document.items()) is included


def test_problem_handlers_validation_names_the_fields(test_client_factory: ClientFactory) -> None:
    exceptions = pytest.importorskip("fastapi.exceptions")
    errors = [
        {"loc": ("body", "items", 3, "a/b~c"), "msg": "Field required"},
        {"loc": ("query", "page"), "msg": "Not an integer"},
        {"loc": ("body",), "msg": "Not a JSON document"},
    ]
    response = test_client_factory(with_handlers(exceptions.RequestValidationError(errors))).get("/")
    assert response.json() == {
        "type": "about:blank",
        "title": response.json()["title"],
        "status": 422,
        "detail": "The request is not valid.",
        "errors": [
            {"detail": "Field required", "pointer": "#/items/3/a~1b~0c"},
            {"detail": "Not an integer", "parameter": "page", "in": "query"},
            {"detail": "Not a JSON document", "pointer": "#"},
        ],
    }


def test_problem_handlers_without_fastapi_register_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fastapi.exceptions", raising=False)
    app = Pallasite()
    problem_handlers(app)
    assert set(app.exception_handlers) == {HTTPException, Exception}


def test_problem_handlers_on_fastapi() -> None:
    pytest.importorskip("fastapi")
    code = """
import pallasite
pallasite.install_as_starlette()
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pallasite.problems import ProblemException, problem_handlers

app = FastAPI()
problem_handlers(app)

@app.get("/items/{number}")
def item(number: int, page: int = 1):
    raise ProblemException(404, detail="No item.", number=number)

@app.get("/plain")
def plain():
    raise HTTPException(409, detail={"a": 1})

client = TestClient(app)
invalid = client.get("/items/x?page=y")
assert invalid.headers["content-type"] == "application/problem+json"
places = [(error["in"], error["parameter"]) for error in invalid.json()["errors"]]
assert places == [("path", "number"), ("query", "page")]
assert client.get("/items/7").json()["number"] == 7
assert client.get("/plain").json()["data"] == {"a": 1}
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def refusing(exc: HTTPException, **settings: Any) -> Pallasite:
    class Refusing:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            else:
                await refuse(exc, scope, receive, send)

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("reached")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    return Pallasite(
        routes=[Route("/", endpoint), WebSocketRoute("/ws", socket)], middleware=[Middleware(Refusing)], **settings
    )


@pytest.mark.parametrize(
    ("exc", "document"),
    [
        (HTTPException(403, detail="Not from there."), {"title": "Forbidden", "detail": "Not from there."}),
        (ProblemException(403, reason="origin"), {"title": "Forbidden", "reason": "origin"}),
    ],
    ids=["plain", "problem"],
)
def test_refuse_from_middleware_is_a_document(
    exc: HTTPException, document: dict[str, Any], test_client_factory: ClientFactory
) -> None:
    client = test_client_factory(refusing(exc))
    response = client.get("/")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {"type": "about:blank", "status": 403, **document}
    assert client.get("/", headers=BROWSER).headers["content-type"] == "text/plain; charset=utf-8"
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/ws"):
        pass
    assert denied.value.json()["title"] == "Forbidden"


async def by_coroutine(request: Request, exc: Exception) -> Response:
    return JSONResponse({"by": type(exc).__name__}, status_code=418)


def by_function(request: Request, exc: Exception) -> Response:
    return JSONResponse({"by": type(exc).__name__}, status_code=418)


@pytest.mark.parametrize("handler", [by_coroutine, by_function])
@pytest.mark.parametrize("key", [403, HTTPException, ProblemException])
def test_refuse_the_application_s_handler_responds(key: Any, handler: Any, test_client_factory: ClientFactory) -> None:
    client = test_client_factory(refusing(ProblemException(403), exception_handlers={key: handler}))
    assert client.get("/").json() == {"by": "ProblemException"}


async def test_refuse_handler_that_closes_a_websocket(anyio_backend_name: str) -> None:
    async def close(websocket: WebSocket, exc: Exception) -> None:
        await websocket.close(code=4403)

    app = refusing(ProblemException(403), exception_handlers={403: close})
    sent = await connect(app, "/ws")
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 4403)]


def test_invalid_parameter_names_itself(test_client_factory: ClientFactory) -> None:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(request.query_params.get_int("page"))

    client = test_client_factory(Pallasite(routes=[Route("/", endpoint)]))
    assert client.get("/?page=7").json() == 7
    response = client.get("/?page=x")
    assert response.status_code == 400
    assert response.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "Query parameter 'page' must be an integer, not 'x'.",
        "parameter": "page",
        "in": "query",
    }
    assert issubclass(InvalidParameter, HTTPException)


def test_applications_do_not_load_problems() -> None:
    code = "import sys, pallasite.applications; print('pallasite.problems' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
