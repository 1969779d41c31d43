"""Applications for the tests of `BaseHTTPMiddleware`, and the places where an application can run.

A place takes its own path through the middleware: without waiting, after waiting, from a child task, within a cancel
scope.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel

from pallasite.middleware.base import RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.types import Message, Receive, Scope, Send
from tests.support.asgi import STALL_SECONDS

#: An application, as a coroutine function: that is what a task group starts.
App: TypeAlias = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
#: Wraps an application, which then runs in that place.
Place: TypeAlias = Callable[[App], App]

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}


def start() -> dict[str, Any]:
    """The head of a response, whose headers may be changed."""
    return {**START, "headers": [*START["headers"]]}


def at_once(app: App) -> App:
    return app


def after_waiting(app: App) -> App:
    async def placed(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(0.001)
        await app(scope, receive, send)

    return placed


def waiting_at_each_send(app: App) -> App:
    async def placed(scope: Scope, receive: Receive, send: Send) -> None:
        async def slow_send(message: Message) -> None:
            await anyio.lowlevel.checkpoint()
            await send(message)
            await anyio.lowlevel.checkpoint()

        await app(scope, receive, slow_send)

    return placed


def in_cancel_scope(app: App) -> App:
    async def placed(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.fail_after(STALL_SECONDS):
            await app(scope, receive, send)

    return placed


def in_child_task(app: App) -> App:
    async def placed(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(app, scope, receive, send)

    return placed


PLACES: list[Place] = [at_once, after_waiting, waiting_at_each_send, in_cancel_scope, in_child_task]


def chunk(body: bytes, more_body: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more_body}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(chunk(b"hello", more_body=False))


async def three_chunks(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    for body in (b"one ", b"two ", b"three"):
        await send(chunk(body))
    await send(chunk(b"", more_body=False))


async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


def body_message(body: bytes, more_body: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more_body}
