"""Runs applications and functions repeatedly and says how long that took.

Cases that never suspend are driven by hand, `coroutine.send(None)` to the end: no event loop, no timers, no wake-ups in
the measurement. The loop over the requests is itself a coroutine that awaits the application, as a server's task does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any, Protocol, TypeVar

from benches.case import Case, Framework
from benches.exchange import (
    ASGIApp,
    Exchange,
    Message,
    Receive,
    Reply,
    Scope,
    discard,
    reply_of_client,
    reply_of_messages,
)

T = TypeVar("T")
BATCH = 400  # requests prepared at a time; more would measure cold caches instead of the framework


class Subject(Protocol):
    """One side of a comparison."""

    def observe(self) -> Reply: ...
    def time(self, count: int) -> float: ...
    def close(self) -> None: ...


def run_through(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends; RuntimeError if it does."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("the application suspended: this case has to run on an event loop")


async def serve(app: ASGIApp, calls: list[tuple[Scope, Receive]]) -> float:
    """Seconds that the application needs for all of `calls`."""
    begin = perf_counter()
    for scope, receive in calls:
        await app(scope, receive, discard)
    return perf_counter() - begin


async def answer(app: ASGIApp, exchange: Exchange) -> Reply:
    messages: list[Message] = []

    async def record(message: Message) -> None:
        messages.append(message)

    await app(exchange.scope(), exchange.receive(), record)
    return reply_of_messages(messages)


class AppSubject:
    """An ASGI application answering one request over and over; scopes are prepared outside the measured time."""

    def __init__(self, app: ASGIApp, exchange: Exchange, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.app = app
        self.exchange = exchange
        self.run: Callable[[Coroutine[Any, Any, Any]], Any] = loop.run_until_complete if loop else run_through

    def observe(self) -> Reply:
        reply: Reply = self.run(answer(self.app, self.exchange))
        return reply

    def time(self, count: int) -> float:
        seconds = 0.0
        while count > 0:
            calls = [(self.exchange.scope(), self.exchange.receive()) for _ in range(min(count, BATCH))]
            seconds += self.run(serve(self.app, calls))
            count -= len(calls)
        return seconds

    def close(self) -> None:
        pass


class CallSubject:
    """A plain function called over and over; it returns a client's response or a `Reply`."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def observe(self) -> Reply:
        result = self.function()
        return result if isinstance(result, Reply) else reply_of_client(result)

    def time(self, count: int) -> float:
        function = self.function
        begin = perf_counter()
        for _ in range(count):
            function()
        return perf_counter() - begin

    def close(self) -> None:
        pass


class Lifespan:
    """Context in which an application has been started; it is shut down on the way out."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.loop = loop
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.started: asyncio.Future[str] = loop.create_future()

    def __enter__(self) -> ASGIApp:
        self.task = self.loop.create_task(self.live())
        self.inbox.put_nowait({"type": "lifespan.startup"})
        if (outcome := self.loop.run_until_complete(self.started)) == "lifespan.startup.failed":
            raise RuntimeError(f"{self.app!r}: {outcome}")
        return self.app

    def __exit__(self, *_: object) -> None:
        self.inbox.put_nowait({"type": "lifespan.shutdown"})
        self.loop.run_until_complete(asyncio.wait_for(self.task, 10))

    async def live(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self.app(scope, self.inbox.get, self.send)
        except Exception as error:  # the protocol lets an application refuse the lifespan by raising
            if not self.started.done():
                self.started.set_result(f"no lifespan: {error!r}")

    async def send(self, message: Message) -> None:
        if message["type"].startswith("lifespan.startup") and not self.started.done():
            self.started.set_result(message["type"])


def subject_of(case: Case, web: Framework, loop: asyncio.AbstractEventLoop) -> Subject:
    """The case built from one framework's modules, ready to be measured."""
    built = case.build(web)
    exchange = case.exchange()
    if exchange is None:
        return CallSubject(built)
    return AppSubject(built, exchange, loop if case.on_loop else None)
