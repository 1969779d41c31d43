"""Class-based endpoints: the method that responds, and the arguments of the WebSocket hooks."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.endpoints import HTTPEndpoint, WebSocketEndpoint
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import WebSocketRoute
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.clients import ClientFactory


class Guests(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse(f"hello {request.query_params.get('name', 'all')}", headers={"x-method": "get"})

    def post(self, request: Request) -> Response:
        return PlainTextResponse(threading.current_thread().name)

    async def query(self, request: Request) -> Response:
        return PlainTextResponse(b"asked for " + await request.body())


def test_method_of_the_class_answers(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(Guests).get("/", params={"name": "Ada"})
    assert (response.status_code, response.text) == (200, "hello Ada")


def test_plain_method_runs_in_a_worker_thread(test_client_factory: ClientFactory) -> None:
    assert "testclient" not in test_client_factory(Guests).post("/").text


def test_query_method_is_dispatched(test_client_factory: ClientFactory) -> None:
    assert test_client_factory(Guests).request("QUERY", "/", content=b"stars").text == "asked for stars"


def test_head_is_answered_by_get(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(Guests).head("/")
    assert (response.status_code, response.headers["x-method"], response.content) == (200, "get", b"")


def test_own_head_method_wins(test_client_factory: ClientFactory) -> None:
    class Both(Guests):
        async def head(self, request: Request) -> Response:
            return Response(headers={"x-method": "head"})

    assert test_client_factory(Both).head("/").headers["x-method"] == "head"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "DISPATCH"])
def test_method_unknown_to_the_class_is_405(test_client_factory: ClientFactory, method: str) -> None:
    response = test_client_factory(Guests).request(method, "/")
    assert (response.status_code, response.text) == (405, "Method Not Allowed")
    assert response.headers["allow"] == "GET, HEAD, POST, QUERY"


def test_method_not_allowed_in_an_application_is_an_exception(test_client_factory: ClientFactory) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Guests({**scope, "app": app}, receive, send)

    with pytest.raises(HTTPException) as refused:
        test_client_factory(app).put("/")
    assert refused.value.status_code == 405
    assert refused.value.headers == {"Allow": "GET, HEAD, POST, QUERY"}


def test_endpoint_refuses_other_scopes() -> None:
    for kind, scope in ((HTTPEndpoint, "websocket"), (WebSocketEndpoint, "http")):
        with pytest.raises(AssertionError):
            kind({"type": scope}, None, None)  # type: ignore[arg-type]


def recording(encoding: str | None = None) -> tuple[type[WebSocketEndpoint], list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    class Recorder(WebSocketEndpoint):
        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            seen.append(("receive", data))
            await websocket.send_text("done")

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            seen.append(("disconnect", close_code))

    Recorder.encoding = encoding  # type: ignore[assignment]
    return Recorder, seen


@pytest.mark.parametrize(
    ("encoding", "send", "value", "expected"),
    [
        (None, "send_text", "a", "a"),
        (None, "send_bytes", b"\x00", b"\x00"),
        ("text", "send_text", "ä", "ä"),
        ("bytes", "send_bytes", b"\xff", b"\xff"),
        ("json", "send_text", '{"a": 1}', {"a": 1}),
        ("json", "send_bytes", b"[null]", [None]),
    ],
)
def test_message_is_decoded(
    test_client_factory: ClientFactory, encoding: str | None, send: str, value: Any, expected: Any
) -> None:
    app, seen = recording(encoding)
    with test_client_factory(app).websocket_connect("/") as session:
        getattr(session, send)(value)
        assert session.receive_text() == "done"
        session.close(code=1001)
    assert seen == [("receive", expected), ("disconnect", 1001)]


@pytest.mark.parametrize(
    ("encoding", "send", "value", "complaint"),
    [
        ("text", "send_bytes", b"a", "Expected text"),
        ("bytes", "send_text", "a", "Expected bytes"),
        ("json", "send_text", "{", "Malformed JSON"),
        ("json", "send_text", "[" * 100_000, "Malformed JSON"),
        ("json", "send_bytes", b"\xff", "Malformed JSON"),
        ("json", "send_text", "NaN", "Malformed JSON"),  # not in RFC 8259's grammar (section 6)
        ("json", "send_text", "1e999", "Malformed JSON"),
        ("json", "send_bytes", b"", "Malformed JSON"),
        ("json", "send_bytes", '"utf-16"'.encode("utf-16"), "Malformed JSON"),
    ],
    ids=["bytes-for-text", "text-for-bytes", "cut", "deep", "not-utf-8", "nan", "infinite", "empty", "utf-16"],
)
def test_message_that_does_not_fit_closes_with_1003(
    test_client_factory: ClientFactory, encoding: str, send: str, value: Any, complaint: str
) -> None:
    app, seen = recording(encoding)
    with (  # noqa: PT012
        pytest.raises(RuntimeError, match=complaint),
        test_client_factory(app).websocket_connect("/") as session,
    ):
        getattr(session, send)(value)
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_text()
        assert closed.value.code == 1003
    assert seen == [("disconnect", 1011)]


def test_message_that_does_not_fit_closes_with_1003_in_an_application_without_a_traceback(
    test_client_factory: ClientFactory,
) -> None:
    endpoint, seen = recording("text")
    app = Pallasite(routes=[WebSocketRoute("/", endpoint)])
    with test_client_factory(app).websocket_connect("/") as session:
        session.send_bytes(b"a")
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_text()
    assert (closed.value.code, closed.value.reason) == (1003, "Expected text websocket messages, but got bytes")
    assert seen == [("disconnect", 1011)]


def test_encoding_unknown_raises(test_client_factory: ClientFactory) -> None:
    app, _ = recording("morse")
    client = test_client_factory(app)
    with pytest.raises(AssertionError, match="morse"), client.websocket_connect("/") as session:  # noqa: PT012
        session.send_text("...")
        session.receive()


def test_hook_that_raises_closes_with_1011(test_client_factory: ClientFactory) -> None:
    base, seen = recording()

    class Failing(base):  # type: ignore[misc, valid-type]
        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            raise LookupError(data)

    with (  # noqa: PT012
        pytest.raises(LookupError, match="boom"),
        test_client_factory(Failing).websocket_connect("/") as session,
    ):
        session.send_text("boom")
        session.receive()
    assert seen == [("disconnect", 1011)]


def test_disconnect_without_a_code_is_normal_closure(test_client_factory: ClientFactory) -> None:
    app, seen = recording()
    with test_client_factory(app).websocket_connect("/") as session:
        session.send({"type": "websocket.disconnect", "code": None})
    assert seen == [("disconnect", 1000)]


def test_default_hooks_accept_and_stay_silent(test_client_factory: ClientFactory) -> None:
    with test_client_factory(WebSocketEndpoint).websocket_connect("/") as session:
        session.send_text("anyone?")
