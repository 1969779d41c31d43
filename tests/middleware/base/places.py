"""Applications and clients for the tests of `BaseHTTPMiddleware`, and the places where an application can run.

A place takes its own path through the middleware: without waiting, after waiting, from a child task, within a cancel
scope.
"""

from __future__ import annotations

import anyio
import anyio.lowlevel

HTTP = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}


def start():
    """The head of a response, whose headers may be changed."""
    return {**START, "headers": [*START["headers"]]}


def at_once(app):
    return app


def after_waiting(app):
    async def placed(scope, receive, send):
        await anyio.sleep(0.001)
        await app(scope, receive, send)

    return placed


def waiting_at_each_send(app):
    async def placed(scope, receive, send):
        async def slow_send(message):
            await anyio.lowlevel.checkpoint()
            await send(message)
            await anyio.lowlevel.checkpoint()

        await app(scope, receive, slow_send)

    return placed


def in_cancel_scope(app):
    async def placed(scope, receive, send):
        with anyio.fail_after(20):
            await app(scope, receive, send)

    return placed


def in_child_task(app):
    async def placed(scope, receive, send):
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(app, scope, receive, send)

    return placed


PLACES = [at_once, after_waiting, waiting_at_each_send, in_cancel_scope, in_child_task]


class Client:
    """What a server would be: the messages it has for the application, and those that it got."""

    def __init__(self, *messages, on_send=None):
        self.messages = list(messages)
        self.on_send = on_send
        self.sent = []
        self.disconnected = anyio.Event()

    async def receive(self):
        if self.messages:
            return self.messages.pop(0)
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if self.on_send is not None:
            await self.on_send(message)

    async def request(self, app, **scope):
        with anyio.fail_after(20):
            await app({**HTTP, **scope}, self.receive, self.send)
        return self

    @property
    def status(self):
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return start["status"]

    @property
    def headers(self):
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return dict(start["headers"])

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")

    @property
    def is_complete(self):
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


def chunk(body, more_body=True):
    return {"type": "http.response.body", "body": body, "more_body": more_body}


async def hello(scope, receive, send):
    await send(start())
    await send(chunk(b"hello", more_body=False))


async def three_chunks(scope, receive, send):
    await send(start())
    for body in (b"one ", b"two ", b"three"):
        await send(chunk(body))
    await send(chunk(b"", more_body=False))


async def pass_on(request, call_next):
    return await call_next(request)


def body_message(body, more_body=False):
    return {"type": "http.request", "body": body, "more_body": more_body}
