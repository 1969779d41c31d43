"""WebSocket connections: the application's view, the order of messages, and clients that misbehave."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from pallasite.exceptions import WebSocketException
from pallasite.responses import JSONResponse, Response
from pallasite.testclient import WebSocketDenialResponse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import (
    WebSocket,
    WebSocketClose,
    WebSocketDataError,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketState,
)
from tests.support.asgi import Client
from tests.support.clients import ClientFactory

CONNECT = {"type": "websocket.connect"}
pytestmark = pytest.mark.anyio


class Server(Client):
    """A server whose client's messages are known beforehand, and which fails to send those of one type."""

    def __init__(self, *incoming: Message, fails_on: str = "") -> None:
        super().__init__(*incoming)
        self.fails_on = fails_on

    async def send(self, message: Message) -> None:
        if message["type"] == self.fails_on:
            raise OSError("the socket is gone")
        await super().send(message)

    def socket(self, kind: type[WebSocket] = WebSocket, **scope: Any) -> WebSocket:
        return kind({"type": "websocket", "headers": [], **scope}, self.receive, self.send)


def endpoint(function: Callable[[WebSocket], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await function(WebSocket(scope, receive, send))

    return app


def text(data: str) -> Message:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data}


async def accepted(*incoming: Message, fails_on: str = "") -> tuple[WebSocket, Server]:
    server = Server(CONNECT, *incoming, fails_on=fails_on)
    websocket = server.socket()
    await websocket.accept()
    server.sent.clear()
    return websocket, server


def test_connection_details_are_readable(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(
            {
                "url": str(websocket.url),
                "query": dict(websocket.query_params),
                "header": websocket.headers["x-token"],
                "port": websocket.url.port,
                "type": websocket["type"],
            }
        )
        await websocket.close()

    client = test_client_factory(app)
    with client.websocket_connect("/room/1?a=b%20c", headers={"X-Token": "t"}) as session:
        assert session.receive_json() == {
            "url": "ws://testserver/room/1?a=b%20c",
            "query": {"a": "b c"},
            "header": "t",
            "port": None,
            "type": "websocket",
        }


def test_scope_of_another_type_is_refused() -> None:
    with pytest.raises(AssertionError):
        WebSocket({"type": "http"}, Server().receive, Server().send)


@pytest.mark.parametrize("kind", ["text", "bytes", "json"])
def test_echo_returns_what_was_sent(test_client_factory: ClientFactory, kind: str) -> None:
    values: dict[str, list[Any]] = {
        "text": ["", "grüße", "\x00"],
        "bytes": [b"", b"\x00\xff"],
        "json": [None, {"ä": [1, 2.5, True]}, ""],
    }

    @endpoint
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        async for item in getattr(websocket, f"iter_{kind}")():
            await getattr(websocket, f"send_{kind}")(item)

    with test_client_factory(app).websocket_connect("/") as session:
        for value in values[kind]:
            getattr(session, f"send_{kind}")(value)
            assert getattr(session, f"receive_{kind}")() == value


def test_json_in_binary_frames_round_trips(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(2):
            await websocket.send_json(await websocket.receive_json(mode="binary"), mode="binary")

    with test_client_factory(app).websocket_connect("/") as session:
        for _ in range(2):
            session.send_json({"a": "ß"}, mode="binary")
        assert session.receive_bytes() == '{"a":"ß"}'.encode()
        assert session.receive_json(mode="binary") == {"a": "ß"}


async def test_send_json_is_compact_and_keeps_characters() -> None:
    websocket, server = await accepted()
    await websocket.send_json({"a": ["é", 1]})
    assert server.sent == [{"type": "websocket.send", "text": '{"a":["é",1]}'}]


async def test_send_json_of_nan_is_what_json_writes() -> None:
    websocket, server = await accepted()
    await websocket.send_json([math.nan, -math.inf])
    assert server.sent[0]["text"] == "[NaN,-Infinity]"


async def test_send_json_of_an_unknown_type_raises() -> None:
    websocket, server = await accepted()
    with pytest.raises(TypeError):
        await websocket.send_json({1, 2})
    assert server.sent == []


async def test_send_json_calls_a_patched_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "dumps", lambda *_, **__: "patched")
    websocket, server = await accepted()
    await websocket.send_json(1)
    assert server.sent[0]["text"] == "patched"


@pytest.mark.parametrize("call", [lambda w: w.send_json(1, mode="xml"), lambda w: w.receive_json(mode="xml")])
async def test_json_mode_unknown_raises(call: Callable[[WebSocket], Any]) -> None:
    websocket, _ = await accepted()
    with pytest.raises(RuntimeError, match='"mode"'):
        await call(websocket)


def test_accept_negotiates_subprotocol_and_headers(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(websocket: WebSocket) -> None:
        assert websocket["subprotocols"] == ["soap", "wamp"]
        await websocket.accept(subprotocol="wamp", headers=iter([(b"x-one", b"1")]))
        await websocket.close()

    with test_client_factory(app).websocket_connect("/", subprotocols=["soap", "wamp"]) as session:
        assert session.accepted_subprotocol == "wamp"
        assert session.extra_headers == [(b"x-one", b"1")]


@pytest.mark.parametrize("bad", [b"a\r\nb", b"a\nb", b"a\rb", b"a\0b"], ids=["crlf", "lf", "cr", "nul"])
async def test_accept_header_with_a_line_break_raises(bad: bytes) -> None:
    cases: list[dict[str, Any]] = [
        {"headers": [(b"x", bad)]},
        {"headers": [(bad, b"x")]},
        {"subprotocol": bad.decode()},
    ]
    for arguments in cases:
        server = Server(CONNECT)
        with pytest.raises(ValueError, match="Invalid header"):
            await server.socket().accept(**arguments)
        assert server.sent == []


def test_refusal_before_accept_reaches_the_client(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(websocket: WebSocket) -> None:
        await websocket.close(code=4001, reason="not today")

    with pytest.raises(WebSocketDisconnect) as refused, test_client_factory(app).websocket_connect("/"):
        pytest.fail("connected")
    assert (refused.value.code, refused.value.reason) == (4001, "not today")


async def test_send_text_and_close_replace_lone_surrogates() -> None:
    server = Server(CONNECT)
    websocket = server.socket()
    await websocket.accept()
    for text in ("plain", "ä€", "a\ud800b\udfff"):
        await websocket.send_text(text)
    await websocket.close(4000, "no \udc00")
    assert [message.get("text") for message in server.sent[1:-1]] == ["plain", "ä€", "a\ufffdb\ufffd"]
    assert server.sent[-1] == {"type": "websocket.close", "code": 4000, "reason": "no \ufffd"}


async def test_close_passes_a_reason_that_is_not_text_to_the_server() -> None:
    server = Server(CONNECT)
    websocket = server.socket()
    await websocket.accept()
    reason: Any = [{"loc": "query"}]
    await websocket.close(reason=reason)
    assert server.sent[-1]["reason"] is reason


def test_close_application_sends_code_and_reason(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(WebSocketClose(code=1001, reason="away"))
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/"):
        pytest.fail("connected")
    assert (refused.value.code, refused.value.reason) == (1001, "away")


def test_client_leaving_is_a_disconnect_with_its_code(test_client_factory: ClientFactory) -> None:
    seen = []

    @endpoint
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as exc:
            seen.append((exc.code, exc.reason))
            raise

    with pytest.raises(WebSocketDisconnect), test_client_factory(app).websocket_connect("/") as session:
        session.close(code=4000, reason="bye")
    assert seen == [(4000, "bye")]


@pytest.mark.parametrize("receive", ["receive_text", "receive_bytes", "receive_json"])
async def test_disconnect_without_a_code_is_1005(receive: str) -> None:
    websocket, _ = await accepted({"type": "websocket.disconnect"})
    with pytest.raises(WebSocketDisconnect) as gone:
        await getattr(websocket, receive)()
    assert (gone.value.code, gone.value.reason) == (1005, "")
    assert websocket.client_state is WebSocketState.DISCONNECTED
    with pytest.raises(WebSocketDisconnected):
        await getattr(websocket, receive)()


def test_denial_response_is_raised_to_the_client(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(websocket: WebSocket) -> None:
        await websocket.receive()
        await websocket.send_denial_response(JSONResponse({"why": "full"}, status_code=503, headers={"X-A": "b"}))

    with pytest.raises(WebSocketDenialResponse) as refused, test_client_factory(app).websocket_connect("/"):
        pytest.fail("connected")
    assert refused.value.status_code == 503
    assert refused.value.headers["x-a"] == "b"
    assert refused.value.json() == {"why": "full"}
    assert isinstance(refused.value, WebSocketDisconnect)


@pytest.mark.parametrize("scope", [{}, {"extensions": None}, {"extensions": {}}], ids=["absent", "none", "empty"])
async def test_denial_response_without_the_extension_raises(scope: dict[str, Any]) -> None:
    server = Server(CONNECT)
    websocket = server.socket(**scope)
    with pytest.raises(RuntimeError, match="Denial Response"):
        await websocket.send_denial_response(Response("no"))
    assert server.sent == []


async def test_denial_messages_follow_their_order() -> None:
    server = Server(CONNECT)
    websocket = server.socket()
    await websocket.send({"type": "websocket.http.response.start", "status": 404, "headers": []})
    with pytest.raises(RuntimeError, match=r"websocket\.http\.response\.body"):
        await websocket.send({"type": "websocket.accept"})
    states = []
    for message in ({"body": b"a", "more_body": True}, {"body": b"b"}):
        await websocket.send({"type": "websocket.http.response.body", **message})
        states.append(websocket.application_state)
    assert states == [WebSocketState.RESPONSE, WebSocketState.DISCONNECTED]
    with pytest.raises(WebSocketDisconnected):
        await websocket.close()


@pytest.mark.parametrize("use", ["receive_text", "receive_bytes", "receive_json"])
async def test_receiving_before_accept_raises(use: str) -> None:
    with pytest.raises(WebSocketDisconnected, match="accept"):
        await getattr(Server(CONNECT).socket(), use)()


@pytest.mark.parametrize(
    "send",
    [
        lambda w: w.send_text(""),
        lambda w: w.send_bytes(b""),
        lambda w: w.send_json(None),
        lambda w: w.send({"type": "websocket.send", "text": ""}),
    ],
    ids=["text", "bytes", "json", "raw"],
)
async def test_sending_out_of_turn_raises(send: Callable[[WebSocket], Any]) -> None:
    server = Server(CONNECT)
    websocket = server.socket()
    with pytest.raises(RuntimeError, match=r'"websocket\.accept", "websocket\.close" or .*got \'websocket\.send\''):
        await send(websocket)
    await websocket.accept()
    await websocket.close()
    server.sent.clear()
    with pytest.raises(WebSocketDisconnected):
        await send(websocket)
    assert server.sent == []


async def test_accepting_twice_raises() -> None:
    websocket, _ = await accepted()
    with pytest.raises(RuntimeError, match=r"websocket\.accept"):
        await websocket.accept()


async def test_closing_twice_raises() -> None:
    websocket, _ = await accepted()
    await websocket.close()
    with pytest.raises(WebSocketDisconnected):
        await websocket.close()


@pytest.mark.parametrize("receive", ["receive", "receive_text", "receive_bytes", "receive_json"])
async def test_server_message_out_of_order_raises(receive: str) -> None:
    websocket, _ = await accepted(CONNECT)
    with pytest.raises(RuntimeError, match=r"got 'websocket\.connect'"):
        await getattr(websocket, receive)()


async def test_server_starting_with_a_message_raises() -> None:
    with pytest.raises(RuntimeError, match=r'Expected ASGI message "websocket\.connect", but'):
        await Server(text("early")).socket().accept()


SENDS: list[Callable[[WebSocket], Any]] = [
    lambda w: w.send_text(""), lambda w: w.send_bytes(b""), lambda w: w.send_json(1), lambda w: w.close()
]  # fmt: skip


async def broken(error: Exception) -> WebSocket:
    """An accepted websocket whose server fails with `error` at every further message."""

    class Broken(Server):
        async def send(self, message: Message) -> None:
            if message["type"] != "websocket.accept":
                raise error

    websocket = Broken(CONNECT).socket()
    await websocket.accept()
    return websocket


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError("gone"),
        # The message of uvicorn after it has closed because of an invalid frame.
        RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."),
    ],
    ids=["ASGI", "uvicorn"],
)
@pytest.mark.parametrize("send", SENDS)
async def test_lost_socket_is_a_disconnect(send: Callable[[WebSocket], Any], error: Exception) -> None:
    websocket = await broken(error)
    with pytest.raises(WebSocketDisconnect) as lost:
        await send(websocket)
    assert lost.value.code == 1006
    assert lost.value.__context__ is error
    assert websocket.application_state is WebSocketState.DISCONNECTED


@pytest.mark.parametrize("send", SENDS)
async def test_any_other_failure_of_the_server_is_its_own(send: Callable[[WebSocket], Any]) -> None:
    websocket = await broken(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        await send(websocket)


WRONG_KIND: list[tuple[str, dict[str, Any], Message]] = [
    ("receive_text", {}, binary(b"x")),
    ("receive_text", {}, {"type": "websocket.receive", "text": None, "bytes": b"x"}),
    ("receive_text", {}, {"type": "websocket.receive"}),
    ("receive_bytes", {}, text("x")),
    ("receive_bytes", {}, {"type": "websocket.receive", "text": "x", "bytes": None}),
    ("receive_json", {}, binary(b"{}")),
    ("receive_json", {"mode": "binary"}, text("{}")),
]


@pytest.mark.parametrize(("method", "arguments", "message"), WRONG_KIND)
async def test_frame_of_the_wrong_kind_is_unsupported_data(
    method: str, arguments: dict[str, Any], message: Message
) -> None:
    websocket, _ = await accepted(message, text("after"))
    with pytest.raises(WebSocketDataError) as wrong:
        await getattr(websocket, method)(**arguments)
    assert wrong.value.code == 1003
    assert isinstance(wrong.value, KeyError)
    assert await websocket.receive_text() == "after"


MALFORMED: list[tuple[str, Message]] = [
    ("text", text("")),
    ("text", text("{")),
    ("text", text("1" * 5000)),
    ("text", text("[" * 100_000)),
    ("binary", binary(b"\xff")),
    ("binary", binary(b"")),
    ("text", text("[NaN]")),
    ("text", text("-1e999")),
]


@pytest.mark.parametrize(
    ("mode", "message"),
    MALFORMED,
    ids=["empty", "cut", "long-integer", "deep", "not-utf-8", "empty-binary", "nan", "overflow"],
)
async def test_json_malformed_is_a_documented_error(mode: str, message: Message) -> None:
    websocket, _ = await accepted(message)
    with pytest.raises(json.JSONDecodeError) as bad:
        await websocket.receive_json(mode=mode)
    error = bad.value
    assert isinstance(error, WebSocketDataError)
    assert (error.code, error.reason) == (1007, "Malformed JSON")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.msg, copy.pos) == (type(error), error.msg, error.pos)


def test_data_error_is_a_websocket_exception() -> None:
    assert issubclass(WebSocketDataError, WebSocketException)


async def test_iteration_ends_with_the_disconnect() -> None:
    websocket, _ = await accepted(text("1"), text("2"), {"type": "websocket.disconnect", "code": 1000})
    assert [item async for item in websocket.iter_text()] == ["1", "2"]


async def test_iteration_passes_other_errors_on() -> None:
    websocket, _ = await accepted(text("not json"))
    with pytest.raises(WebSocketDataError):
        await anext(websocket.iter_json())


async def test_subclass_overriding_the_channels_is_honoured() -> None:
    class Shouting(WebSocket):
        async def receive(self) -> Message:
            message = await super().receive()
            if "text" in message:
                message["text"] = message["text"].upper()
            return message

        async def send(self, message: Message) -> None:
            await super().send({**message, "marked": True})

    server = Server(CONNECT, text("hello"), binary(b"x"))
    websocket = server.socket(Shouting)
    await websocket.accept()
    assert await websocket.receive_text() == "HELLO"
    assert await websocket.receive_bytes() == b"x"
    await websocket.send_text("a")
    await websocket.send_bytes(b"b")
    assert all(message["marked"] for message in server.sent)


async def test_instance_patched_in_place_is_honoured() -> None:
    websocket, server = await accepted()

    async def receive() -> Message:
        return text("patched")

    async def send(message: Message) -> None:
        server.sent.append({"patched": message})

    websocket.receive, websocket.send = receive, send  # type: ignore[method-assign]
    assert await websocket.receive_text() == "patched"
    await websocket.send_text("out")
    assert server.sent == [{"patched": {"type": "websocket.send", "text": "out"}}]


async def test_class_patched_in_place_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = WebSocket.receive

    async def traced(self: WebSocket) -> Message:
        message = await original(self)
        seen.append(message["type"])
        return message

    websocket, _ = await accepted(text("a"))
    monkeypatch.setattr(WebSocket, "receive", traced)
    assert await websocket.receive_text() == "a"
    assert seen == ["websocket.receive"]


async def test_raise_on_disconnect_override_is_called() -> None:
    class Gone(Exception):
        pass

    class Custom(WebSocket):
        def _raise_on_disconnect(self, message: Message) -> None:
            raise Gone(message["type"])

    server = Server(CONNECT, {"type": "websocket.disconnect", "code": 1001})
    websocket = server.socket(Custom)
    await websocket.accept()
    with pytest.raises(Gone, match=r"websocket\.disconnect"):
        await websocket.receive_text()


def test_disconnect_has_defaults() -> None:
    assert (WebSocketDisconnect().code, WebSocketDisconnect().reason) == (1000, "")
    assert issubclass(WebSocketDisconnected, RuntimeError)


def test_connections_compare_by_identity() -> None:
    server = Server()
    first, second = server.socket(), server.socket()
    assert first != second
    assert len({first, second}) == 2
