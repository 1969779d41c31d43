"""The test client: exceptions, cancellation and event loops that end early."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError

import pytest

from pallasite._testing.loops import EventLoopThread
from pallasite.testclient import TestClient
from pallasite.types import Receive, Scope, Send
from pallasite.websockets import WebSocket
from tests.support.clients import ClientFactory
from tests.testclient.apps import OK, echo, messages, websocket_app


def test_exception_reaches_the_test_with_its_traceback(test_client_factory: ClientFactory) -> None:
    async def failing_application(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("boom")

    with pytest.raises(LookupError, match="boom") as failed:
        test_client_factory(failing_application).get("/")
    assert "failing_application" in [entry.name for entry in failed.traceback]


def test_exception_after_the_response_reaches_the_test(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await OK(scope, receive, send)
        raise LookupError("late")

    with pytest.raises(LookupError, match="late"):
        test_client_factory(app).get("/")
    assert test_client_factory(app, raise_server_exceptions=False).get("/").text == "ok"


def test_exception_not_raised_is_a_500(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    response = test_client_factory(app, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.content) == (500, b"")


def test_no_response_is_an_error(test_client_factory: ClientFactory) -> None:
    with pytest.raises(AssertionError, match="did not receive any response"):
        test_client_factory(messages()).get("/")
    assert test_client_factory(messages(), raise_server_exceptions=False).get("/").status_code == 500


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_in_the_application_leaves_the_client_usable(
    test_client_factory: ClientFactory, kind: type[BaseException]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/exit":
            raise kind
        await OK(scope, receive, send)

    async def lifeless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)

    for client in (test_client_factory(app), test_client_factory(lifeless).__enter__()):
        with pytest.raises(kind):
            client.get("/exit")
        assert client.get("/").text == "ok"
        if client.portal is not None:
            client.__exit__()


def test_own_cancellation_does_not_cancel_the_test() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledError):
        TestClient(app).get("/")


def test_loop_that_dies_under_a_request_is_an_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def die() -> None:
            raise SystemExit

        await asyncio.gather(asyncio.create_task(die()), asyncio.Event().wait())

    client = TestClient(app)
    with pytest.raises(SystemExit):
        client.get("/")
    assert TestClient(OK).get("/").text == "ok"


def test_call_interrupted_while_it_waits_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pallasite._testing.exchange.Call._hear", interrupt)
    with pytest.raises(KeyboardInterrupt):
        TestClient(OK).get("/")
    monkeypatch.undo()
    assert TestClient(OK).get("/").text == "ok"


def test_loop_that_dies_wakes_its_waiters() -> None:
    async def die() -> None:
        raise SystemExit

    loop = EventLoopThread("asyncio", {})
    causes: list[BaseException | None] = []
    loop.on_death.add(causes.append)
    loop.start(die)
    loop.stop()
    assert [type(cause) for cause in causes] == [SystemExit]


def test_loop_that_dies_under_a_websocket_is_an_error() -> None:
    async def die() -> None:
        raise SystemExit

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        task = asyncio.create_task(die())
        await asyncio.Event().wait()
        await task

    with pytest.raises(CancelledError), TestClient(app).websocket_connect("/") as session:
        session.receive()
    with TestClient(echo).websocket_connect("/") as session:
        session.send_text("alive")
        assert session.receive_text() == "alive"
