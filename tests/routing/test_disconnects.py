"""`cancel_on_disconnect`: the handler of a client that has gone is cancelled, and no message of its body is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite._runtime import bounded, receive_watch
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Route
from pallasite.types import Message, Receive, Scope, Send
from tests.support.asgi import STALL_SECONDS, Client, Sent, scope_of

pytestmark = pytest.mark.anyio

END: Message = {"type": "http.request", "body": b"", "more_body": False}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_WATCH_AFTER_SECONDS", 0)


class OneReader(Client):
    """A client whose server allows one call of `receive` at a time."""

    _is_read = False

    async def receive(self) -> Message:
        assert not self._is_read, "receive is called by two tasks at once"
        self._is_read = True
        try:
            await anyio.sleep(0.002)
            return await super().receive()
        finally:
            self._is_read = False


class Handler:
    """Waits until it is cancelled."""

    def __init__(self) -> None:
        self.waits = anyio.Event()
        self.ended: list[str] = []

    async def endpoint(self, request: Request) -> Response:
        try:
            self.waits.set()
            await anyio.sleep_forever()
        finally:
            self.ended.append("finally")
        raise AssertionError


def part(body: bytes, *, more_body: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more_body}


async def leave_while(waits: anyio.Event, client: Client, app: Any, **scope: Any) -> None:
    """Make a request, and leave once the handler waits."""
    async with anyio.create_task_group() as group:

        async def leave() -> None:
            await waits.wait()
            client.gone.set()

        group.start_soon(leave)
        await client.request(app, **scope)


@pytest.mark.parametrize("place", ["application", "route", "both", "below an application that does not"])
async def test_handler_of_a_client_that_left_is_cancelled(place: str) -> None:
    handler = Handler()
    route = Route("/", handler.endpoint, cancel_on_disconnect=None if place == "application" else True)
    app = Pallasite(routes=[route], cancel_on_disconnect=place in ("application", "both"), timeout=STALL_SECONDS)
    client = OneReader(END)
    await leave_while(handler.waits, client, app)
    assert handler.ended == ["finally"]


async def test_route_may_stay_when_its_application_cancels() -> None:
    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.05)
        return PlainTextResponse("done")

    app = Pallasite(routes=[Route("/", endpoint, cancel_on_disconnect=False)], cancel_on_disconnect=True)
    client = OneReader(END)
    client.gone.set()
    assert (await client.request(app)).status == 200


@pytest.mark.parametrize("functions", [1, 3])
async def test_handler_below_function_middleware_is_cancelled(functions: int) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    handler = Handler()
    app = Pallasite(
        routes=[Route("/", handler.endpoint, cancel_on_disconnect=True)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch) for _ in range(functions)],
    )
    await leave_while(handler.waits, OneReader(END), app)
    assert handler.ended == ["finally"]


async def test_bare_route_raises_client_disconnect() -> None:
    handler = Handler()
    handler.waits.set()
    client = OneReader(END)
    client.gone.set()
    with pytest.raises(ClientDisconnect):
        await client.request(Route("/", handler.endpoint, cancel_on_disconnect=True))


async def test_client_that_stays_changes_nothing() -> None:
    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.01)
        return PlainTextResponse("done")

    app = Pallasite(routes=[Route("/", endpoint)], cancel_on_disconnect=True)
    client = await OneReader(END).request(app)
    assert (client.status, client.body) == (200, b"done")


@pytest.mark.parametrize("first", ["waits", "reads"])
async def test_body_is_read_whole_whenever_the_handler_reads_it(first: str) -> None:
    async def endpoint(request: Request) -> Response:
        parts = []
        if first == "waits":
            await anyio.sleep(0.01)
        async for chunk in request.stream():
            parts.append(chunk.decode())
            await anyio.sleep(0.001)
        await anyio.sleep(0.01)
        return JSONResponse(parts)

    app = Pallasite(routes=[Route("/", endpoint, methods=["POST"])], cancel_on_disconnect=True)
    client = OneReader(part(b"a", more_body=True), part(b"b", more_body=True), part(b"c", more_body=False))
    await client.request(app, method="POST")
    assert client.body == b'["a","b","c",""]'


async def test_handler_that_waits_for_the_body_sees_the_disconnect_itself() -> None:
    seen: list[str] = []
    waits = anyio.Event()

    async def endpoint(request: Request) -> Response:
        waits.set()
        try:
            await request.body()
        except ClientDisconnect:
            seen.append("disconnect")
            raise
        raise AssertionError

    app = Pallasite(routes=[Route("/", endpoint, methods=["POST"])], cancel_on_disconnect=True)
    await leave_while(waits, OneReader(part(b"a", more_body=True)), app, method="POST")
    assert seen == ["disconnect"]


async def test_disconnect_is_watched_for_once_the_body_has_been_read() -> None:
    handler = Handler()
    slow = anyio.Event()

    async def endpoint(request: Request) -> Response:
        await request.body()
        return await handler.endpoint(request)

    async def receive() -> Message:
        if not slow.is_set():
            await anyio.sleep(0.02)
            slow.set()
            return part(b"a", more_body=False)
        await handler.waits.wait()
        return {"type": "http.disconnect"}

    app = Pallasite(routes=[Route("/", endpoint, methods=["POST"])], cancel_on_disconnect=True)
    with anyio.fail_after(STALL_SECONDS):
        await app(scope_of(method="POST"), receive, Sent())
    assert handler.ended == ["finally"]


async def test_body_is_read_ahead_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive_watch, "_READ_AHEAD_BYTES", 1000)
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += 1
        return part(b"x" * 300, more_body=read < 10)

    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.02)
        ahead = read
        return JSONResponse([ahead, len(await request.body())])

    app = Pallasite(routes=[Route("/", endpoint, methods=["POST"])], cancel_on_disconnect=True)
    sent = Sent()
    await app(scope_of(method="POST"), receive, sent)
    assert sent[1]["body"] == b"[2,3000]"


async def test_is_disconnected_tells_the_truth() -> None:
    answers: list[bool] = []

    async def endpoint(request: Request) -> Response:
        answers.append(await request.is_disconnected())
        await anyio.sleep(0.01)
        answers.append(await request.is_disconnected())
        return PlainTextResponse((await request.body()).decode())

    app = Pallasite(routes=[Route("/", endpoint, methods=["POST"])], cancel_on_disconnect=True)
    client = await OneReader(part(b"a", more_body=True), part(b"b", more_body=False)).request(app, method="POST")
    assert answers == [False, False]
    assert client.body == b"ab"


async def test_receive_that_fails_fails_for_the_handler() -> None:
    async def receive() -> Message:
        await anyio.lowlevel.checkpoint()
        raise ValueError("the server failed")

    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.01)
        with pytest.raises(ValueError, match="the server failed"):
            await request.receive()
        return PlainTextResponse("done")

    app = Pallasite(routes=[Route("/", endpoint)], cancel_on_disconnect=True)
    sent = Sent()
    await app(scope_of(), receive, sent)
    assert sent[1]["body"] == b"done"


async def test_replayed_body_never_ends_and_freezes_nothing() -> None:
    calls = 0

    async def receive() -> Message:
        nonlocal calls
        calls += 1
        return END

    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.02)
        return PlainTextResponse("done")

    app = Pallasite(routes=[Route("/", endpoint)], cancel_on_disconnect=True)
    sent = Sent()
    with anyio.fail_after(STALL_SECONDS):
        await app(scope_of(), receive, sent)
    assert sent[1]["body"] == b"done"
    assert calls < 100


async def test_response_that_has_started_ends_by_itself_and_its_background_task_runs() -> None:
    done: list[str] = []
    started = anyio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            started.set()
            await anyio.sleep_forever()
        finally:
            done.append("closed")

    async def task() -> None:
        done.append("task")

    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.001)
        return StreamingResponse(chunks(), background=BackgroundTask(task))

    app = Pallasite(routes=[Route("/", endpoint)], cancel_on_disconnect=True)
    await leave_while(started, OneReader(END), app)
    assert done == ["closed", "task"]


async def test_background_task_is_not_cancelled() -> None:
    done: list[str] = []
    runs = anyio.Event()

    async def task() -> None:
        runs.set()
        await anyio.sleep(0.02)
        done.append("task")

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("done", background=BackgroundTask(task))

    app = Pallasite(routes=[Route("/", endpoint)], cancel_on_disconnect=True, timeout=0.01)
    await leave_while(runs, OneReader(END), app)
    assert done == ["task"]


async def test_endpoint_that_is_an_application_reads_what_it_wants() -> None:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(0.01)
        message = await receive()
        assert message["type"] == "http.request"
        await PlainTextResponse(message["body"])(scope, receive, send)

    class Endpoint:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await endpoint(scope, receive, send)

    app = Pallasite(routes=[Route("/", Endpoint())], cancel_on_disconnect=True)
    client = await OneReader(part(b"a", more_body=False)).request(app)
    assert client.body == b"a"


async def test_handler_that_has_started_its_response_is_not_cancelled() -> None:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"whole"})

    client = OneReader(END)
    client.gone.set()
    await client.request(bounded.Bounded(endpoint, cancel_on_disconnect=True))
    assert client.body == b"whole"


async def test_two_tasks_of_a_handler_may_wait_for_the_disconnect() -> None:
    seen: list[str] = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        async def wait() -> None:
            seen.append((await receive())["type"])

        assert (await receive())["type"] == "http.request"
        await anyio.sleep(0.01)
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            await anyio.sleep(0.01)
            client.gone.set()

    client = OneReader(END)
    await client.request(bounded.Bounded(endpoint, cancel_on_disconnect=True))
    assert seen == ["http.disconnect", "http.disconnect"]
