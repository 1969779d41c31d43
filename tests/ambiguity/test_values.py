"""A value that would break a header, a cookie or an event is quoted, or rejected when the application sets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from pallasite.applications import Pallasite
from pallasite.datastructures import MutableHeaders
from pallasite.exceptions import HTTPException, SecurityWarning
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from pallasite.sse import EventSourceResponse, ServerSentEvent
from pallasite.testclient import TestClient
from pallasite.websockets import WebSocket
from tests.support.asgi import STALL_SECONDS, Sent, always

pytestmark = pytest.mark.anyio

BREAKS = ["\r\nset-cookie: a=b", "\n", "\r", "\0"]
SECRET = "a secret of more than sixteen bytes"


def cookie(**attributes: Any) -> list[tuple[bytes, bytes]]:
    response = Response()
    response.set_cookie(**{"key": "k", **attributes})
    return response.raw_headers


def text_in(charset: str) -> Response:
    class Text(Response):
        pass

    Text.charset = charset
    return Text(media_type="text/plain")


REFUSE: dict[str, Callable[[str], object]] = {
    "a response's header": lambda text: Response(headers={"x": text}),
    "a response's header's name": lambda text: Response(headers={"x" + text: "a"}),
    "a response's type": lambda text: Response(media_type="a/b" + text),
    "a response's charset": lambda text: text_in("utf-8" + text),
    "a stream's header": lambda text: StreamingResponse([], headers={"x": text}),
    "a stream's type": lambda text: StreamingResponse([], media_type="a/b" + text),
    "an event stream's header": lambda text: EventSourceResponse([], headers={"x": text}),
    "a redirect's header": lambda text: RedirectResponse("/", headers={"x": text}),
    "a file's header": lambda text: FileResponse("a", headers={"x": text}),
    "a file's type": lambda text: FileResponse("a", media_type="a/b" + text),
    "a file's disposition": lambda text: FileResponse("a", filename="a", content_disposition_type="inline" + text),
    "headers": lambda text: MutableHeaders({"x": text}),
    "headers' names": lambda text: MutableHeaders({"x" + text: "a"}),
    "an exception's header": lambda text: HTTPException(400, headers={"x": text}),
    "an exception's header's name": lambda text: HTTPException(400, headers={"x" + text: "a"}),
    "a cookie's name": lambda text: cookie(key="k" + text),
    "a cookie's path": lambda text: cookie(path="/" + text),
    "a cookie's domain": lambda text: cookie(domain="a" + text),
    "a cookie's expiry": lambda text: cookie(expires="Sun" + text),
    "a cookie's age": lambda text: cookie(max_age="1" + text),
    "a deleted cookie's path": lambda text: Response().delete_cookie("k", path="/" + text),
    "the session's name": lambda text: SessionMiddleware(Pallasite(), SECRET, session_cookie="s" + text),
    "the session's path": lambda text: SessionMiddleware(Pallasite(), SECRET, path="/" + text),
    "the session's domain": lambda text: SessionMiddleware(Pallasite(), SECRET, domain="a" + text),
    "allowed methods": lambda text: CORSMiddleware(Pallasite(), allow_methods=["GET" + text]),
    "allowed headers": lambda text: CORSMiddleware(Pallasite(), allow_headers=["x" + text]),
    "exposed headers": lambda text: CORSMiddleware(Pallasite(), expose_headers=["x" + text]),
    "an event's name": lambda text: ServerSentEvent("a", event="e" + text),
    "an event's id": lambda text: ServerSentEvent("a", id="1" + text),
}


@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize("set_it", REFUSE.values(), ids=REFUSE.keys())
def test_line_break_or_nul_is_an_error_where_it_is_set(set_it: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError):
        set_it(text)


SURROGATES = {name: set_it for name, set_it in REFUSE.items() if not name.startswith("an event's ")}


@pytest.mark.parametrize("text", ["€", "\ud800"], ids=ascii)
@pytest.mark.parametrize("set_it", SURROGATES.values(), ids=SURROGATES.keys())
def test_character_outside_latin_1_is_an_error_where_it_is_set(set_it: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError):
        set_it(text)


@pytest.mark.parametrize("attribute", ["path", "domain", "expires", "max_age"])
def test_semicolon_that_would_end_a_cookies_attribute_is_an_error(attribute: str) -> None:
    with pytest.raises(ValueError, match="semicolon"):
        cookie(**{attribute: "a; HttpOnly"})


@pytest.mark.parametrize("option", [{"path": "/; Secure"}, {"domain": "a; Secure"}, {"session_cookie": "a=b; c"}])
def test_semicolon_in_the_sessions_cookie_is_an_error(option: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        SessionMiddleware(Pallasite(), SECRET, **option)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [*BREAKS, "\t", "\x7f", "\x85", "\u2028", "€", "\ud800", '"', ";", "\\"], ids=ascii)
def test_what_can_be_quoted_is_quoted(text: str) -> None:
    headers = [
        *RedirectResponse("/a" + text).raw_headers,
        *RedirectResponse("https://a.example/" + text).raw_headers,
        *FileResponse("a", filename="a" + text + ".txt").raw_headers,
    ]
    if text.encode("latin-1", "ignore"):
        headers += cookie(value="a" + text)
    for _, value in headers:
        assert str(value, "ascii").isprintable()


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("plain.txt", 'attachment; filename="plain.txt"'),
        ('a"; filename="b.php', "attachment; filename*=utf-8''a%22%3B%20filename%3D%22b.php"),
        ("a\r\nx: y", "attachment; filename*=utf-8''a%0D%0Ax%3A%20y"),
        ("\udcff.txt", "attachment; filename*=utf-8''%FF.txt"),
        ("\ud800.txt", "attachment; filename*=utf-8''%EF%BF%BD.txt"),
    ],
)
def test_file_is_offered_under_one_name(filename: str, disposition: str) -> None:
    assert FileResponse("a", filename=filename).headers["content-disposition"] == disposition


def test_exceptions_headers_that_are_not_text_are_left_to_its_handler() -> None:
    headers: Any = {"retry-after": 5, b"x": "\n"}
    assert HTTPException(503, headers=headers).headers is headers


async def accept(**options: Any) -> list[Any]:
    sent = Sent()

    await WebSocket({"type": "websocket"}, always({"type": "websocket.connect"}), sent).accept(**options)
    return sent


@pytest.mark.parametrize(
    "options",
    [
        *({"headers": [(b"x", text.encode())]} for text in BREAKS),
        *({"headers": [(b"x" + text.encode(), b"a")]} for text in BREAKS),
        {"headers": [(b"x: y", b"a")]},
        {"headers": [(b"", b"a")]},
        {"headers": [(b"\xff", b"a")]},
        *({"subprotocol": "chat" + text} for text in [*BREAKS, "€", "\ud800"]),
    ],
    ids=ascii,
)
async def test_handshake_with_a_broken_header_is_an_error_before_it_is_sent(options: Any) -> None:
    with pytest.raises(ValueError):
        await accept(**options)


async def test_handshake_sends_headers_as_they_are() -> None:
    headers = [(b"X-A", b"a\xff"), (bytearray(b"x-b"), memoryview(b"b"))]
    [message] = await accept(headers=headers, subprotocol="chat.v1")
    assert message == {
        "type": "websocket.accept",
        "subprotocol": "chat.v1",
        "headers": [(b"X-A", b"a\xff"), (b"x-b", b"b")],
    }


@pytest.mark.parametrize("text", BREAKS, ids=repr)
async def test_push_and_hints_with_line_breaks_are_errors(text: str) -> None:
    extensions: Any = {"http.response.push": {}, "http.response.early_hint": {}}
    request: Any = Request({"type": "http", "headers": [], "extensions": extensions})
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        await request.send_push_promise("/a" + text)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        await request.send_early_hints("</a>" + text)


def test_event_with_lone_surrogates_is_sent_with_replacements() -> None:
    event = ServerSentEvent("a\ud800", event="\udfff", id="\ud800", comment="\ud800")
    assert event.encode() == ": \ufffd\nevent: \ufffd\nid: \ufffd\ndata: a\ufffd\n\n".encode()


def test_event_stream_outlives_lone_surrogates(test_client_factory: Any) -> None:
    async def decorated(blocks: Any) -> Any:
        async for block in blocks:
            yield block.decode() + "\ud800"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = EventSourceResponse(["a\ud800", "b"])
        response.body_iterator = decorated(response.body_iterator)
        await response(scope, receive, send)

    client: TestClient = test_client_factory(app)
    assert client.get("/").text == "data: a\ufffd\n\n\ufffddata: b\n\n\ufffd"


async def test_origin_with_a_line_break_is_not_sent_back() -> None:
    sent = Sent()
    with pytest.warns(SecurityWarning):
        app = CORSMiddleware(Response("a"), allow_origins=["*"], allow_credentials=True)
    for method in ("GET", "OPTIONS"):
        headers = [(b"origin", b"https://a\r\nx: y"), (b"cookie", b"a=b"), (b"access-control-request-method", b"GET")]
        with anyio.fail_after(STALL_SECONDS):
            await app({"type": "http", "method": method, "headers": headers}, None, sent)  # type: ignore[arg-type]
    for message in sent:
        for _, value in message.get("headers", []):
            assert not set(value) & set(b"\r\n\0")
