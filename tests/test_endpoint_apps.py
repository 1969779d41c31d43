"""The applications around endpoint functions, called without a router, and the wrapper that other packages call."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest

from pallasite._exception_handler import wrap_app_handling_exceptions
from pallasite.exceptions import HTTPException
from pallasite.middleware.exceptions import ExceptionMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse
from pallasite.routing import Route, Router, WebSocketRoute, request_response, websocket_session
from pallasite.websockets import WebSocket
from tests.support.asgi import Sent, always, scope_of, socket_scope_of

pytestmark = pytest.mark.anyio
receive = always({"type": "websocket.connect"})


async def fail(connection: Any) -> Any:
    raise LookupError("gone")


async def test_endpoint_alone_answers() -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    sent = Sent()
    await request_response(endpoint)(scope_of(), receive, sent)
    assert [message.get("body") for message in sent] == [None, b"/"]


async def test_endpoint_alone_raises_unhandled_errors() -> None:
    with pytest.raises(LookupError, match="gone"):
        await request_response(fail)(scope_of(), receive, Sent())


async def test_websocket_endpoint_alone_raises_unhandled_errors() -> None:
    with pytest.raises(LookupError, match="gone"):
        await websocket_session(fail)(socket_scope_of(), receive, Sent())


def test_app_of_route_with_function_is_a_function() -> None:
    # spectree distinguishes routes from mounts by it.
    assert inspect.isfunction(Route("/", fail).app)
    assert inspect.isfunction(WebSocketRoute("/", fail).app)


async def test_app_wrapped_with_all_its_attributes_is_called() -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse("endpoint")

    def around(app: Any) -> Any:
        @functools.wraps(app)
        async def wrapper(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await app(scope, receive, send)

        return wrapper

    seen: list[str] = []
    early, late = Route("/early", endpoint), Route("/late", endpoint)
    early.app = around(early.app)
    router = Router([early, late])
    for path in ("/early", "/late"):
        sent = Sent()
        await router(scope_of(path), receive, sent)
        assert sent[1]["body"] == b"endpoint"
    late.app = around(late.app)
    await router(scope_of("/late"), receive, Sent())
    assert seen == ["/early", "/late"]


@pytest.mark.parametrize("kind", [Request, WebSocket], ids=["http", "websocket"])
async def test_wrapped_application_raises_unhandled_errors(kind: Any) -> None:
    scope = scope_of() if kind is Request else socket_scope_of()

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
    await ExceptionMiddleware(inner)(scope_of(), receive, sent)
    assert [message.get("status") for message in sent] == [410, None]


async def test_wrapped_application_may_be_given_any_send() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("fine")(scope, receive, send)

    sent = Sent()
    scope = scope_of()
    await wrap_app_handling_exceptions(app, Request(scope))(scope, receive, sent)
    assert sent[0]["status"] == 200
