"""Whatever a server hands over, within ASGI or beside it, only what is documented comes out.

Scopes are ASGI's in their types and arbitrary in their contents; messages may come in any order. What the application
sends has to be a well-formed exchange; what it raises has to be an exception that the documentation names.
"""

from __future__ import annotations

from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Host, Mount, Route, Router, WebSocketRoute
from pallasite.websockets import WebSocket, WebSocketDisconnect

# Raised where the client goes away, or where the server's messages come in an order that ASGI does not have.
DOCUMENTED: tuple[type[Exception], ...] = (ClientDisconnect, WebSocketDisconnect, RuntimeError)


async def everything(request: Request) -> Response:
    try:
        port: Any = request.url.port
    except ValueError:
        port = "bad"
    request.session["path"] = request.url.path
    body = await request.body()
    return JSONResponse(
        {
            "url": str(request.url),
            "port": port,
            "base": str(request.base_url),
            "home": str(request.url_for("home")),
            "headers": request.headers.items(),
            "query": request.query_params.multi_items(),
            "cookies": request.cookies,
            "params": request.path_params,
            "client": request.client,
            "length": len(body),
        }
    )


async def json(request: Request) -> Response:
    return JSONResponse(await request.json())


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse([name for name, _ in fields.multi_items()])


async def stream(request: Request) -> Response:
    return StreamingResponse(request.stream(), headers={"x-method": "any"})


def in_a_thread(request: Request) -> Response:
    return PlainTextResponse(request.url.path)


