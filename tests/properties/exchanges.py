"""Anything that a server may send, valid ASGI or not, and what must be true of the response.

Scopes are ASGI's in their types and arbitrary in their contents; messages may come in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio
from hypothesis import strategies as st

from pallasite.requests import ClientDisconnect
from pallasite.types import ASGIApp
from pallasite.websockets import WebSocketDisconnect, WebSocketDisconnected
from tests.support.asgi import STALL_SECONDS

# Raised if the client disconnects.
_GONE: tuple[type[Exception], ...] = (ClientDisconnect, WebSocketDisconnect, WebSocketDisconnected)

# More messages than any application here sends.
ALL = 10_000

# Text that is special to one parser or another, to be mixed with arbitrary text.
TEXT_PIECES = [
    "/",
    "//",
    "item",
    "7",
    "1.5",
    "\0",
    "\n",
    "%2f",
    "..",
    ".",
    "?",
    "#",
    "\\",
    "\ud800",
    "é",
    "page",
    "end",
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
HEADERS = [
    (b"host", b"a.example"),
    (b"cookie", b'a=1; session="x"'),
    (b"content-type", b"multipart/form-data; boundary=x"),
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-length", b"12"),
    (b"range", b"bytes=0-"),
    (b"accept", b"*/*;q=0.5"),
    (b"transfer-encoding", b"chunked"),
]
JSON_TEXT = st.sampled_from(["{}", "[1", "NaN", '"\\ud800"', "1" * 5000, "[" * 5000, "1e999"]) | st.text(max_size=5)
PART = b'--x\r\ncontent-disposition: form-data; name="a"'
BODY = SHORT_BYTES | st.sampled_from(
    [b"{}", b'"\\udfff"', b"a=b&c", PART + b"\r\n\r\n1\r\n--x--", PART + b'; filename="b"\r\n\r\n1\r\n--x--']
)
HTTP_REQUEST: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.just("http.request")}, optional={"body": BODY, "more_body": st.booleans()}
)
WEBSOCKET_RECEIVE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.just("websocket.receive")},
    optional={
        "text": st.none() | JSON_TEXT,
        "bytes": st.none() | JSON_TEXT.map(lambda text: text.encode("utf-8", "replace")),
    },
)
OTHER: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from([{"type": "websocket.connect"}, {"type": "http.disconnect"}, {"type": "lifespan.startup"}]),
    st.fixed_dictionaries(
        {"type": st.just("websocket.disconnect")},
        optional={"code": st.integers(1000, 4999), "reason": st.none() | SHORT_TEXT},
    ),
)
OPENING: dict[str, dict[str, Any]] = {
    "http": {"type": "http.request", "body": b"", "more_body": True},
    "websocket": {"type": "websocket.connect"},
}
GOODBYE: dict[str, dict[str, Any]] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1006},
}


class Exchange(NamedTuple):
    """A scope, the messages of the server, the number of messages until the client disconnects, and the event loop."""

    scope: dict[str, Any]
    messages: list[dict[str, Any]]
    works: int
    backend: str

    @property
    def is_request_complete(self) -> bool:
        """True if the whole body of a request arrives."""
        kinds = [message["type"] for message in self.messages]
        ends = [message["type"] == "http.request" and not message.get("more_body", False) for message in self.messages]
        return True in ends and set(kinds[: ends.index(True)]) <= {"http.request"}

    @property
    def is_orderly(self) -> bool:
        """True if the server follows ASGI."""
        messages = list(self.messages)
        if self.scope["type"] == "websocket":
            return (
                messages[:1] == [OPENING["websocket"]]
                and all(_is_frame(message) for message in messages[1:-1])
                and (_is_frame(messages[-1]) or messages[-1]["type"] in ("websocket.connect", "websocket.disconnect"))
                and "websocket.connect" not in [message["type"] for message in messages[1:]]
            )
        while messages and messages[0]["type"] == "http.request":
            if not messages.pop(0).get("more_body", False):
                break
        return all(message["type"] == "http.disconnect" for message in messages)


def _is_frame(message: dict[str, Any]) -> bool:
    return message["type"] == "websocket.receive" and (message.get("text") or message.get("bytes")) is not None


def scopes(paths: Sequence[str], headers: Sequence[tuple[bytes, bytes]] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Requests for these paths and any other, with these headers, those of `HEADERS` and any other."""
    known = [*HEADERS, *headers]
    names, values = st.sampled_from([name for name, _ in known]), st.sampled_from([value for _, value in known])
    header = st.sampled_from(known) | st.tuples(names | SHORT_BYTES, values | SHORT_BYTES)
    path = st.sampled_from(paths) | SHORT_TEXT.map("/".__add__) | SHORT_TEXT
    return st.fixed_dictionaries(
        {
            "type": st.sampled_from(["http", "http", "websocket"]),
            "asgi": st.sampled_from([{"version": "3.0"}, {"version": "3.0", "spec_version": "2.4"}]),
            "http_version": st.sampled_from(["1.0", "1.1", "2"]),
            "method": st.sampled_from(["GET", "GET", "HEAD", "POST", "POST", "OPTIONS"]) | SHORT_TEXT,
            "path": path,
            "query_string": SHORT_BYTES,
            "headers": st.lists(header, max_size=5) | st.lists(header, max_size=5).map(tuple),
        },
        optional={
            "subprotocols": st.lists(st.sampled_from(["chat", "v2"]), max_size=2),
            "scheme": st.sampled_from(["http", "https", "ws", "wss"]),
            "root_path": st.just("") | path,
            "raw_path": SHORT_BYTES,
            "client": st.none() | st.tuples(SHORT_TEXT, st.integers(0, 65535)),
            "server": st.none() | st.tuples(SHORT_TEXT, st.none() | st.integers(0, 65535)),
            "state": st.builds(dict),
            "extensions": st.sampled_from([{}, {"websocket.http.response": {}}]),
        },
    )


