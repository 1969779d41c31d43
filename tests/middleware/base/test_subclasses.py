"""`BaseHTTPMiddleware`: subclasses, and attributes replaced on instances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.middleware.base.places import chunk, hello, pass_on, three_chunks
from tests.support.asgi import Client

pytestmark = pytest.mark.anyio


async def test_dispatch_overridden_is_called(layer: Any) -> None:
    class Tagging(layer):  # type: ignore[misc]
        def __init__(self, app: ASGIApp, tag: str) -> None:
            super().__init__(app)
            self.tag = tag

        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Any:
            response = await call_next(request)
            response.headers["x-tag"] = self.tag
            return response

    middleware = Tagging(hello, tag="blue")
    client = await Client().request(middleware)
    assert client.headers[b"x-tag"] == b"blue"
    assert middleware.app is hello
    assert middleware.dispatch_func == middleware.dispatch


async def test_dispatch_replaced_on_the_instance_is_called(layer: Any) -> None:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        return PlainTextResponse("replaced")

    middleware = layer(hello, dispatch=pass_on)
    middleware.dispatch_func = dispatch
    assert (await Client().request(middleware)).body == b"replaced"


async def test_application_replaced_on_the_instance_is_called(layer: Any) -> None:
    middleware = layer(hello, dispatch=pass_on)
    middleware.app = three_chunks
    assert (await Client().request(middleware)).body == b"one two three"


async def test_call_overridden_may_go_round_it(layer: Any) -> None:
    class Sometimes(layer):  # type: ignore[misc]
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == "/skip":
                await self.app(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> PlainTextResponse:
        return PlainTextResponse("dispatched")

    middleware = Sometimes(hello, dispatch=dispatch)
    assert (await Client().request(middleware)).body == b"dispatched"
    assert (await Client().request(middleware, path="/skip")).body == b"hello"


async def test_dispatch_not_given_is_an_error() -> None:
    with pytest.raises(NotImplementedError):
        await Client().request(BaseHTTPMiddleware(hello))


async def test_response_class_is_a_response_and_can_be_made_from_content() -> None:
    from pallasite.middleware.base import _StreamingResponse

    async def content() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    response = _StreamingResponse(
        content(), status_code=201, headers={"x": "y"}, media_type="text/plain", info={"debug": 1}
    )
    assert isinstance(response, Response)
    client = await Client().request(response)
    assert client.sent == [
        {"type": "http.response.debug", "info": {"debug": 1}},
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"x", b"y"), (b"content-type", b"text/plain; charset=utf-8")],
        },
        chunk(b"a"),
        chunk(b"b"),
        chunk(b"", more_body=False),
    ]


async def test_request_given_to_dispatch_is_a_request() -> None:
    kinds = []

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        kinds.append(isinstance(request, Request))
        assert not hasattr(request, "_body")
        return await call_next(request)

    await Client().request(BaseHTTPMiddleware(hello, dispatch=dispatch))
    assert kinds == [True]