async def text_socket(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def json_socket(socket: WebSocket) -> None:
    await socket.accept(socket.scope["subprotocols"][0] if socket.scope["subprotocols"] else None)
    while True:
        await socket.send_json(await socket.receive_json("binary"), "binary")


ROUTES = [
    Route("/", everything, name="home", methods=["GET", "POST"]),
    Route("/json", json, methods=["POST"]),
    Route("/form", form, methods=["POST"]),
    Route("/stream", stream, methods=["POST"]),
    Route("/thread", in_a_thread),
    Route("/item/{number:int}", everything),
    Route("/item/{number:float}/", everything),
    Route("/{a}-{b:uuid}", everything),
    Route("/{rest:path}/end", everything),
    WebSocketRoute("/ws", text_socket),
    WebSocketRoute("/ws/{rest:path}", json_socket),
]
APP = Pallasite(
    routes=[Host("{sub}.example", Router(ROUTES)), Mount("/{below}", routes=ROUTES), *ROUTES],
    middleware=[Middleware(SessionMiddleware, secret_key="not very secret, but long")],
)

# Pieces that mean something to one parser or another, between arbitrary ones.
TEXT_PIECES = [
    "/",
    "//",
    "item",
    "ws",
    "json",
    "form",
    "stream",
    "end",
    "7",
    "1.5",
    "\0",
    "\n",
    "%2f",
    "..",
    "?",
    "#",
    "\ud800",
]
BYTE_PIECES = [
    b"=",
    b"&",
    b";",
    b",",
    b" ",
    b'"',
    b"\\",
    b"%",
    b"%00",
    b"\0",
    b"\r\n",
    b"[",
    b"]",
    b":",
    b"@",
    b"{",
    b"--x",
]
SHORT_TEXT = st.lists(st.sampled_from(TEXT_PIECES) | st.text(max_size=3), max_size=6).map("".join)
SHORT_BYTES = st.lists(st.sampled_from(BYTE_PIECES) | st.binary(max_size=4), max_size=8).map(b"".join)
HEADER_NAMES = [b"host", b"cookie", b"content-type", b"content-length", b"range", b"accept", b"transfer-encoding"]
HEADER_VALUES = [b"a.example", b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded", b"bytes=0-"]
HEADER = st.tuples(st.sampled_from(HEADER_NAMES) | SHORT_BYTES, st.sampled_from(HEADER_VALUES) | SHORT_BYTES)
PATH = st.sampled_from([route.path for route in ROUTES]) | SHORT_TEXT.map("/".__add__) | SHORT_TEXT

SCOPE = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["http", "http", "websocket"]),
        "asgi": st.sampled_from([{"version": "3.0"}, {"version": "3.0", "spec_version": "2.4"}]),
        "http_version": st.sampled_from(["1.0", "1.1", "2"]),
        "method": st.sampled_from(["GET", "HEAD", "POST", "POST", "OPTIONS"]) | SHORT_TEXT,
        "path": PATH,
        "query_string": SHORT_BYTES,
        "headers": st.lists(HEADER, max_size=5) | st.lists(HEADER, max_size=5).map(tuple),
        "subprotocols": st.lists(st.sampled_from(["chat", "v2"]), max_size=2),
    },
    optional={
        "scheme": st.sampled_from(["http", "https", "ws", "wss"]),
        "root_path": st.just("") | PATH,
        "raw_path": SHORT_BYTES,
        "client": st.none() | st.tuples(SHORT_TEXT, st.integers(0, 65535)),
        "server": st.none() | st.tuples(SHORT_TEXT, st.none() | st.integers(0, 65535)),
        "state": st.just({}),
        "extensions": st.sampled_from([{}, {"websocket.http.response": {}}]),
    },
)
JSON_TEXT = st.sampled_from(["{}", "[1", "NaN", '"\\ud800"', "1" * 5000, "[" * 5000]) | st.text(max_size=5)
BODY = SHORT_BYTES | st.sampled_from(
    [b"{}", b'"\\udfff"', b"a=b&c", b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--']
)
MESSAGE = st.one_of(
    st.fixed_dictionaries({"type": st.just("http.request")}, optional={"body": BODY, "more_body": st.booleans()}),
    st.fixed_dictionaries(
        {"type": st.just("websocket.receive")},
        optional={
            "text": st.none() | JSON_TEXT,
            "bytes": st.none() | JSON_TEXT.map(lambda text: text.encode("utf-8", "replace")),
        },
    ),
    st.sampled_from([{"type": "websocket.connect"}, {"type": "http.disconnect"}, {"type": "lifespan.startup"}]),
    st.fixed_dictionaries(
        {"type": st.just("websocket.disconnect")},
        optional={"code": st.integers(1000, 4999), "reason": st.none() | SHORT_TEXT},
    ),
)
GOODBYE = {"http": {"type": "http.disconnect"}, "websocket": {"type": "websocket.disconnect", "code": 1006}}


async def converse(scope: Any, messages: list[Any], works: int) -> tuple[list[Any], Exception | None]:
    """What is sent, and what is raised. The client is gone after `works` messages: from then on `send` fails."""
    sent: list[Any] = []
    gone = False

    async def receive() -> Any:
        await anyio.lowlevel.checkpoint()
        return messages.pop(0) if messages and not gone else GOODBYE[scope["type"]]

    async def send(message: Any) -> None:
        nonlocal gone
        if len(sent) >= works:
            gone = True
            raise OSError("gone")
        sent.append(message)

    try:
        with anyio.fail_after(30):
            await APP(scope, receive, send)
    except TimeoutError:
        raise
    except Exception as error:
        return sent, None if gone and isinstance(error, OSError) else error
    return sent, None


def check_http(sent: list[Any], *, is_complete: bool) -> None:
    kinds = [message["type"] for message in sent]
    assert kinds[:1] in ([], ["http.response.start"])
    assert set(kinds[1:]) <= {"http.response.body"}
    assert all(message.get("more_body", False) for message in sent[1:-1])
    for name, value in sent[0]["headers"] if sent else ():
        assert not set(name + value) & set(b"\r\n\0")
        assert name == name.lower()
    if is_complete:
        assert kinds
        assert not sent[-1].get("more_body", False)


def check_websocket(sent: list[Any]) -> None:
    if sent and sent[0]["type"] == "websocket.http.response.start":
        return
    kinds = [message["type"] for message in sent]
    assert kinds[:1] in ([], ["websocket.accept"], ["websocket.close"])
    assert "websocket.close" not in kinds[:-1]
    assert set(kinds[1:]) <= {"websocket.send", "websocket.close"}
    for message in sent:
        (message.get("text") or "").encode("utf-8")


@given(SCOPE, st.lists(MESSAGE, max_size=5), st.sampled_from([99, 99, 99, 0, 1, 2]), st.booleans())
def test_any_exchange_ends_well_or_as_documented(scope: Any, messages: list[Any], works: int, opens: bool) -> None:
    kind = scope["type"]
    if opens:  # most exchanges begin as they should
        first = (
            {"type": "http.request", "body": b"", "more_body": True}
            if kind == "http"
            else {"type": "websocket.connect"}
        )
        messages = [first, *messages]
    sent, error = anyio.run(converse, scope, messages, works)
    if error is not None:
        assert isinstance(error, DOCUMENTED), repr(error)
    if kind == "http":
        check_http(sent, is_complete=error is None and works == 99)
        # A 500 is for the server's own mistakes, or for a client that has gone and will not see it.
        if sent and sent[0]["status"] >= 500:
            assert isinstance(error, ClientDisconnect) or works < 99, repr(error)
    else:
        check_websocket(sent)
