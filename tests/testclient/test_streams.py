"""The test client: background work, disconnects and streams."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite.requests import Request
from pallasite.responses import Response, StreamingResponse
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import START
from tests.support.clients import ClientFactory
from tests.testclient.apps import OK, body, endpoint, messages

# --- background work, disconnects


def test_background_work_ends_before_the_request_returns(test_client_factory: ClientFactory) -> None:
    done = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await OK(scope, receive, send)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        done.append(await anyio.to_thread.run_sync(lambda: "later"))

    client = test_client_factory(app)
    assert client.get("/").text == "ok"
    assert done == ["later"]
    with client.stream("GET", "/") as response:
        response.read()
        assert done == ["later"] * 2


def test_disconnect_follows_the_complete_response(test_client_factory: ClientFactory) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(cast(Any, receive))
            await send(START)
            await send(body(b"a", more=True))
            await anyio.wait_all_tasks_blocked()
            assert seen == ["http.request"]
            await send(body(b"b"))

    client = test_client_factory(app)
    assert client.post("/").text == "ab"
    assert seen == ["http.request", "http.disconnect", "http.disconnect"]
    seen.clear()
    with client.stream("POST", "/") as response:
        assert response.read() == b"ab"
    assert seen == ["http.request", "http.disconnect", "http.disconnect"]


# --- streams


class Numbers:
    """Streams numbers forever, and records what it has sent and whether it was cleaned up."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(START)
            number = 0
            while True:
                await send(body(f"{number}\n".encode(), more=True))
                self.sent.append(number)
                number += 1
        finally:
            self.ended = True


def test_stream_is_read_while_the_application_runs(test_client_factory: ClientFactory) -> None:
    app = Numbers()
    with test_client_factory(app).stream("GET", "/") as response:
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["0", "1"]
        assert len(app.sent) <= 2
        assert not app.ended
    assert app.ended


def test_stream_starts_before_there_is_a_body(test_client_factory: ClientFactory) -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await anyio.to_thread.run_sync(go.wait)
        await send(body(b"late"))

    with test_client_factory(app).stream("GET", "/") as response:
        assert response.status_code == 200
        go.set()
        assert response.read() == b"late"


def test_stream_closed_after_its_last_chunk_lets_background_work_finish(test_client_factory: ClientFactory) -> None:
    done: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"all"))
        await anyio.to_thread.run_sync(go.wait)
        done.append(True)

    go = threading.Event()
    with test_client_factory(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"all"
        go.set()
    assert done == [True]


def test_stream_failing_half_way_raises_while_reading(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"a", more=True))
        raise LookupError("half-way")

    with test_client_factory(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"a"
        with pytest.raises(LookupError, match="half-way"):
            next(chunks)
    with test_client_factory(app, raise_server_exceptions=False).stream("GET", "/") as response:
        assert response.read() == b"a"


def test_stream_unfinished_ends_with_the_application(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(messages(START, body(b"a", more=True)))
    assert client.get("/").content == b"a"
    with client.stream("GET", "/") as response:
        assert response.read() == b"a"


def test_streams_interleave(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(Numbers())
    with client.stream("GET", "/") as first, client.stream("GET", "/") as second:
        left, right = first.iter_lines(), second.iter_lines()
        assert [next(left), next(right), next(left), next(right)] == ["0", "0", "1", "1"]


def test_request_within_a_stream_is_served(test_client_factory: ClientFactory) -> None:
    numbers = Numbers()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await (numbers if scope["path"] == "/stream" else OK)(scope, receive, send)

    with test_client_factory(app) as client, client.stream("GET", "/stream") as response:
        assert next(response.iter_lines()) == "0"
        assert client.get("/").text == "ok"


@pytest.mark.parametrize("entered", [False, True], ids=["plain", "entered"])
def test_stream_left_open_ends_with_the_client(test_client_factory: ClientFactory, entered: bool) -> None:
    numbers = Numbers()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await numbers(scope, receive, send)

    client = test_client_factory(app)
    if entered:
        client.__enter__()
    response = client.send(client.build_request("GET", "/"), stream=True)
    lines = response.iter_lines()
    assert next(lines) == "0"
    assert not numbers.ended
    client.__exit__() if entered else client.close()
    assert numbers.ended


def test_event_hooks_and_auth_see_the_response(test_client_factory: ClientFactory) -> None:
    statuses: list[int] = []
    client = test_client_factory(OK)
    client.event_hooks = {"response": [lambda response: statuses.append(response.status_code)]}
    assert client.get("/", auth=("user", "password")).text == "ok"
    assert statuses == [200]


def test_streaming_response_generator_is_closed_when_left_early(test_client_factory: ClientFactory) -> None:
    closed = []

    @endpoint
    async def app(request: Request) -> Response:
        async def generate() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x\n"
            finally:
                closed.append(True)

        return StreamingResponse(generate())

    with test_client_factory(app).stream("GET", "/") as response:
        assert next(response.iter_lines()) == "x"
    assert closed == [True]
