"""Responses held in memory, redirects and cookies."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pallasite import responses
from pallasite._compat import mode
from pallasite._responses import base
from pallasite.datastructures import URL
from pallasite.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from tests.support.asgi import Sent, never

_HTTP = {"type": "http", "method": "GET", "headers": []}
_HTTP_2_4 = {**_HTTP, "asgi": {"spec_version": "2.4"}}
_WEBSOCKET = {"type": "websocket", "headers": [], "extensions": {"websocket.http.response": {}}}


async def _call(response: Any, scope: Mapping[str, Any] = _HTTP, receive: Any = never) -> list[Any]:
    sent = Sent()
    await response(dict(scope), receive, sent)
    return sent


def test_exports_are_complete_and_sorted() -> None:
    assert responses.__all__ == sorted(responses.__all__)
    assert all(hasattr(responses, name) for name in responses.__all__)


@pytest.mark.anyio
async def test_response_sends_head_and_body() -> None:
    response = Response("hé", 201, {"X-A": "b"}, "text/x")
    assert await _call(response) == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"x-a", b"b"), (b"content-length", b"3"), (b"content-type", b"text/x; charset=utf-8")],
        },
        {"type": "http.response.body", "body": "hé".encode()},
    ]


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (None, b""),
        ("", b""),
        ("é", b"\xc3\xa9"),
        (b"\xff", b"\xff"),
        (memoryview(b"abc"), b"abc"),
        (memoryview(b"abcdef")[::2], b"ace"),
        (memoryview(b"abcdefgh").cast("I"), b"abcdefgh"),
    ],
)
def test_response_renders_text_and_bytes(content: Any, body: bytes) -> None:
    response = Response(content)
    assert bytes(response.body) == body
    assert response.raw_headers == [(b"content-length", str(len(body)).encode())]


def test_response_charset_of_a_subclass_is_used() -> None:
    class Latin(HTMLResponse):
        charset = "latin-1"

    response = Latin("é")
    assert response.body == b"\xe9"
    assert response.headers["content-type"] == "text/html; charset=latin-1"


def test_response_of_other_content_is_refused() -> None:
    with pytest.raises(AttributeError):
        Response(3)


@pytest.mark.parametrize(
    ("cls", "content_type"),
    [
        (HTMLResponse, "text/html; charset=utf-8"),
        (PlainTextResponse, "text/plain; charset=utf-8"),
        (JSONResponse, "application/json"),
        (Response, None),
    ],
)
def test_response_class_names_its_type(cls: type[Response], content_type: str | None) -> None:
    assert cls("x").headers.get("content-type") == content_type


def test_response_media_type_given_stays_on_the_instance() -> None:
    assert JSONResponse({}, media_type="application/problem+json").headers["content-type"] == "application/problem+json"
    assert JSONResponse.media_type == "application/json"


@pytest.mark.parametrize("status_code", [100, 204, 304])
def test_response_without_content_has_no_length(status_code: int) -> None:
    assert "content-length" not in Response(status_code=status_code).headers


def test_response_headers_write_through() -> None:
    response = Response()
    response.headers["X-Later"] = "1"
    assert response.headers is response.headers
    assert response.raw_headers == [(b"content-length", b"0"), (b"x-later", b"1")]
    del response.headers["content-length"]
    assert response.raw_headers == [(b"x-later", b"1")]


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x": "\x00"}, {"x\n": "a"}, {"": "a"}, {"x y": "a"}])
def test_response_header_that_would_split_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Response(headers=headers)
    with pytest.raises(ValueError):
        StreamingResponse([], headers=headers)


@pytest.mark.anyio
async def test_response_subclass_may_override_render_and_init_headers() -> None:
    class Shouting(Response):
        media_type = "text/loud"

        def render(self, content: Any) -> bytes:
            return bytes(content.upper(), "ascii")

        def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
            super().init_headers({"x-volume": "11", **(headers or {})})

    head, body = await _call(Shouting("hi", headers={"x-a": "b"}))
    assert body["body"] == b"HI"
    assert head["headers"][:2] == [(b"x-volume", b"11"), (b"x-a", b"b")]


@pytest.mark.anyio
async def test_response_subclass_may_leave_init_out() -> None:
    class Bare(Response):
        def __init__(self) -> None:
            self.status_code = 299
            self.body = b"bare"
            self.background = None
            self.init_headers({"x-a": "b"})

    head, body = await _call(Bare())
    assert (head["status"], body["body"]) == (299, b"bare")
    assert head["headers"] == [(b"x-a", b"b"), (b"content-length", b"4")]


@pytest.mark.anyio
@pytest.mark.parametrize("scope", [{}, {"extensions": None}, {"extensions": {"tls": {}}}])
async def test_response_refuses_a_websocket_of_a_server_without_denial_responses_by_closing(scope: Any) -> None:
    for response in (PlainTextResponse("no", 403), StreamingResponse(["n", "o"], 403)):
        sent = await _call(response, {"type": "websocket", "headers": [], **scope})
        assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


@pytest.mark.anyio
async def test_response_refuses_any_websocket_with_its_own_messages_in_starlettes_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    sent = await _call(PlainTextResponse("no", 403), {"type": "websocket", "headers": []})
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]


@pytest.mark.anyio
async def test_response_refuses_a_websocket_with_its_own_messages() -> None:
    sent = await _call(PlainTextResponse("no", 403), _WEBSOCKET)
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 403
    sent = await _call(StreamingResponse(["n", "o"], 403), _WEBSOCKET)
    assert {message["type"] for message in sent[1:]} == {"websocket.http.response.body"}
    assert len(sent) == 4


# --- JSON


@pytest.mark.parametrize(
    "content",
    [{"é": [1, 2.5, None, True, "\n"]}, [], "text", None, 10**30, (1, 2), {1: {None: 2}}, 1e16],
)
def test_json_body_is_compact_json(content: Any) -> None:
    expected = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    assert JSONResponse(content).body == expected


class _Text(str):
    __slots__ = ()


def test_json_subclasses_of_builtins_are_encoded() -> None:
    assert JSONResponse({_Text("a"): _Text("b")}).body == b'{"a":"b"}'


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (float("nan"), ValueError, "Out of range float values"),
        ({"a": object()}, TypeError, "not JSON serializable"),
        ({b"a": 1}, TypeError, "keys must be"),
    ],
)
def test_json_errors_are_pythons(content: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        JSONResponse(content)


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("\ud800", rb'"\ud800"'),
        (
            {"\udfff": ["é\udc00\U0001f600\\"]},
            rb'{"\udfff":["' + "é".encode() + rb"\udc00" + "\U0001f600".encode() + rb'\\"]}',
        ),
        (_Text("\udc80"), rb'"\udc80"'),
    ],
    ids=["text", "key", "subclass"],
)
def test_json_lone_surrogate_is_escaped(content: Any, body: bytes) -> None:
    assert JSONResponse(content).body == body
    assert json.loads(body) == content


def test_text_lone_surrogate_is_the_replacement_character() -> None:
    assert Response("a\ud800").body == "a\ufffd".encode()
    with pytest.raises(UnicodeEncodeError):
        type("Latin", (Response,), {"charset": "latin-1"})("\u20ac")


def test_redirect_lone_surrogate_is_the_replacement_character() -> None:
    assert RedirectResponse("/\ud800").headers["location"] == "/%EF%BF%BD"


def test_json_circular_is_a_value_error() -> None:
    items: list[Any] = []
    items.append(items)
    with pytest.raises(ValueError, match="Circular"):
        JSONResponse(items)


def test_json_encoder_put_in_its_place_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def dumps(content: Any, **options: Any) -> str:
        calls.append(options)
        return "patched"

    monkeypatch.setattr("pallasite.responses.json.dumps", dumps)
    assert JSONResponse({"a": 1}).body == b"patched"
    assert calls == [{"ensure_ascii": False, "allow_nan": False, "indent": None, "separators": (",", ":")}]


def test_json_render_of_a_subclass_is_called() -> None:
    class Indented(JSONResponse):
        def render(self, content: Any) -> bytes:
            return json.dumps(content, indent=1).encode()

    assert Indented({"a": 1}).body == b'{\n "a": 1\n}'


# --- redirects


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/next", b"/next"),
        (URL("https://example.org/a?b=c#d"), b"https://example.org/a?b=c#d"),
        ("/é ü?q=ä", b"/%C3%A9%20%C3%BC?q=%C3%A4"),
        ("/%20", b"/%20"),
        ("/a\r\nset-cookie: b=c", b"/a%0D%0Aset-cookie:%20b=c"),
    ],
)
def test_redirect_location_is_encoded(url: str | URL, location: bytes) -> None:
    response = RedirectResponse(url)
    assert response.status_code == 307
    assert response.raw_headers == [(b"content-length", b"0"), (b"location", location)]


def test_redirect_keeps_given_headers_but_not_the_location() -> None:
    response = RedirectResponse("/b", 303, headers={"Location": "/a", "x-a": "b"})
    assert response.headers.getlist("location") == ["/b"]
    assert response.headers["x-a"] == "b"
    assert response.status_code == 303


# --- cookies


def test_cookie_all_attributes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 784_111_767.0)
    response = Response()
    response.set_cookie("k", "a b", 10, 10, "/p", "example.org", True, True, "none")
    assert response.raw_headers[-1] == (
        b"set-cookie",
        (
            b'k="a b"; Domain=example.org; expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; Max-Age=10; '
            b"Path=/p; SameSite=none; Secure"
        ),
    )


def test_cookie_defaults_are_path_and_lax() -> None:
    response = Response()
    response.set_cookie("k", "v")
    response.set_cookie("k", 1)  # type: ignore[arg-type] # Starlette accepts anything that has a str()
    response.set_cookie("k", "v", path=None, samesite=None)
    assert response.headers.getlist("set-cookie") == ["k=v; Path=/; SameSite=lax", "k=1; Path=/; SameSite=lax", "k=v"]


@pytest.mark.parametrize(
    "expires",
    [
        dt.datetime(1994, 11, 6, 8, 49, 37, 999_999, tzinfo=dt.UTC),
        dt.datetime(1994, 11, 6, 10, 49, 37, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_cookie_expires_takes_a_moment_or_a_text(expires: Any) -> None:
    response = Response()
    response.set_cookie("k", "v", expires=expires, path=None, samesite=None)
    assert response.headers["set-cookie"] == "k=v; expires=Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("supported", [False, True])
def test_cookie_partitioned_needs_a_python_that_knows_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(base, "_KNOWS_PARTITIONED", supported)
    response = Response()
    if supported:
        response.delete_cookie("k", secure=True, partitioned=True)
        assert "; Partitioned; " in response.headers["set-cookie"]
    else:
        with pytest.raises(ValueError, match="Partitioned cookies are only supported in Python 3"):
            response.set_cookie("k", "v", partitioned=True)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("k", {"samesite": "none"}),
        ("k", {"samesite": "None"}),
        ("__Secure-k", {}),
        ("__secure-k", {"path": "/a"}),
        ("__Host-k", {}),
        ("__Host-k", {"secure": True, "domain": "example.org"}),
        ("__HOST-k", {"secure": True, "path": "/a"}),
        ("__Host-k", {"secure": True, "path": None}),
    ],
)
@pytest.mark.parametrize("method", ["set_cookie", "delete_cookie"])
def test_cookie_that_browsers_drop_is_refused(name: str, attributes: dict[str, Any], method: str) -> None:
    response = Response()
    with pytest.raises(ValueError, match="browsers drop cookie"):
        getattr(response, method)(name, **attributes)
    assert "set-cookie" not in response.headers


def test_cookie_partitioned_must_be_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_KNOWS_PARTITIONED", True)
    with pytest.raises(ValueError, match="Partitioned requires secure=True"):
        Response().set_cookie("k", "v", partitioned=True)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("k", {"samesite": "none", "secure": True}),
        ("__Secure-k", {"secure": True, "domain": "example.org", "path": "/a"}),
        ("__Host-k", {"secure": True}),
        ("__hostess", {}),
        ("_Host-k", {}),
        ("__k", {}),
    ],
)
def test_cookie_that_browsers_take_is_set(name: str, attributes: dict[str, Any]) -> None:
    response = Response()
    response.set_cookie(name, "v", **attributes)
    assert response.headers["set-cookie"].startswith(f"{name}=v; ")


def test_cookie_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError):
        Response().set_cookie("k", "v", expires=dt.datetime(2030, 1, 1))


def test_cookie_unknown_samesite_is_an_assertion_error() -> None:
    with pytest.raises(AssertionError, match="samesite must be either 'strict', 'lax' or 'none'"):
        Response().set_cookie("k", "v", samesite="laxest")  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{"key": "a b"}, {"path": "/\r\n"}, {"domain": "a;b"}, {"expires": "x\0"}])
def test_cookie_that_would_split_is_refused(arguments: dict[str, Any]) -> None:
    response = Response()
    with pytest.raises(ValueError):
        response.set_cookie(**{"key": "k", "value": "v", **arguments})
    assert len(response.raw_headers) == 1


def test_cookie_deleted_expires_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 784_111_777.0)
    response = Response()
    response.delete_cookie("k", domain="example.org", secure=True)
    assert response.headers["set-cookie"] == (
        'k=""; Domain=example.org; expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=0; Path=/; SameSite=lax; Secure'
    )


def test_json_response_calls_an_init_headers_of_a_subclass() -> None:
    class Marked(JSONResponse):
        def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
            super().init_headers({**(headers or {}), "x-mark": "1"})

    assert Marked([]).headers["x-mark"] == "1"
