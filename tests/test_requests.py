"""Requests: values from the scope, and the body."""

from __future__ import annotations

import contextlib
import gc
import json
from typing import Any

import anyio
import pytest

from pallasite.applications import Pallasite
from pallasite.datastructures import URL, Address, State
from pallasite.exceptions import HTTPException
from pallasite.requests import ClientDisconnect, HTTPConnection, MalformedJSON, Request, cookie_parser
from pallasite.responses import JSONResponse, PlainTextResponse
from pallasite.routing import Mount, Route, Router
from tests.support.asgi import Sent, always, never, scope_of

pytestmark = pytest.mark.anyio


def notes_scope(**changes: Any) -> dict[str, Any]:
    headers = [(b"host", b"example.org")]
    return scope_of(**{"path": "/notes", "headers": headers, "server": ("127.0.0.1", 8000), **changes})


class Channel:
    """A receive channel over a list of messages; counts how often it was asked."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.calls = 0

    async def __call__(self) -> dict[str, Any]:
        self.calls += 1
        return self.messages.pop(0)


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_connection_is_a_mapping_over_its_scope() -> None:
    scope = notes_scope()
    connection: HTTPConnection = HTTPConnection(scope)
    assert dict(connection) == scope
    assert connection["path"] == "/notes"
    assert len(connection) == len(scope)


def test_connections_are_equal_only_to_themselves() -> None:
    scope = notes_scope()
    first, second = Request(scope), Request(scope)
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_websocket_scope_makes_no_request() -> None:
    with pytest.raises(AssertionError):
        Request(notes_scope(type="websocket"))


def test_url_comes_from_host_path_and_query() -> None:
    request = Request(notes_scope(query_string=b"page=2"))
    assert request.url == "http://example.org/notes?page=2"
    assert request.url is request.url


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "http://example.org/"),
        ({"root_path": "/api"}, "http://example.org/api/"),
        ({"root_path": "/api/v1", "app_root_path": "/api"}, "http://example.org/api/"),
        ({"scheme": "https", "headers": []}, "https://127.0.0.1:8000/"),
        ({"query_string": b"a=1"}, "http://example.org/"),
    ],
    ids=["plain", "root-path", "inside-mount", "no-host", "query-dropped"],
)
def test_base_url_is_the_applications_root(changes: dict[str, Any], expected: str) -> None:
    assert Request(notes_scope(**changes)).base_url == URL(expected)


def test_headers_query_and_cookies_are_parsed_once_and_kept() -> None:
    headers = [(b"host", b"x"), (b"cookie", b"a=1; b=2"), (b"cookie", b"b=3")]
    request = Request(notes_scope(headers=headers, query_string=b"q=a+b&q=c"))
    assert request.headers["host"] == "x"
    assert request.headers is request.headers
    assert request.query_params.getlist("q") == ["a b", "c"]
    assert request.query_params is request.query_params
    assert request.cookies == {"a": "1", "b": "3"}
    assert request.cookies is request.cookies


def test_deleted_headers_are_read_again() -> None:
    request = Request(notes_scope())
    assert "x-new" not in request.headers
    request.scope["headers"] = ((b"x-new", b"1"),)
    del request._headers
    assert request.headers["x-new"] == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("chunk", {"": "chunk"}),
        ('q="x\\054y"', {"q": "x,y"}),
        (" ; ;", {}),
        ("a=1; a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_cookie_parser_is_as_lenient_as_browsers(text: str, expected: dict[str, str]) -> None:
    assert cookie_parser(text) == expected


def test_client_address_is_none_when_unknown() -> None:
    assert Request(notes_scope(client=None)).client is None
    assert Request(notes_scope(client=("1.2.3.4", 5))).client == Address("1.2.3.4", 5)


@pytest.mark.parametrize("name", ["session", "auth", "user"])
def test_missing_middleware_is_named(name: str) -> None:
    with pytest.raises(AssertionError, match="Middleware must be installed"):
        getattr(Request(notes_scope()), name)


def test_session_is_marked_as_accessed_where_it_can_be() -> None:
    class Session(dict[str, Any]):
        accessed = False

        def mark_accessed(self) -> None:
            self.accessed = True

    session = Session(a=1)
    assert Request(notes_scope(session=session)).session is session
    assert session.accessed
    assert Request(notes_scope(session={"b": 2})).session == {"b": 2}


def test_state_is_shared_through_the_scope() -> None:
    scope = notes_scope(state={"db": 1})
    Request(scope).state.user = "me"
    other = Request(scope)
    assert isinstance(other.state, State)
    assert (other.state.db, other.state.user) == (1, "me")


def test_path_params_default_to_none_given() -> None:
    assert Request(notes_scope()).path_params == {}
    assert Request(notes_scope(path_params={"id": 3})).path_params == {"id": 3}


def test_private_attributes_appear_only_when_filled() -> None:
    request = Request(notes_scope())
    assert not hasattr(request, "_body")
    assert not hasattr(request, "_json")


async def test_body_in_one_message_is_read_with_one_receive() -> None:
    channel = Channel(chunk(b"hello"))
    request = Request(notes_scope(), channel)
    assert await request.body() == b"hello"
    assert await request.body() == b"hello"
    assert channel.calls == 1


async def test_body_joins_chunks_and_stream_repeats_it() -> None:
    request = Request(notes_scope(), Channel(chunk(b"a", True), chunk(b"", True), chunk(b"b", True), chunk(b"c")))
    assert await request.body() == b"abc"
    assert [part async for part in request.stream()] == [b"abc", b""]


async def test_stream_yields_chunks_then_an_empty_one() -> None:
    request = Request(notes_scope(), Channel(chunk(b"a", True), chunk(b"b")))
    assert [part async for part in request.stream()] == [b"a", b"b", b""]


async def test_stream_cannot_be_read_twice() -> None:
    request = Request(notes_scope(), Channel(chunk(b"a")))
    assert [part async for part in request.stream()] == [b"a", b""]
    with pytest.raises(RuntimeError, match="Stream consumed"):
        await request.body()
    with pytest.raises(RuntimeError, match="Stream consumed"):
        [part async for part in request.stream()]


async def test_disconnect_in_mid_body_raises_client_disconnect() -> None:
    request = Request(notes_scope(), Channel(chunk(b"a", True), {"type": "http.disconnect"}))
    with pytest.raises(ClientDisconnect):
        await request.body()
    assert not hasattr(request, "_body")
    assert await request.is_disconnected()


async def test_overridden_stream_is_what_body_reads() -> None:
    class Shouting(Request):
        async def stream(self) -> Any:
            async for part in super().stream():
                yield part.upper()

    assert await Shouting(notes_scope(), Channel(chunk(b"a", True), chunk(b"b"))).body() == b"AB"


async def test_overridden_body_is_what_json_reads() -> None:
    class Wrapped(Request):
        async def body(self) -> bytes:
            return b"[" + await super().body() + b"]"

    assert await Wrapped(notes_scope(), Channel(chunk(b"1"))).json() == [1]


async def test_json_is_parsed_once() -> None:
    request = Request(notes_scope(), Channel(chunk(b'{"a": [1, 2.5, null]}')))
    assert await request.json() == {"a": [1, 2.5, None]}
    assert await request.json() is request._json


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1} x',
        b"\xff\xfe\xfd",
        b'"\xff"',
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": [-1e999]}',
        b"9" * 400 + b".5",
        "1e999".encode("utf-16"),
        b"[" * 100_000,
        b"9" * 5_000,
        b"\x00",
    ],
    ids=[
        "empty",
        "cut",
        "tail",
        "bad-utf8",
        "bad-utf8-text",
        "nan",
        "infinity",
        "overflow",
        "long-overflow",
        "utf-16-overflow",
        "deep",
        "5000-digits",
        "nul",
    ],
)
async def test_malformed_json_is_a_documented_error(body: bytes) -> None:
    request = Request(notes_scope(), Channel(chunk(body)))
    with pytest.raises(MalformedJSON) as caught:
        await request.json()
    assert isinstance(caught.value, json.JSONDecodeError)
    assert isinstance(caught.value, HTTPException)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("text", ["1.5e308", "1e-999", '"1e999"', "[0.25, 1e+2, 17e100]", "9" * 300 + "." + "1" * 99])
async def test_json_number_that_fits_is_read(text: str) -> None:
    assert await Request(notes_scope(), Channel(chunk(text.encode()))).json() == json.loads(text)


async def test_replaced_json_loads_is_what_reads_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda body: ["replaced", body])
    assert await Request(notes_scope(), Channel(chunk(b"{}"))).json() == ["replaced", b"{}"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"NaN", b"[" * 100_000], ids=["cut", "bad-utf8", "nan", "deep"])
def test_malformed_json_unhandled_is_400(body: bytes, test_client_factory: Any) -> None:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    client = test_client_factory(Pallasite(routes=[Route("/", echo, methods=["POST"])]))
    response = client.post("/", content=body)
    assert (response.status_code, response.text) == (400, "Malformed JSON body")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
async def test_json_of_every_unicode_encoding_is_understood(encoding: str) -> None:
    request = Request(notes_scope(), Channel(chunk('{"é": 1}'.encode(encoding))))
    assert await request.json() == {"é": 1}


@pytest.mark.parametrize("body", [b"[" + b"[]," * 100_000 + b"[]]", b"[" + b"[]," * 100_000])
@pytest.mark.parametrize("enabled", [True, False])
async def test_large_json_is_decoded_without_garbage_collections(body: bytes, enabled: bool) -> None:
    collections = 0

    def count(phase: str, info: dict[str, int]) -> None:
        nonlocal collections
        collections += phase == "start"

    request = Request(notes_scope(), Channel(chunk(body)))
    await request.body()
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    gc.callbacks.append(count)
    try:
        with contextlib.suppress(ValueError):
            assert len(await request.json()) == 100_001
        seen = collections
        assert gc.isenabled() is enabled
    finally:
        gc.callbacks.remove(count)
        (gc.enable if was_enabled else gc.disable)()
    assert seen <= 2  # after the decoder: 100,000 lists would cause about a hundred


async def test_is_disconnected_never_waits() -> None:
    assert not await Request(notes_scope(), never).is_disconnected()
    assert await Request(notes_scope(), Channel({"type": "http.disconnect"})).is_disconnected()


@pytest.mark.parametrize("asked", [1, 2, 3, 4])
async def test_is_disconnected_keeps_the_body(asked: int) -> None:
    channel = Channel(chunk(b"ab", True), chunk(b"", True), chunk(b"cd"), chunk(b"replayed"))
    request = Request(notes_scope(), channel)
    assert [await request.is_disconnected() for _ in range(asked)] == [False] * asked
    assert await request.body() == b"abcd"


async def test_is_disconnected_keeps_the_body_for_another_reader_of_its_receive() -> None:
    request = Request(notes_scope(), Channel(chunk(b"ab", True), chunk(b"cd")))
    assert not await request.is_disconnected()
    assert await Request(request.scope, request.receive).body() == b"abcd"
    assert request.receive is request._receive


async def test_is_disconnected_keeps_the_disconnect() -> None:
    request = Request(notes_scope(), Channel(chunk(b"ab", True), {"type": "http.disconnect"}))
    assert [await request.is_disconnected() for _ in range(2)] == [False, True]
    with pytest.raises(ClientDisconnect):
        await request.body()
    with pytest.raises(ClientDisconnect):
        await request.body()


async def test_is_disconnected_after_the_body_keeps_nothing() -> None:
    request = Request(notes_scope(), Channel(chunk(b"ab"), chunk(b"replayed"), {"type": "http.disconnect"}))
    assert await request.body() == b"ab"
    assert [await request.is_disconnected() for _ in range(2)] == [False, True]
    assert not request._kept


async def test_is_disconnected_keeps_a_bounded_number_of_messages() -> None:
    channel = Channel(*[chunk(b"a", True)] * 100, chunk(b"b"))
    request = Request(notes_scope(), channel)
    assert not any([await request.is_disconnected() for _ in range(100)])
    assert channel.calls == 64
    assert await request.body() == b"a" * 100 + b"b"


@pytest.mark.parametrize("message", [chunk(b"", True), {"type": "http.other"}], ids=["empty", "unknown"])
async def test_receive_that_never_waits_does_not_block_the_event_loop(message: dict[str, Any]) -> None:
    with anyio.move_on_after(0.01) as scope:
        await Request(notes_scope(), always(message)).body()
    assert scope.cancelled_caught


async def test_missing_channels_are_reported() -> None:
    with pytest.raises(RuntimeError, match="Receive channel"):
        await Request(notes_scope()).body()
    with pytest.raises(RuntimeError, match="Send channel"):
        await Request(notes_scope(extensions={"http.response.push": {}})).send_push_promise("/x")


async def test_push_promise_repeats_what_the_request_said() -> None:
    sent = Sent()
    headers = [(b"accept", b"text/css"), (b"cookie", b"a=1"), (b"user-agent", b"x")]
    scope = notes_scope(headers=headers, extensions={"http.response.push": {}})
    await Request(scope, send=sent).send_push_promise("/style.css")
    assert sent == [
        {
            "type": "http.response.push",
            "path": "/style.css",
            "headers": [(b"accept", b"text/css"), (b"user-agent", b"x")],
        }
    ]
    sent.clear()
    await Request(notes_scope(), send=sent).send_push_promise("/style.css")
    assert sent == []


async def test_early_hints_are_sent_where_the_server_can() -> None:
    sent = Sent()
    request = Request(notes_scope(extensions={"http.response.early_hint": {}}), send=sent)
    await request.send_early_hints("</a.css>; rel=preload", "</b.js>; rel=preload")
    assert sent == [{"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}]
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        await request.send_early_hints("</a>\r\nset-cookie: a=1")
    await Request(notes_scope(), send=sent).send_early_hints("</a>")
    assert len(sent) == 1


def test_url_for_needs_a_router() -> None:
    with pytest.raises(RuntimeError, match="url_for"):
        Request(notes_scope()).url_for("home")


def test_url_for_inside_a_mount_starts_at_the_application(test_client_factory: Any) -> None:
    async def where(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url_for('api:item', id=7)} {request.base_url}")

    inner = [Route("/items/{id:int}", where, name="item")]
    client = test_client_factory(Pallasite(routes=[Mount("/api", routes=inner, name="api")]))
    assert client.get("/api/items/1").text == "http://testserver/api/items/7 http://testserver/"


def test_url_for_works_with_a_bare_router(test_client_factory: Any) -> None:
    async def where(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(request.url_for("where")))

    assert test_client_factory(Router([Route("/x", where)])).get("/x").text == "http://testserver/x"


async def test_message_of_an_unknown_type_is_skipped() -> None:
    channel = Channel({"type": "http.unknown"}, chunk(b"body"))
    assert await Request(notes_scope(), channel).body() == b"body"


async def test_close_closes_the_files_of_a_form_that_was_read() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    request = Request(notes_scope(headers=headers), Channel(chunk(body)))
    await request.close()
    form = await request.form()
    await request.close()
    assert form["f"].file.closed  # type: ignore[union-attr]
