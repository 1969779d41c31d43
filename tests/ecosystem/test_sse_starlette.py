"""sse-starlette: event streams, read over a real connection from a server that is stopped like a real one."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import httpx2
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# Set when the endless stream has been told that its client is gone.
hung_up = threading.Event()


async def counted() -> AsyncIterator[Any]:
    yield {"data": "first", "event": "update", "id": "1"}
    yield ServerSentEvent(data="two\nlines", retry=5000)
    yield JSONServerSentEvent(data={"third": 3})


async def count(request: Request) -> Response:
    return EventSourceResponse(counted())


async def produce(channel: Any) -> None:
    async with channel:
        for number in range(3):
            await channel.send({"data": f"item {number}"})


async def channel(request: Request) -> Response:
    sending, receiving = anyio.create_memory_object_stream[Any](1)
    return EventSourceResponse(receiving, data_sender_callable=partial(produce, sending), headers={"X-Kind": "channel"})


async def endless(request: Request) -> Response:
    stopped = anyio.Event()

    async def ticking() -> AsyncIterator[Any]:
        try:
            yield {"data": "hello"}
            await stopped.wait()
            yield {"event": "farewell", "data": "the server is going"}
        finally:
            hung_up.set()

    def ping() -> ServerSentEvent:
        return ServerSentEvent(comment="still here")

    return EventSourceResponse(
        ticking(), ping=0.05, ping_message_factory=ping, shutdown_event=stopped, shutdown_grace_period=5
    )


app = Starlette(routes=[Route("/count", count), Route("/channel", channel), Route("/endless", endless)])


def lines_until(lines: Iterator[str], wanted: str) -> list[str]:
    """What comes before the line `wanted`, which has to come."""
    before = []
    for line in lines:
        if line == wanted:
            return before
        before.append(line)
    raise AssertionError(f"{wanted!r} did not come, only {before}")


def test_events_of_generator_are_framed(serve: Callable[..., str]) -> None:
    response = httpx2.get(serve(app) + "/count")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.text.split("\r\n\r\n") == [
        "id: 1\r\nevent: update\r\ndata: first",
        "data: two\r\ndata: lines\r\nretry: 5000",
        'data: {"third":3}',
        "",
    ]


def test_events_of_channel_are_sent_by_their_producer(serve: Callable[..., str]) -> None:
    response = httpx2.get(serve(app) + "/channel")
    assert response.headers["x-kind"] == "channel"
    assert response.text == "".join(f"data: item {number}\r\n\r\n" for number in range(3))


def test_stream_pings_and_ends_with_its_client(serve: Callable[..., str]) -> None:
    hung_up.clear()
    with httpx2.stream("GET", serve(app) + "/endless") as response:
        lines = response.iter_lines()
        assert lines_until(lines, ": still here") == ["data: hello", ""]
        lines_until(lines, ": still here")
        assert not hung_up.is_set()
    assert hung_up.wait(timeout=10)


def test_stream_says_farewell_when_server_is_terminated(serve_process: Callable[[str], Any]) -> None:
    server = serve_process("test_sse_starlette:app")
    with httpx2.stream("GET", server.address + "/endless") as response:
        lines = response.iter_lines()
        lines_until(lines, "data: hello")
        server.process.send_signal(signal.SIGTERM)
        lines_until(lines, "event: farewell")
        assert next(lines) == "data: the server is going"
    server.process.wait(timeout=10)
