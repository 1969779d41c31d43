"""`allowed_hosts` and `base_url`: the hosts that an application answers for, and the start of its absolute URLs."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite._http.origin import parse_origin
from pallasite.applications import Pallasite
from pallasite.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, requires
from pallasite.middleware import Middleware
from pallasite.middleware._fixed_origin import FixedOrigin
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.middleware.errors import ServerErrorMiddleware
from pallasite.middleware.httpsredirect import HTTPSRedirectMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse
from pallasite.routing import Mount, Route, WebSocketRoute
from pallasite.testclient import TestClient, WebSocketDenialResponse
from pallasite.websockets import WebSocket


async def urls(request: Request) -> JSONResponse:
    return JSONResponse([str(request.url), str(request.base_url), str(request.url_for("urls"))])


async def socket_urls(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json([str(websocket.url), str(websocket.base_url), str(websocket.url_for("socket"))])
    await websocket.close()


ROUTES = [Route("/urls", urls, name="urls"), WebSocketRoute("/ws", socket_urls, name="socket")]
EVIL = {"host": "evil.example"}


def test_base_url_takes_the_place_of_the_host_header(test_client_factory: Any) -> None:
    app = Pallasite(routes=ROUTES, base_url="https://here.example:8443/")
    with test_client_factory(app) as client:
        for headers in ({}, EVIL, {"host": "a b"}):
            assert client.get("/urls?a=1", headers=headers).json() == [
                "https://here.example:8443/urls?a=1",
                "https://here.example:8443/",
                "https://here.example:8443/urls",
            ]


def test_base_url_keeps_the_root_path(test_client_factory: Any) -> None:
    app = Pallasite(routes=ROUTES, base_url="https://here.example")
    client: TestClient = test_client_factory(app, root_path="/proxy")
    assert client.get("/proxy/urls", headers=EVIL).json() == [
        "https://here.example/proxy/urls",
        "https://here.example/proxy/",
        "https://here.example/proxy/urls",
    ]


@pytest.mark.parametrize(("base_url", "scheme"), [("http://here.example", "ws"), ("https://here.example", "wss")])
def test_base_url_of_a_websocket_has_its_scheme(test_client_factory: Any, base_url: str, scheme: str) -> None:
    client: TestClient = test_client_factory(Pallasite(routes=ROUTES, base_url=base_url))
    with client.websocket_connect("/ws?a=1", headers=EVIL) as websocket:
        assert websocket.receive_json() == [
            f"{scheme}://here.example/ws?a=1",
            f"{scheme}://here.example/",
            f"{scheme}://here.example/ws",
        ]


def test_base_url_holds_for_mounted_applications_that_have_none(test_client_factory: Any) -> None:
    inner = Pallasite(routes=ROUTES)
    other = Pallasite(routes=ROUTES, base_url="https://other.example")
    app = Pallasite(
        routes=[Mount("/in", inner), Mount("/other", other), *ROUTES],
        base_url="https://here.example",
    )
    client: TestClient = test_client_factory(app)
    assert client.get("/in/urls", headers=EVIL).json()[0] == "https://here.example/in/urls"
    assert client.get("/other/urls", headers=EVIL).json()[0] == "https://other.example/other/urls"
    assert client.get("/urls", headers=EVIL).json()[0] == "https://here.example/urls"


def test_application_without_base_url_follows_the_host_header(test_client_factory: Any) -> None:
    client: TestClient = test_client_factory(Pallasite(routes=ROUTES))
    assert client.get("/urls", headers=EVIL).json()[0] == "http://evil.example/urls"


class Nobody(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(), SimpleUser("nobody")


@requires("admin", redirect="urls")
async def admin(request: Request) -> PlainTextResponse:
    raise AssertionError("not allowed")


def test_base_url_is_where_login_redirects_lead(test_client_factory: Any) -> None:
    app = Pallasite(
        routes=[*ROUTES, Route("/admin", admin)],
        middleware=[Middleware(AuthenticationMiddleware, backend=Nobody())],
        base_url="https://here.example",
    )
    client: TestClient = test_client_factory(app, follow_redirects=False)
    location = client.get("/admin", headers=EVIL).headers["location"]
    assert location == "https://here.example/urls?next=https%3A%2F%2Fhere.example%2Fadmin"


@pytest.mark.parametrize("base_url", ["https://here.example", "http://here.example:80"])
def test_base_url_is_where_the_https_redirect_leads(test_client_factory: Any, base_url: str) -> None:
    app = Pallasite(routes=ROUTES, middleware=[Middleware(HTTPSRedirectMiddleware)], base_url=base_url)
    client: TestClient = test_client_factory(app, follow_redirects=False)
    assert client.get("/urls?a=1", headers=EVIL).headers["location"] == "https://here.example/urls?a=1"


def test_redirect_to_www_is_made_of_the_host_header(test_client_factory: Any) -> None:
    app = Pallasite(
        routes=ROUTES,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["www.b.example"])],
        base_url="https://www.a.example",
    )
    client: TestClient = test_client_factory(app, follow_redirects=False)
    assert client.get("/urls", headers={"host": "b.example"}).headers["location"] == "http://www.b.example/urls"


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "here.example",
        "//here.example",
        "https://",
        "https:///",
        "https://here.example/app",
        "https://here.example//",
        "https://here.example?a",
        "https://me@here.example",
        "https://here.example:65536",
        "https://here.example:",
        "https://a b",
        "https://héré.example",
        "ftp://here.example",
        "HTTPS://here.example",
        "https://here.example\r\nx: y",
    ],
)
def test_base_url_of_another_form_is_an_error(base_url: str) -> None:
    with pytest.raises(ValueError, match="scheme and a host"):
        Pallasite(base_url=base_url)


def test_origin_is_scheme_and_authority() -> None:
    assert parse_origin("https://[::1]:8000/") == ("https", "[::1]:8000")
    assert parse_origin("http://Here.example") == ("http", "Here.example")


def test_other_hosts_are_refused_before_the_middleware(test_client_factory: Any) -> None:
    class Unreachable:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            assert scope["headers"][0] != (b"host", b"evil.example")
            await self.app(scope, receive, send)

    app = Pallasite(routes=ROUTES, middleware=[Middleware(Unreachable)], allowed_hosts=["testserver", "*.example.org"])
    client: TestClient = test_client_factory(app)
    assert client.get("/urls").json()[0] == "http://testserver/urls"
    assert client.get("/urls", headers={"host": "a.example.org:81"}).json()[0] == "http://a.example.org:81/urls"
    for host in ("evil.example", "example.org", "a b", ""):
        answer = client.get("/urls", headers={"host": host})
        assert (answer.status_code, answer.text) == (400, "Invalid host header")
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/ws", headers=EVIL),
    ):
        raise AssertionError("not connected")
    assert denied.value.status_code == 400


def test_hosts_and_base_url_go_together(test_client_factory: Any) -> None:
    app = Pallasite(routes=ROUTES, allowed_hosts=["testserver"], base_url="https://here.example")
    client: TestClient = test_client_factory(app)
    assert client.get("/urls").json()[0] == "https://here.example/urls"
    assert client.get("/urls", headers=EVIL).status_code == 400


def test_empty_list_of_allowed_hosts_allows_none(test_client_factory: Any) -> None:
    assert test_client_factory(Pallasite(routes=ROUTES, allowed_hosts=[])).get("/urls").status_code == 400


@pytest.mark.parametrize("hosts", ["here.example", ["here.*"], ["*here.example"]])
def test_anything_but_a_list_of_hosts_is_an_error(hosts: Any) -> None:
    with pytest.raises(AssertionError):
        Pallasite(allowed_hosts=hosts)
    with pytest.raises(AssertionError):
        TrustedHostMiddleware(Pallasite(), hosts)


def test_subclass_with_its_own_constructor_and_stack_has_both(test_client_factory: Any) -> None:
    class Own(Pallasite):
        def __init__(self) -> None:
            self.router = Pallasite(routes=ROUTES).router
            self.middleware_stack = None

        def build_middleware_stack(self) -> Any:
            return self.router

    app = Own()
    app.base_url = "https://here.example"
    app.allowed_hosts = ["testserver"]
    client: TestClient = test_client_factory(app)
    assert client.get("/urls").json()[0] == "https://here.example/urls"
    assert client.get("/urls", headers=EVIL).status_code == 400


def test_outermost_layer_stays_the_one_that_was_built(test_client_factory: Any) -> None:
    app = Pallasite(routes=ROUTES, base_url="https://here.example")
    test_client_factory(app).get("/urls")
    assert type(app.middleware_stack) is ServerErrorMiddleware
    assert type(app.middleware_stack.app) is FixedOrigin
