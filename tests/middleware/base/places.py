"""Applications and clients for the tests of `BaseHTTPMiddleware`, and the places where an application can run.

A place takes its own path through the middleware: without waiting, after waiting, from a child task, within a cancel
scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeAlias

import anyio
import anyio.lowlevel

from pallasite.middleware.base import RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

#: An application, as a coroutine function: that is what a task group starts.
App: TypeAlias = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
#: Wraps an application, which then runs in that place.
Place: TypeAlias = Callable[[App], App]

HTTP: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
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
        with anyio.fail_after(20):
            await app(scope, receive, send)

    return placed


def in_child_task(app: App) -> App:
    async def placed(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(app, scope, receive, send)

    return placed


PLACES: list[Place] = [at_once, after_waiting, waiting_at_each_send, in_cancel_scope, in_child_task]


class Client:
    """What a server would be: the messages it has for the application, and those that it got."""

    def __init__(self, *messages: Message, on_send: Callable[[Message], Awaitable[None]] | None = None) -> None:
        self.messages = list(messages)
        self.on_send = on_send
        self.sent: list[Message] = []
        self.disconnected = anyio.Event()

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.on_send is not None:
            await self.on_send(message)

    async def request(self, app: ASGIApp, **scope: Any) -> Self:
        with anyio.fail_after(20):
            await app({**HTTP, **scope}, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return int(start["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return dict(start["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


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
