"""`BaseHTTPMiddleware`: errors of the application and of `dispatch`, before, during and after the response."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import (
    START,
    App,
    Place,
    chunk,
    hello,
    in_child_task,
    pass_on,
    start,
    three_chunks,
)
from tests.support.asgi import Client

pytestmark = pytest.mark.anyio


async def test_error_before_the_response_reaches_dispatch(layer: Any, place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("app")

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        try:
            return await call_next(request)
        except KeyError as error:
            return PlainTextResponse(repr(error), status_code=500)

    client = await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert (client.status, client.body) == (500, b"KeyError('app')")


async def test_error_before_the_response_passes_unchanged_through_layers(layer: Any, place_in_own_task: Place) -> None:
    error = KeyError("app")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    stack = layer(layer(place_in_own_task(app), dispatch=pass_on), dispatch=pass_on)
    with pytest.raises(KeyError) as caught:
        await Client().request(stack)
    assert caught.value is error


async def test_no_response_after_a_disconnect_is_a_client_disconnect(place: Place) -> None:
    # Starlette reports that the application returned no response, which is a 500 in its logs.
    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"

    client = Client()
    client.gone.set()
    with pytest.raises(ClientDisconnect):
        await client.request(
            BaseHTTPMiddleware(BaseHTTPMiddleware(place(gives_up), dispatch=pass_on), dispatch=pass_on)
        )
    assert client.sent == []


async def test_error_group_of_the_application_stays_a_group(layer: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ExceptionGroup("two", [ValueError(1), KeyError(2)])

    with pytest.raises(ExceptionGroup, match="two"):
        await Client().request(layer(app, dispatch=pass_on))


@pytest.mark.parametrize("how", ["cause", "context", "neither"])
async def test_error_keeps_what_it_came_from(layer: Any, place_in_own_task: Place, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if how == "neither":
            raise KeyError("outer")
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise KeyError("outer") from (inner if how == "cause" else inner.__cause__)

    with pytest.raises(KeyError) as caught:
        await Client().request(layer(place_in_own_task(app), dispatch=pass_on))
    assert caught.value.__suppress_context__
    assert repr(caught.value.__cause__) == ("None" if how == "neither" else "ValueError('inner')")


async def test_application_without_response_is_an_error(layer: Any, place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    with pytest.raises(RuntimeError, match=r"^No response returned\.$"):
        await Client().request(layer(place(app), dispatch=pass_on))


async def test_application_that_cannot_be_called_is_an_error(layer: Any) -> None:
    with pytest.raises(TypeError):
        await Client().request(layer(lambda scope: None, dispatch=pass_on))


async def test_application_that_is_not_a_coroutine_function_is_awaited(layer: Any, place: Place) -> None:
    class Task:
        def __init__(self, *arguments: Any) -> None:
            self.arguments = arguments

        def __await__(self) -> Any:
            return hello(*self.arguments).__await__()

    app = Task if place is in_child_task else place(cast(App, Task))
    client = await Client().request(layer(app, dispatch=pass_on))
    assert client.body == b"hello"


async def test_error_after_the_response_is_raised_at_the_end(layer: Any, place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        raise KeyError("after")

    client = Client()
    with pytest.raises(KeyError, match="after"):
        await client.request(layer(place_in_own_task(app), dispatch=pass_on))
    assert (client.body, client.is_complete) == (b"hello", True)


@pytest.mark.parametrize("layers", [1, 3])
async def test_error_in_the_stream_aborts_the_response(place_in_own_task: Place, layers: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(chunk(b"half"))
        raise KeyError("broken")

    stack = place_in_own_task(app)
    for _ in range(layers):
        stack = BaseHTTPMiddleware(stack, dispatch=pass_on)
    client = Client()
    with pytest.raises(KeyError, match="broken"):
        await client.request(stack)
    assert client.sent == [START, chunk(b"half")]


async def test_error_in_the_stream_can_be_handled_by_its_reader(place_in_own_task: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(chunk(b"half"))
        raise KeyError("broken")

    async def dispatch(request: Request, call_next: Any) -> PlainTextResponse:
        response = await call_next(request)
        try:
            return PlainTextResponse(b"".join([part async for part in response.body_iterator]))
        except KeyError:
            return PlainTextResponse("sorry", status_code=502)

    client = await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert (client.status, client.body) == (502, b"sorry")


async def test_error_of_dispatch_is_raised_plainly(layer: Any, place: Place) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> None:
        await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(three_chunks), dispatch=dispatch))
