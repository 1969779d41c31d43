"""`BaseHTTPMiddleware`: requests, from the server through `dispatch` to the application."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import Place, body_message, hello, pass_on
from tests.support.asgi import Client

pytestmark = pytest.mark.anyio


async def read_all(receive: Receive) -> Any:
    messages: list[Any] = []
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


READERS = {
    "nothing": ([b"ab", b"cd"], None),
    "body": ([b"abcd"], b"abcd"),
    "stream": ([b""], b"abcd"),
    "first chunk": ([b"cd"], b"ab"),
}


@pytest.mark.parametrize("what", READERS)
async def test_body_read_by_dispatch_is_read_again_by_the_application(layer: Any, place: Place, what: Any) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(message["body"] for message in await read_all(receive))
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        read = None
        if what == "body":
            read = await request.body()
        elif what == "stream":
            read = b"".join([part async for part in request.stream()])
        elif what == "first chunk":
            stream = request.stream()
            read = await stream.__anext__()
            await stream.aclose()
        assert read == READERS[what][1]
        return await call_next(request)

    client = Client(body_message(b"ab", True), body_message(b"", True), body_message(b"cd"))
    await client.request(layer(place(app), dispatch=dispatch))
    assert seen == READERS[what][0]


async def test_body_read_by_the_application_is_gone_for_dispatch(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        with pytest.raises(RuntimeError, match="Stream consumed"):
            await request.body()
        return response

    client = await Client(body_message(b"ab")).request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


async def test_body_is_read_in_each_of_three_layers_and_below(layer: Any, place: Place) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append([message["body"] for message in await read_all(receive)])
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        seen.append(await request.body())
        return await call_next(request)

    stack = place(app)
    for _ in range(3):
        stack = layer(stack, dispatch=dispatch)
    await Client(body_message(b"a", True), body_message(b"b")).request(stack)
    assert seen == [b"ab", b"ab", b"ab", [b"ab"]]


async def test_disconnect_reaches_the_application_and_is_known_to_dispatch(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert [await receive(), await receive()] == [{"type": "http.disconnect"}] * 2
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        assert await request.is_disconnected()
        return response

    client = Client()
    client.gone.set()
    await client.request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


async def test_disconnect_after_the_body_reaches_the_application(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        client.gone.set()
        assert [await receive(), await receive()] == [{"type": "http.disconnect"}] * 2
        await hello(scope, receive, send)

    client = Client(body_message(b"ab"))
    await client.request(layer(place(app), dispatch=pass_on))
    assert client.body == b"hello"


async def test_disconnect_seen_by_dispatch_is_not_waited_for_again(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"ab"
        assert (await receive())["type"] == "http.disconnect"
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        await request.body()
        assert await request.is_disconnected()
        client.gone = anyio.Event()  # a server that sends it only once
        return await call_next(request)

    client = Client(body_message(b"ab"), {"type": "http.disconnect"})
    await client.request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


async def test_second_body_from_the_server_is_an_error(place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    client = Client(body_message(b"ab"), body_message(b"cd"))
    with pytest.raises(RuntimeError, match=r"Unexpected message received: http\.request"):
        await client.request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=pass_on))


async def test_message_of_an_unknown_type_is_skipped(place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert [message["body"] for message in await read_all(receive)] == [b"ab"]
        await hello(scope, receive, send)

    client = Client({"type": "http.something"}, body_message(b"ab"))
    await client.request(BaseHTTPMiddleware(place(app), dispatch=pass_on))
    assert client.body == b"hello"


async def test_waiting_receive_sees_the_end_of_the_response(layer: Any) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            seen.append(await receive())

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(listen)
            await anyio.sleep(0.005)
            await hello(scope, receive, send)

    client = await Client().request(layer(app, dispatch=pass_on))
    assert (client.body, seen) == (b"hello", [{"type": "http.disconnect"}])


async def test_scope_changed_by_dispatch_is_seen_below(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["state"] == {"user": "ada"}
        await hello(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.user = "ada"
        return await call_next(request)

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass_untouched(layer: Any, kind: str) -> None:
    seen = []

    async def app(*arguments: Any) -> None:
        seen.append(arguments)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> None:
        raise AssertionError("not for HTTP")

    client = Client()
    arguments = {"type": kind}, client.receive, client.send
    await layer(app, dispatch=dispatch)(*arguments)
    assert seen == [arguments]
    assert seen[0][0] is arguments[0]
