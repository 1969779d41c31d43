"""The test client: WebSockets."""

from __future__ import annotations

import functools
from queue import SimpleQueue
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite._runtime.callers import thread_caller
from pallasite.testclient import WebSocketTestSession
from pallasite.types import Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.clients import ClientFactory
from tests.testclient.apps import OK, echo, websocket_app

# --- WebSockets


def test_websocket_scope_is_complete(test_client_factory: ClientFactory) -> None:
    scopes = []

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        scopes.append(websocket.scope)
        await websocket.accept()

    client = test_client_factory(app, root_path="/api")
    with client.websocket_connect("wss://example.org/a%20b?c=d", subprotocols=["x", "y"], headers={"A": "1"}):
        pass
    headers = dict(scopes[0].pop("headers"))
    assert headers.items() >= {
        (b"host", b"example.org"),
        (b"a", b"1"),
        (b"connection", b"upgrade"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-protocol", b"x, y"),
        (b"user-agent", b"testclient"),
    }
    assert scopes == [
        {
            "type": "websocket",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "root_path": "/api",
            "scheme": "wss",
            "query_string": b"c=d",
            "client": ("testclient", 50000),
            "server": ["example.org", 443],
            "subprotocols": ["x", "y"],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }
    ]


def test_websocket_headers_argument_is_left_alone(test_client_factory: ClientFactory) -> None:
    headers = {"x": "1"}
    with test_client_factory(echo).websocket_connect("/", headers=headers):
        pass
    assert headers == {"x": "1"}


@pytest.mark.parametrize("entered", [False, True], ids=["plain", "entered"])
def test_websockets_and_requests_interleave(test_client_factory: ClientFactory, entered: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (OK if scope["type"] == "http" else echo)(scope, receive, send)

    async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)

    client = test_client_factory(no_lifespan)
    if entered:
        client.__enter__()
    with client.websocket_connect("/") as first, client.websocket_connect("/") as second:
        first.send_text("1")
        second.send_text("2")
        assert client.get("/").text == "ok"
        assert (second.receive_text(), first.receive_text()) == ("2", "1")
    if entered:
        client.__exit__()


def test_websocket_application_failing_raises_on_leaving(test_client_factory: ClientFactory) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()
        raise LookupError("boom")

    client = test_client_factory(app)
    with pytest.raises(LookupError, match="boom"), client.websocket_connect("/") as session:  # noqa: PT012
        session.send_text("")
        session.receive_text()
    with pytest.raises(LookupError, match="boom"), client.websocket_connect("/") as session:  # noqa: PT012
        session.send_text("")
        with pytest.raises(anyio.EndOfStream):
            session.receive()


def test_websocket_application_failing_immediately_raises_on_entering(test_client_factory: ClientFactory) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        raise LookupError("boom")

    with pytest.raises(LookupError, match="boom"), test_client_factory(app).websocket_connect("/"):
        pytest.fail("connected")


def test_websocket_application_that_returns_does_not_stall_the_client(test_client_factory: ClientFactory) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        if websocket.url.path == "/accept":
            await websocket.accept()
            await websocket.send_text("last")

    client = test_client_factory(app)
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/"):
        pytest.fail("connected")
    assert refused.value.code == 1006
    with client.websocket_connect("/accept") as session:
        assert session.receive_text() == "last"
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as ended:
                session.receive_text()
            assert ended.value.code == 1006
        session.send_text("nobody listens")


@pytest.mark.parametrize("receive", ["receive_text", "receive_bytes", "receive_json"])
def test_websocket_closed_by_the_application_raises(test_client_factory: ClientFactory, receive: str) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(code=4000, reason="enough")

    with test_client_factory(app).websocket_connect("/") as session:
        with pytest.raises(WebSocketDisconnect) as closed:
            getattr(session, receive)()
        assert (closed.value.code, closed.value.reason) == (4000, "enough")


def test_websocket_application_that_never_listens_is_cancelled(test_client_factory: ClientFactory) -> None:
    ended = []

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("again")
        finally:
            ended.append(True)

    with test_client_factory(app).websocket_connect("/") as session:
        assert session.receive_text() == "again"
    assert ended == [True]


def test_websocket_application_sees_the_disconnect_on_leaving(test_client_factory: ClientFactory) -> None:
    seen = []

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as exc:
            seen.append(exc.code)

    with test_client_factory(app).websocket_connect("/"):
        pass
    assert seen == [1000]


def test_websocket_session_takes_a_portal_of_the_callers(anyio_backend: str) -> None:
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    start = functools.partial(anyio.from_thread.start_blocking_portal, anyio_backend)
    with WebSocketTestSession(echo, scope, start) as session:
        session.send_text("hello")
        assert session.receive_text() == "hello"


def test_connecting_to_something_else_is_an_error(test_client_factory: ClientFactory) -> None:
    with pytest.raises(RuntimeError, match="Expected WebSocket upgrade"):
        test_client_factory(OK).websocket_connect("http://testserver/")


def test_websocket_message_is_seen_once_the_application_has_gone_on(test_client_factory: ClientFactory) -> None:
    joined: list[int] = []
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        joined.append(1)
        async for text in websocket.iter_text():
            await websocket.send_text(text)
            joined.append(1)

    for _ in range(100):
        joined.clear()
        with test_client_factory(app).websocket_connect("/") as session:
            seen.append(len(joined) == 1)
            session.send_text("x")
            session.receive_text()
            seen.append(len(joined) == 2)
    assert all(seen)


def test_websocket_message_is_seen_in_time_while_calls_keep_the_loop_busy(test_client_factory: ClientFactory) -> None:
    """Each turn of the loop then runs scheduled calls, in trio before or after the application by chance."""
    steps: list[int] = []
    seen: list[bool] = []

    class Outbox(SimpleQueue[Any]):
        def put(self, item: Any, *args: Any) -> None:
            seen.append(item is None or len(steps) % 2 == 0)
            super().put(item)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        schedule = thread_caller()
        over: list[bool] = []

        def again() -> None:
            if not over:
                schedule(again)

        again()
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        async for text in websocket.iter_text():
            steps.append(1)
            await websocket.send_text(text)
            steps.append(1)
        over.append(True)

    session = test_client_factory(app).websocket_connect("/")
    session._outbox = Outbox()
    with session:
        for _ in range(100):
            session.send_text("x")
            assert session.receive_text() == "x"
    assert len(seen) > 100
    assert all(seen)


def test_websocket_message_that_does_not_come(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.receive_text()
        await websocket.send_json([1])
        await websocket.receive_text()

    with test_client_factory(app).websocket_connect("/") as session:
        for receive in (session.receive, session.receive_text, session.receive_bytes, session.receive_json):
            with pytest.raises(TimeoutError, match=r"no message from the application within 0\.01 s"):
                receive(timeout=0.01)
        session.send_text("go on")
        assert session.receive_json(timeout=20) == [1]
        session.send_text("end")