@st.composite
def exchanges(draw: st.DrawFn, scope: st.SearchStrategy[dict[str, Any]]) -> Exchange:
    """Return exchanges of which most start correctly and half continue so. One client in three disconnects early."""
    given = draw(scope)
    kind = given["type"]
    if kind == "websocket" and draw(st.booleans()):
        del given["method"], given["query_string"], given["http_version"]  # optional there, or not there at all
    usual = HTTP_REQUEST if kind == "http" else WEBSOCKET_RECEIVE
    messages: list[dict[str, Any]] = draw(
        st.lists(usual, max_size=4) | st.lists(HTTP_REQUEST | WEBSOCKET_RECEIVE | OTHER, max_size=5)
    )
    if draw(st.sampled_from([True, True, False])):
        messages = [dict(OPENING[kind]), *messages]
    return Exchange(given, messages, draw(st.sampled_from([ALL, ALL, ALL, 0, 1, 2])), draw(st.sampled_from(BACKENDS)))


BACKENDS = ["asyncio", "trio"]


def hold(app: ASGIApp, exchange: Exchange) -> None:
    """Run the exchange, and check its outcome: a well-formed response, or a documented exception.

    RuntimeError is for a server that does not keep to ASGI.
    """
    documented = _GONE if exchange.is_orderly else (*_GONE, RuntimeError)
    sent, error, knew = anyio.run(_converse, app, exchange, backend=exchange.backend)
    if error is not None:
        assert isinstance(error, documented), repr(error)
    if exchange.scope["type"] == "websocket":
        _check_websocket(sent)
        return
    # A stream may end early, without its last message, once `receive` has reported that the client is gone.
    _check_http(sent, is_complete=bool(sent) and error is None and exchange.works == ALL and not knew)
    # Who goes before the request is complete may get no answer at all.
    assert sent or error is not None or exchange.works < ALL or not exchange.is_request_complete
    # A 500 is for mistakes of the server, or for a client that has disconnected and will not see it.
    if sent and sent[0]["status"] >= 500:
        assert isinstance(error, ClientDisconnect) or exchange.works < ALL, repr(error)


async def _converse(app: ASGIApp, exchange: Exchange) -> tuple[list[Any], Exception | None, bool]:
    """Return the messages sent, the exception raised, and whether `receive` has reported a disconnect.

    After the client has disconnected, `send` fails.
    """
    scope, messages, gone, knew = dict(exchange.scope), list(exchange.messages), False, False
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal knew
        await anyio.lowlevel.checkpoint()
        message = dict(messages.pop(0)) if messages and not gone else GOODBYE[scope["type"]]
        knew = knew or message["type"].endswith(".disconnect")
        return message

    async def send(message: Any) -> None:
        nonlocal gone
        await anyio.lowlevel.checkpoint()
        if len(sent) >= exchange.works:
            gone = True
            raise OSError("gone")
        sent.append(message)

    try:
        with anyio.fail_after(STALL_SECONDS):
            await app(scope, receive, send)
    except TimeoutError:
        raise
    except Exception as error:
        return sent, None if gone and isinstance(error, OSError) else error, knew
    return sent, None, knew


def _check_http(sent: list[Any], *, is_complete: bool) -> None:
    kinds = [message["type"] for message in sent]
    assert kinds[:1] in ([], ["http.response.start"])
    assert set(kinds[1:]) <= {"http.response.body"}
    assert all(message.get("more_body", False) for message in sent[1:-1])
    _check_headers(sent)
    if is_complete:
        assert not sent[-1].get("more_body", False)


def _check_websocket(sent: list[Any]) -> None:
    _check_headers(sent)
    if sent and sent[0]["type"] == "websocket.http.response.start":
        assert {message["type"] for message in sent[1:]} <= {"websocket.http.response.body"}
        return
    kinds = [message["type"] for message in sent]
    assert kinds[:1] in ([], ["websocket.accept"], ["websocket.close"])
    assert "websocket.close" not in kinds[:-1]
    assert set(kinds[1:]) <= {"websocket.send", "websocket.close"}
    for message in sent:
        (message.get("text") or "").encode("utf-8")
        assert len((message.get("reason") or "").encode("utf-8")) <= 123


def _check_headers(sent: list[Any]) -> None:
    for name, value in (sent[0].get("headers") or ()) if sent else ():
        assert not set(name + value) & set(b"\r\n\0")
        assert name == name.lower()
