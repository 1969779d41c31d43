"""`BaseHTTPMiddleware`: responses, from the application through `dispatch` to the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware as StarlettesBase

from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import START, Place, chunk, hello, pass_on, start, three_chunks
from tests.support.asgi import Client, Sent, always

pytestmark = pytest.mark.anyio


async def test_response_passes_with_headers_changed(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        response.headers["x-layer"] = "2"
        return response

    client = await Client().request(layer(place(hello), dispatch=dispatch))
    assert (client.status, client.body, client.is_complete) == (200, b"hello", True)
    assert client.headers == {b"x-app": b"1", b"x-layer": b"2"}


@pytest.mark.parametrize("app", [hello, three_chunks], ids=["plain", "stream"])
@pytest.mark.parametrize("layers", [1, 2, 5, 150])
async def test_messages_through_layers_are_those_of_starlette(place: Place, app: Any, layers: int) -> None:
    sent = []
    bases: list[Any] = [BaseHTTPMiddleware, StarlettesBase]
    for base in bases:
        stack = place(app)
        for _ in range(layers):
            stack = base(stack, dispatch=pass_on)
        sent.append((await Client().request(stack)).sent)
    assert sent[0] == sent[1]


async def test_body_replaced_by_dispatch_is_sent(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        chunks = [part async for part in response.body_iterator]

        async def upper() -> AsyncIterator[Any]:
            for part in chunks:
                yield part.upper()

        response.body_iterator = upper()
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"ONE TWO THREE", True)


async def test_body_wrapped_by_dispatch_is_streamed(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        inner = response.body_iterator

        async def numbered() -> AsyncIterator[Any]:
            number = 0
            async for part in inner:
                number += 1
                yield b"%d:%b" % (number, part)

        response.body_iterator = numbered()
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert client.body == b"1:one 2:two 3:three"


async def test_body_read_in_part_by_dispatch_is_sent_from_there(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        assert await response.body_iterator.__anext__() == b"one "
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"two three", True)


async def test_body_closed_by_dispatch_is_sent_no_more(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        await response.body_iterator.aclose()
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"", True)


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(chunk(b"half"))


@pytest.mark.parametrize("wrapped", [False, True])
async def test_body_left_unfinished_by_application_is_not_completed(place: Place, wrapped: bool) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        if wrapped:
            pieces = response.body_iterator
            response.body_iterator = (piece async for piece in pieces)
        return response

    client = Client()
    with pytest.raises(RuntimeError, match="ended before its response was complete"):
        await client.request(BaseHTTPMiddleware(place(half), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"half", False)


async def test_body_left_unfinished_for_a_client_that_disconnected_is_not_an_error(place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await half(scope, receive, send)

    sent = Sent()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await BaseHTTPMiddleware(place(app), dispatch=pass_on)(scope, always({"type": "http.disconnect"}), sent)
    assert [message.get("body") for message in sent] == [None, b"half"]


async def test_early_hint_and_debug_and_pathsend_pass(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>"]})
        await send({"type": "http.response.debug", "info": {"template": "x"}})
        await send(start())
        await send({"type": "http.response.pathsend", "path": "/some/file"})

    client = await Client().request(layer(place(app), dispatch=pass_on))
    assert client.sent == [
        {"type": "http.response.early_hint", "links": [b"</a.css>"]},
        {"type": "http.response.debug", "info": {"template": "x"}},
        START,
        {"type": "http.response.pathsend", "path": "/some/file"},
    ]


async def test_message_out_of_place_is_refused(layer: Any, place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(chunk(b"too early"))

    with pytest.raises(AssertionError):
        await Client().request(layer(place_in_own_task(app), dispatch=pass_on))


async def test_headers_that_are_not_a_list_can_be_changed(anyio_backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": ((b"x-app", b"1"),)})
        await send(chunk(b"", more_body=False))

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        response.headers["x-layer"] = "2"
        return response

    client = await Client().request(BaseHTTPMiddleware(app, dispatch=dispatch))
    assert client.headers == {b"x-app": b"1", b"x-layer": b"2"}


async def test_background_of_the_response_set_by_dispatch_runs_after_it(layer: Any, place: Place) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        events.append("app ends")

    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)

        async def background() -> None:
            events.append(f"dispatch's, {len(client.sent)} sent")

        response.background = background
        return response

    client = Client()
    await client.request(layer(place(app), dispatch=dispatch))
    assert events == ["dispatch's, 3 sent", "app ends"]
