"""`websocket_origins`: the pages that may open a WebSocket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.responses import PlainTextResponse
from pallasite.routing import Mount, Route, WebSocketRoute
from pallasite.testclient import TestClient
from pallasite.websockets import WebSocket, WebSocketDisconnect


async def hello(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


async def home(request: Any) -> PlainTextResponse:
    return PlainTextResponse("home")


def is_let_in(
    origins: Any, *given: str, host: str = "example.org", app: Pallasite | None = None, path: str = "/"
) -> bool:
    app = app or Pallasite(routes=[WebSocketRoute("/", hello)], websocket_origins=origins)
    headers: Iterable[tuple[str, str]] = [("host", host), *(("origin", origin) for origin in given)]
    try:
        with TestClient(app).websocket_connect(path, headers=list(headers)) as websocket:
            return websocket.receive_text() == "hello"
    except WebSocketDisconnect:
        return False


PAGE = "https://example.org"


@pytest.mark.parametrize(
    ("origins", "origin", "expected"),
    [
        (None, "https://evil.example", True),
        ([], PAGE, False),
        ([PAGE], PAGE, True),
        ([PAGE], "https://EXAMPLE.org", True),
        ([PAGE], "https://example.org:443", True),
        (["https://example.org:443/"], PAGE, True),
        (["HTTPS://Example.org"], PAGE, True),
        ([PAGE], "https://example.org:8443", False),
        ([PAGE], "http://example.org", False),
        ([PAGE], "https://example.org.evil.example", False),
        ([PAGE], "https://evil.example/https://example.org", False),
        ([PAGE], "https://sub.example.org", False),
        ([PAGE], "null", False),
        ([PAGE], "", False),
        (["null"], "null", True),
        (["https://evil.example", PAGE], PAGE, True),
        (PAGE, PAGE, True),
        (PAGE, "h", False),
        (["*"], "https://anyone.example", True),
        (["https://*.example.org"], "https://a.b.example.org", True),
        (["https://*.example.org"], PAGE, False),
        (["https://*.example.org"], "http://a.example.org", False),
        (["https://*.example.org"], "https://evilexample.org", False),
        (["https://*.example.org"], "https://a.example.org:8443", False),
        (["http://localhost:3000"], "http://localhost:3000", True),
        (["http://localhost:3000"], "http://localhost:80", False),
    ],
)
def test_origin_must_be_in_the_list(origins: Any, origin: str, expected: bool) -> None:
    assert is_let_in(origins, origin) is expected


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("example.org", PAGE, True),
        ("example.org", "http://example.org", True),  # the proxy may be the one that speaks TLS
        ("EXAMPLE.org:443", PAGE, True),
        ("example.org:80", PAGE, False),
        ("example.org:8443", "https://example.org:8443", True),
        ("example.org", "https://evil.example", False),
        ("example.org", "null", False),
        ("null", "null", False),
        ("[::1]:8000", "http://[::1]:8000", True),
    ],
)
def test_self_is_the_host_of_the_handshake(host: str, origin: str, expected: bool) -> None:
    assert is_let_in(["self"], origin, host=host) is expected


def test_self_is_the_base_url_where_there_is_one() -> None:
    routes = [WebSocketRoute("/", hello)]
    app = Pallasite(routes=routes, websocket_origins=["self", "https://app.example"], base_url="https://example.org/")
    assert is_let_in(None, PAGE, host="10.0.0.7:8000", app=app)
    assert is_let_in(None, "https://app.example", host="10.0.0.7:8000", app=app)
    # A foreign name that resolves to this site.
    assert not is_let_in(None, "http://rebound.example", host="rebound.example", app=app)


def test_client_without_an_origin_is_accepted() -> None:
    assert is_let_in(["self"])


def test_two_origins_are_refused() -> None:
    assert not is_let_in([PAGE], PAGE, PAGE)
    assert not is_let_in(["*"], PAGE, "https://evil.example")


def test_rejection_comes_first_and_its_reason_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Never:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            await self.app(scope, receive, send)

    caplog.set_level("INFO", "pallasite.websockets")
    app = Pallasite(
        routes=[Route("/", home), WebSocketRoute("/", hello)], middleware=[Middleware(Never)], websocket_origins=[PAGE]
    )
    assert not is_let_in(None, "https://evil.example", app=app)
    assert "Rejected a WebSocket from origin 'https://evil.example'" in caplog.text
    assert TestClient(app).get("/", headers={"origin": "https://evil.example"}).text == "home"


def test_mounted_application_has_its_own_say() -> None:
    inner = Pallasite(routes=[WebSocketRoute("/", hello)], websocket_origins=["https://inner.example"])
    app = Pallasite(routes=[WebSocketRoute("/", hello), Mount("/inner", inner)])
    assert is_let_in(None, "https://evil.example", app=app)
    assert not is_let_in(None, "https://evil.example", app=app, path="/inner/")
    assert is_let_in(None, "https://inner.example", app=app, path="/inner/")


def test_setting_can_be_a_class_attribute_or_set_later() -> None:
    class Own(Pallasite):
        websocket_origins = ("self",)

        def __init__(self) -> None:
            self.__dict__.update(vars(Pallasite(routes=[WebSocketRoute("/", hello)])))
            del self.__dict__["websocket_origins"]

    app = Own()
    assert not is_let_in(None, "https://evil.example", app=app)
    app.websocket_origins = ("https://evil.example",)
    assert is_let_in(None, "https://evil.example", app=app)


def test_session_cannot_be_used_from_a_foreign_page() -> None:
    async def whoami(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.session["user"])
        await websocket.close()

    async def sign_in(request: Any) -> PlainTextResponse:
        request.session["user"] = "hello"
        return PlainTextResponse("ok")

    app = Pallasite(
        routes=[Route("/in", sign_in), WebSocketRoute("/ws", whoami)],
        middleware=[Middleware(SessionMiddleware, secret_key="0123456789abcdef")],
        websocket_origins=["self"],
    )
    client = TestClient(app)
    client.get("/in")
    with client.websocket_connect("/ws", headers={"origin": "http://testserver"}) as websocket:
        assert websocket.receive_text() == "hello"
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/ws", headers={"origin": "https://evil.example"}),
    ):
        pass
