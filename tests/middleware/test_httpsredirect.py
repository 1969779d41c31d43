"""Redirects from http to https, and connections that pass."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.middleware.httpsredirect import HTTPSRedirectMiddleware
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi import UNUSED, Sent

pytestmark = pytest.mark.anyio


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def request(host: str | None, kind: str = "http", app: ASGIApp = ok, **scope: Any) -> Any:
    sent = Sent()
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    scope = {"type": kind, "scheme": "http", "path": "/a", "query_string": b"b=c", "headers": headers, **scope}
    if scope["scheme"] is None:
        del scope["scheme"]
    await HTTPSRedirectMiddleware(app)(scope, UNUSED, sent)
    return sent


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("example.org", b"https://example.org/a?b=c"),
        ("example.org:80", b"https://example.org/a?b=c"),
        ("example.org:443", b"https://example.org/a?b=c"),
        ("example.org:0080", b"https://example.org/a?b=c"),
        ("example.org:8080", b"https://example.org:8080/a?b=c"),
        ("[2001:db8::1]", b"https://[2001:db8::1]/a?b=c"),
        ("[2001:db8::1]:80", b"https://[2001:db8::1]/a?b=c"),
        ("[2001:db8::1]:81", b"https://[2001:db8::1]:81/a?b=c"),
    ],
)
async def test_plain_request_is_redirected(host: str, location: bytes) -> None:
    [start, _] = await request(host)
    assert start["status"] == 307
    assert dict(start["headers"])[b"location"] == location


async def test_query_and_path_are_kept_as_they_are() -> None:
    [start, _] = await request("example.org", path="/ä b/", query_string=b"a=%2F&b")
    assert dict(start["headers"])[b"location"] == b"https://example.org/%C3%A4%20b/?a=%2F&b"


async def test_websocket_is_redirected_to_wss() -> None:
    sent = await request(
        "example.org", kind="websocket", scheme="ws", extensions={"websocket.http.response": {}}, subprotocols=[]
    )
    assert sent[0]["type"] == "websocket.http.response.start"
    assert dict(sent[0]["headers"])[b"location"] == b"wss://example.org/a?b=c"


@pytest.mark.parametrize(("kind", "location"), [("http", b"https://a/a?b=c"), ("websocket", b"wss://a/a?b=c")])
async def test_scope_without_a_scheme_has_the_plain_one(kind: str, location: bytes) -> None:
    sent = await request("a", kind=kind, scheme=None, extensions={"websocket.http.response": {}})
    assert dict(sent[0]["headers"])[b"location"] == location


@pytest.mark.parametrize("host", ["a b", "example.org@evil.example", "evil/", "", None, "x:99999", "x:" + "9" * 5000])
async def test_host_that_is_none_is_refused(host: Any) -> None:
    [start, body] = await request(host)
    assert (start["status"], body["body"]) == (400, b"Invalid host header")


async def test_address_of_the_server_stands_for_a_missing_host() -> None:
    [start, _] = await request(None, server=("testserver", 8000))
    assert dict(start["headers"])[b"location"] == b"https://testserver:8000/a?b=c"


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss"), ("lifespan", "http")])
async def test_everything_else_passes(kind: str, scheme: str) -> None:
    [start] = await request("example.org", kind=kind, scheme=scheme)
    assert start["status"] == 200


async def test_error_of_the_application_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("app")

    with pytest.raises(KeyError, match="app"):
        await request("example.org", scheme="https", app=app)
