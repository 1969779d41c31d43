"""The applications around endpoint functions, called without a router, and the wrapper that other packages call."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite._exception_handler import wrap_app_handling_exceptions
from pallasite.exceptions import HTTPException
from pallasite.middleware.exceptions import ExceptionMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse
from pallasite.routing import request_response, websocket_session
from pallasite.websockets import WebSocket

pytestmark = pytest.mark.anyio

HTTP: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


async def receive() -> dict[str, Any]:
    return {"type": "websocket.connect"}


class Sent(list[Any]):
    async def __call__(self, message: Any) -> None:
        self.append(message)


async def fail(connection: Any) -> Any:
    raise LookupError("gone")


async def test_endpoint_alone_answers() -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    sent = Sent()
    await request_response(endpoint)(dict(HTTP), receive, sent)
    assert [message.get("body") for message in sent] == [None, b"/"]


async def test_endpoint_alone_raises_what_nobody_handles() -> None:
    with pytest.raises(LookupError, match="gone"):
        await request_response(fail)(dict(HTTP), receive, Sent())


async def test_websocket_endpoint_alone_raises_what_nobody_handles() -> None:
    with pytest.raises(LookupError, match="gone"):
        await websocket_session(fail)({**HTTP, "type": "websocket"}, receive, Sent())


@pytest.mark.parametrize("kind", [Request, WebSocket], ids=["http", "websocket"])
async def test_wrapped_application_raises_what_nobody_handles(kind: Any) -> None:
    scope = {**HTTP, "type": "http" if kind is Request else "websocket"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("gone")

    sent = Sent()
    with pytest.raises(LookupError, match="gone"):
        await wrap_app_handling_exceptions(app, kind(scope, receive, sent))(scope, receive, sent)
    assert sent == []


async def test_wrapped_application_is_answered_for_by_the_handlers_in_the_scope() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise HTTPException(410)

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        wrapped = wrap_app_handling_exceptions(app, Request(scope, receive, send))
        await wrapped(scope, receive, send)

    sent = Sent()
    await ExceptionMiddleware(inner)(dict(HTTP), receive, sent)
    assert [message.get("status") for message in sent] == [410, None]


async def test_wrapped_application_may_be_given_any_send() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("fine")(scope, receive, send)

    sent = Sent()
    scope = dict(HTTP)
    await wrap_app_handling_exceptions(app, Request(scope))(scope, receive, sent)
    assert sent[0]["status"] == 200
