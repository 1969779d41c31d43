"""The test client: requests as the application sees them, and responses as the test does."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from pallasite import testclient
from pallasite.endpoints import HTTPEndpoint
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from pallasite.types import Message, Receive, Scope, Send
from tests.support.asgi import START
from tests.support.clients import ClientFactory
from tests.testclient.apps import OK, body, endpoint, messages

# --- requests


def test_scope_of_a_request_is_complete(test_client_factory: ClientFactory) -> None:
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await OK(scope, receive, send)

    client = test_client_factory(app, base_url="https://example.org:8443/api", root_path="/api", client=("me", 7))
    client.put("/a%2Fb/ä%2541?q=%C3%A4&r", headers={b"X-Token": b"\xe9", b"Accept": b"*/*"}, content=b"12")
    headers = scopes[0].pop("headers")
    assert headers[0] == (b"host", b"example.org:8443")
    assert set(headers) >= {(b"x-token", b"\xe9"), (b"user-agent", b"testclient"), (b"content-length", b"2")}
    assert scopes == [
        {
            "type": "http",
            "http_version": "1.1",
            "method": "PUT",
            "path": "/api/a/b/ä%41",
            "raw_path": b"/api/a%2Fb/%C3%A4%2541",
            "root_path": "/api",
            "scheme": "https",
            "query_string": b"q=%C3%A4&r",
            "client": ("me", 7),
            "server": ["example.org", 8443],
            "state": {},
            "extensions": {"http.response.debug": {}, "http.response.trailers": {}},
        }
    ]


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("http://testserver", ["testserver", 80]),
        ("https://testserver", ["testserver", 443]),
        ("http://[::1]:0", ["::1", 0]),
        ("http://bücher.example", ["xn--bcher-kva.example", 80]),
    ],
)
def test_server_is_taken_from_the_base_url(
    test_client_factory: ClientFactory, base_url: str, server: list[str | int]
) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return JSONResponse(request["server"])

    assert test_client_factory(app, base_url=base_url).get("/").json() == server


def test_headers_given_to_the_client_win(test_client_factory: ClientFactory) -> None:
    given = {"User-Agent": "probe", "X-A": "1"}

    @endpoint
    async def app(request: Request) -> Response:
        return JSONResponse([request.headers.getlist("user-agent"), request.headers["x-a"]])

    assert test_client_factory(app, headers=given).get("/").json() == [["probe"], "1"]
    assert given == {"User-Agent": "probe", "X-A": "1"}


def test_body_reaches_the_application_whole(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return Response(await request.body())

    client = test_client_factory(app)
    assert client.post("/", content=b"x" * 300_000).content == b"x" * 300_000
    assert client.post("/", content=iter([b"a", b"b"])).content == b"ab"
    assert client.post("/", json={"a": 1}).json() == {"a": 1}
    assert client.post("/", data={"a": "1 2"}).text == "a=1+2"
    assert b'filename="n.txt"' in client.post("/", files={"f": ("n.txt", b"text")}).content


def test_cookies_are_kept_between_requests(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        response = JSONResponse(request.cookies)
        if "visits" not in request.cookies:
            response.set_cookie("visits", "1")
        return response

    client = test_client_factory(app, cookies={"own": "a"})
    assert client.get("/").json() == {"own": "a"}
    assert client.get("/").json() == {"own": "a", "visits": "1"}


@pytest.mark.parametrize(("follow", "status"), [(True, 200), (False, 307)])
def test_redirects_are_followed_by_default(test_client_factory: ClientFactory, follow: bool, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (OK if scope["path"] == "/new" else RedirectResponse("/new"))(scope, receive, send)

    client = test_client_factory(app, follow_redirects=follow)
    response = client.get("/old")
    assert response.status_code == status
    assert [past.status_code for past in response.history] == ([307] if follow else [])
    assert client.get("/old", follow_redirects=not follow).status_code == (307 if follow else 200)


def test_head_response_has_no_body(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(messages({**START, "headers": [(b"content-length", b"3")]}, body(b"abc")))
    response = client.head("/")
    assert (response.content, response.headers["content-length"]) == (b"", "3")
    with client.stream("HEAD", "/") as live:
        assert live.read() == b""


def test_header_bytes_outside_utf8_are_kept(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(messages({**START, "headers": [(b"x", b"\xe9")]}, body(b""))).get("/")
    assert response.headers.raw == [(b"x", b"\xe9")]


def test_asgi2_application_is_adapted(test_client_factory: ClientFactory) -> None:
    def app(scope: Scope) -> Any:
        async def instance(receive: Receive, send: Send) -> None:
            await OK(scope, receive, send)

        return instance

    assert test_client_factory(app).get("/").text == "ok"


def test_endpoint_class_is_an_application(test_client_factory: ClientFactory) -> None:
    class Page(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return OK

    assert test_client_factory(Page).get("/").text == "ok"


def test_partial_application_is_recognised(test_client_factory: ClientFactory) -> None:
    async def app(extra: str, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(extra)(scope, receive, send)

    assert test_client_factory(functools.partial(app, "more")).get("/").text == "more"


def test_timeout_argument_warns(test_client_factory: ClientFactory) -> None:
    with pytest.warns(StarletteDeprecationWarning, match="You should not use the 'timeout' argument") as caught:
        assert test_client_factory(OK).get("/", timeout=3).text == "ok"
    assert len(caught) == 1


def test_debug_information_is_on_the_response(test_client_factory: ClientFactory) -> None:
    info: dict[str, Any] = {"template": "page.html", "context": {"a": 1}}
    app = messages({"type": "http.response.debug", "info": info}, START, body(b""))
    response = test_client_factory(app).get("/")
    assert response.extensions["http.response.debug"] is info
    assert (response.template, response.context) == ("page.html", {"a": 1})  # type: ignore[attr-defined]
    del info["context"]
    assert not hasattr(test_client_factory(app).get("/"), "context")
    assert not hasattr(test_client_factory(OK).get("/"), "template")


def trailers(*names: bytes, more: bool = False) -> Message:
    return {"type": "http.response.trailers", "headers": [(name, b"1") for name in names], "more_trailers": more}


def test_trailers_are_on_the_response(test_client_factory: ClientFactory) -> None:
    app = messages({**START, "trailers": True}, body(b"a"), trailers(b"x", more=True), trailers(b"y"))
    client = test_client_factory(app)
    assert client.get("/").extensions["http.response.trailers"] == [(b"x", b"1"), (b"y", b"1")]
    with client.stream("GET", "/") as response:
        assert response.read() == b"a"
        assert response.extensions["http.response.trailers"] == [(b"x", b"1"), (b"y", b"1")]


OUT_OF_ORDER: list[tuple[str, list[Message]]] = [
    ("multiple", [START, START]),
    ("without", [body(b"")]),
    ("after response completed", [START, body(b""), body(b"")]),
    ("after body completed", [{**START, "trailers": True}, body(b""), body(b"")]),
    ("without declaring", [START, body(b"", more=True), trailers()]),
    ("before body completed", [{**START, "trailers": True}, trailers()]),
    ("trailers.* after response completed", [{**START, "trailers": True}, body(b""), trailers(), trailers()]),
]


@pytest.mark.parametrize(("complaint", "sent"), OUT_OF_ORDER)
def test_message_out_of_order_is_an_error(
    test_client_factory: ClientFactory, complaint: str, sent: list[Message]
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        test_client_factory(messages(*sent)).get("/")


def test_text_in_the_place_of_header_bytes_is_an_error(test_client_factory: ClientFactory) -> None:
    with pytest.raises(TypeError):
        test_client_factory(messages({**START, "headers": [("a", "b")]}, body(b""))).get("/")


def test_message_of_another_kind_is_left_to_servers(test_client_factory: ClientFactory) -> None:
    app = messages({"type": "http.response.push"}, START, {"type": "http.response.zerocopysend"}, body(b"ok"))
    assert test_client_factory(app).get("/").text == "ok"


def test_request_without_a_host_header_names_the_server(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return PlainTextResponse(request.headers["host"])

    client = test_client_factory(app)
    request = client.build_request("GET", "http://example.org:81/")
    del request.headers["host"]
    assert client.send(request).text == "example.org:81"


def test_exported_names_exist() -> None:
    assert set(testclient.__all__) <= set(vars(testclient))
