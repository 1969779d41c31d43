"""WebSockets of the async test client."""

from __future__ import annotations

import pytest

from pallasite.testclient import WebSocketDenialResponse
from pallasite.testing import AsyncTestClient
from pallasite.types import Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.testing.apps import APP, STEPS, VISITOR

pytestmark = pytest.mark.anyio

SHORT = 0.05


async def test_websocket(client: AsyncTestClient) -> None:
    VISITOR.set("me")
    async with client.websocket("/chat", subprotocols=["other", "chat"], headers={"x-a": "1"}) as websocket:
        assert (websocket.subprotocol, websocket.headers) == ("chat", [(b"x-room", b"1")])
        await websocket.send_text("hello")
        assert await websocket.receive_text() == "hello me"
        await websocket.send_json({"a": 1})
        assert await websocket.receive() == '{"a":1} me'
        await websocket.send_text("bytes")
        assert await websocket.receive_bytes() == b"\x00"
        with pytest.raises(TimeoutError, match=r"no message from the application within 0\.05 s"):
            await websocket.receive(timeout=SHORT)
        assert STEPS == []
    assert STEPS == ["left"]


async def test_application_closes_the_websocket(client: AsyncTestClient) -> None:
    async with client.websocket("/chat") as websocket:
        await websocket.send_text("close")
        assert await websocket.expect_close(4000) == "enough"
        assert (websocket.close_code, websocket.close_reason) == (4000, "enough")
        with pytest.raises(WebSocketDisconnect) as closed:
            await websocket.receive_text()
        assert closed.value.code == 4000
        await websocket.send_text("too late")
    async with client.websocket("/chat") as websocket:
        await websocket.send_text("x")
        with pytest.raises(AssertionError, match="expected a close"):
            await websocket.expect_close()
        await websocket.send_text("close")
        with pytest.raises(AssertionError, match="expected code 1000, got 4000"):
            await websocket.expect_close(1000)


async def test_application_returns_or_fails(client: AsyncTestClient) -> None:
    async with client.websocket("/chat") as websocket:
        await websocket.send_text("return")
        assert await websocket.expect_close(1006) == "the application has returned"
    async with client.websocket("/chat") as websocket:
        await websocket.send_text("fail")
        with pytest.raises(LookupError, match="in the chat"):
            await websocket.receive()
    with pytest.raises(LookupError, match="in the chat"):
        async with client.websocket("/chat") as websocket:
            await websocket.send_text("fail")


async def test_kind_of_message_is_checked(client: AsyncTestClient) -> None:
    async with client.websocket("/chat") as websocket:
        await websocket.send_text("bytes")
        with pytest.raises(AssertionError, match="expected a text message"):
            await websocket.receive_text()
        await websocket.send_text("1")
        with pytest.raises(AssertionError, match="expected a binary message"):
            await websocket.receive_bytes()


async def test_json_and_bytes_from_the_client() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_json(await websocket.receive_json())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.send_text(str((await websocket.receive())["code"]))

    async with AsyncTestClient(app, lifespan=False) as client, client.websocket("/") as websocket:
        await websocket.send_json([1])
        assert await websocket.receive_json() == [1]
        await websocket.send_bytes(b"\xff")
        assert await websocket.receive_bytes() == b"\xff"
        await websocket.close(4321)
        assert await websocket.receive_text() == "4321"


async def test_websocket_that_is_rejected(client: AsyncTestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as closed:
        async with client.websocket("/rejects"):
            raise AssertionError("not reached")
    assert (closed.value.code, closed.value.reason) == (4001, "no")
    with pytest.raises(WebSocketDenialResponse) as denied:
        async with client.websocket("/rejects", params={"politely": "1"}):
            raise AssertionError("not reached")
    assert (denied.value.status_code, denied.value.text) == (401, "members only")


async def test_application_that_does_not_take_messages() -> None:
    async with AsyncTestClient(APP, timeout=SHORT) as client, client.websocket("/chat") as websocket:
        await websocket.send_text("hang")
        await websocket.send_text("waits")
        with pytest.raises(TimeoutError, match="has not taken a message"):
            await websocket.send_text("one too many")
    assert STEPS == ["left"]


async def test_application_that_floods_a_client_that_left() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("tick")
        except WebSocketDisconnect:
            STEPS.append("gone")

    async with AsyncTestClient(app, lifespan=False, record=True) as client, client.websocket("/") as websocket:
        assert await websocket.receive_text() == "tick"
    assert STEPS == ["gone"]
    assert ("send", {"type": "websocket.send", "text": "tick"}) in client.messages


async def test_websocket_before_asgi_24_loses_what_is_sent_to_a_client_that_left() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        await send({"type": "websocket.send", "text": "into the void"})
        await receive()
        STEPS.append("lost")

    async with AsyncTestClient(app, lifespan=False, spec_version="2.3") as client, client.websocket("/"):
        pass
    assert STEPS == ["lost"]


async def test_websocket_whose_application_fails_before_accepting() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no handshake")

    async with AsyncTestClient(app, lifespan=False) as client:
        with pytest.raises(LookupError, match="no handshake"):
            async with client.websocket("/"):
                raise AssertionError("not reached")
