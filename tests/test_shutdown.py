"""The end of an application in steps: announced, requests answered, streams and WebSockets ended, the server told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite._runtime import signals
from pallasite._runtime.signal_bytes import SignalBytes, wakeup_fd
from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import BaseRoute, Route, WebSocketRoute
from pallasite.shutdown import Drain
from pallasite.sse import EventSourceResponse, ServerSentEvent
from pallasite.types import Message
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.sse.streams import Client as StreamClient
from tests.sse.streams import Stream
from tests.support.asgi import STALL_SECONDS, Sent, ask, never, scope_of, socket_scope_of

ENDS: list[Any] = []


async def page(request: Request) -> Response:
    return PlainTextResponse("page", headers={"connection": "keep-alive"} if "keep" in request.query_params else None)


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect as left:
        ENDS.append((left.code, left.reason))
        with pytest.raises(WebSocketDisconnect):
            await websocket.send_text("too late")


async def talks(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await anyio.lowlevel.checkpoint()
            await websocket.send_text("tick")
    except WebSocketDisconnect:
        ENDS.append("talked")


async def closes(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.app.draining.wait()
    await anyio.wait_all_tasks_blocked()
    await websocket.close()
    ENDS.append("closed")


async def finished(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()
    await anyio.sleep_forever()


async def until(probe: Callable[[], object]) -> None:
    with anyio.fail_after(STALL_SECONDS):
        while not probe():  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.01)


async def waiting(websocket: WebSocket) -> None:
    await anyio.sleep_forever()


def application(grace: float = 0.0) -> Pallasite:
    ENDS.clear()
    routes: list[BaseRoute] = [Route("/", page), WebSocketRoute("/chat", chat), WebSocketRoute("/finished", finished)]
    routes += [WebSocketRoute(f"/{endpoint.__name__}", endpoint) for endpoint in (waiting, talks, closes)]
    return Pallasite(routes=routes, lifespan=Drain(grace=grace))


@asynccontextmanager
async def started(app: Pallasite) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


class Socket:
    """A WebSocket to an application, whose server answers a close with a disconnect."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.accepted = anyio.Event()
        self.closed = anyio.Event()
        self._is_connected = False

    async def receive(self) -> Message:
        if not self._is_connected:
            self._is_connected = True
            return {"type": "websocket.connect"}
        await self.closed.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.accept":
            self.accepted.set()
        if message["type"] == "websocket.close":
            self.closed.set()


@pytest.mark.anyio
async def test_without_a_signal_nothing_changes() -> None:
    app = application()
    assert app.draining is None
    async with started(app):
        assert app.draining is not None
        assert not app.draining.is_set()
        assert (await ask(app)).header("connection") is None
    assert app.draining is None


@pytest.mark.anyio
async def test_requests_are_answered_meanwhile_and_close_their_connection() -> None:
    app = application(grace=60)
    async with started(app):
        await ask(app)
        assert app.draining is not None
        app.draining.start()
        assert app.draining.is_set()
        await app.draining.wait()
        await anyio.wait_all_tasks_blocked()
        for query in (b"", b"keep"):
            answer = await ask(app, query=query)
            assert (answer.status, answer.values("connection")) == (200, ["close"])
        assert (await ask(app, "/none")).values("connection") == ["close"]
        assert (await ask(app, http_version="2")).values("connection") == []
    assert (await ask(app)).values("connection") == []


@pytest.mark.anyio
async def test_websockets_are_closed_after_the_grace_period() -> None:
    app, open_, done, handshake = application(), Socket(), Socket(), Socket()
    async with started(app), anyio.create_task_group() as group:
        group.start_soon(app, socket_scope_of("/chat"), open_.receive, open_.send)
        group.start_soon(app, socket_scope_of("/finished"), done.receive, done.send)
        group.start_soon(app, socket_scope_of("/waiting"), handshake.receive, handshake.send)
        await open_.accepted.wait()
        await done.closed.wait()
        assert app.draining is not None
        app.draining.start()
        with anyio.fail_after(STALL_SECONDS):
            await open_.closed.wait()
        await until(lambda: ENDS)
        group.cancel_scope.cancel()
    assert open_.sent[1:] == [{"type": "websocket.close", "code": 1012, "reason": "the server restarts"}]
    assert ENDS == [(1012, "the server restarts")]
    assert [message["type"] for message in done.sent] == ["websocket.accept", "websocket.close"]
    assert handshake.sent == []


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "end"), [("/talks", "talked"), ("/closes", "closed")])
async def test_handler_that_sends_after_the_close_is_told_or_ignored(path: str, end: str) -> None:
    app, socket = application(), Socket()
    async with started(app), anyio.create_task_group() as group:
        group.start_soon(app, socket_scope_of(path), socket.receive, socket.send)
        await socket.accepted.wait()
        assert app.draining is not None
        app.draining.start()
        await until(lambda: ENDS)
    assert [*ENDS] == [end]
    assert [message.get("code") for message in socket.sent if message["type"] == "websocket.close"] == [1012]


@pytest.mark.anyio
async def test_client_that_is_gone_does_not_hold_up_the_others() -> None:
    app, sockets = application(), [Socket() for _ in range(3)]

    async def broken(message: Message) -> None:
        if message["type"] == "websocket.close":
            raise OSError("gone")
        sockets[0].accepted.set()

    async with started(app), anyio.create_task_group() as group:
        group.start_soon(app, socket_scope_of("/chat"), sockets[0].receive, broken)
        for socket in sockets[1:]:
            group.start_soon(app, socket_scope_of("/chat"), socket.receive, socket.send)
        for socket in sockets:
            await socket.accepted.wait()
        assert app.draining is not None
        app.draining.start()
        with anyio.fail_after(STALL_SECONDS):
            for socket in sockets[1:]:
                await socket.closed.wait()
        group.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("farewell", "text"),
    [
        (None, ""),
        (ServerSentEvent(retry=5000), "retry: 5000\n\n"),
        ({"bye": 1}, 'data: {"bye":1}\n\n'),
        (b":\n\n", ":\n\n"),
    ],
)
async def test_event_streams_end_with_their_farewell(farewell: Any, text: str) -> None:
    client = StreamClient(EventSourceResponse(Stream("one")(), farewell=farewell))
    app = application()
    async with started(app), anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        assert app.draining is not None
        app.draining.start()
    assert client.is_complete
    assert client.text == "data: one\n\n" + text


@pytest.mark.anyio
async def test_streams_that_end_otherwise_have_no_farewell() -> None:
    async def items() -> AsyncIterator[str]:
        yield "all"

    client = StreamClient(EventSourceResponse(items(), farewell="bye"))
    await client.run()
    assert client.text == "data: all\n\n"


@pytest.mark.anyio
async def test_within_a_lifespan_of_the_application() -> None:
    @asynccontextmanager
    async def lifespan(app: Pallasite) -> AsyncIterator[dict[str, Any]]:
        async with Drain(grace=1)(app):
            yield {"pool": 1}
            raise LookupError("closing the pool failed")

    app = Pallasite(lifespan=lifespan)
    context = app.router.lifespan_context(app)
    assert await context.__aenter__() == {"pool": 1}
    assert app.draining is not None
    with pytest.raises(LookupError, match="pool failed"):
        await context.__aexit__(None, None, None)
    assert app.draining is None


@pytest.mark.parametrize("grace", [-1, float("inf"), float("nan")])
def test_grace_must_be_finite(grace: float) -> None:
    with pytest.raises(ValueError, match="grace must be a number of seconds, 0 or more, not"):
        Drain(grace=grace)


# These run a loop in the main thread by themselves: pytest's plugin may keep its loops elsewhere.


@pytest.fixture
def told() -> Iterator[list[int]]:
    """The signals that reach the server's own handlers."""
    seen: list[int] = []

    def handle(number: int, frame: object) -> None:
        seen.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


def test_server_is_told_after_the_grace_period(anyio_backend: str, told: list[int]) -> None:
    async def main() -> None:
        app = application(grace=0.05)
        async with started(app):
            signal.raise_signal(signal.SIGTERM)
            assert app.draining is not None
            assert app.draining.is_set()
            assert told == []
            await until(lambda: told)
            await anyio.wait_all_tasks_blocked()

    anyio.run(main, backend=anyio_backend)
    assert told == [signal.SIGTERM]
    assert not signals._delays


def test_second_signal_is_passed_on_at_once(anyio_backend: str, told: list[int]) -> None:
    async def main() -> None:
        app = application(grace=0.05)
        stream = StreamClient(EventSourceResponse(Stream("one")()))
        async with started(app), anyio.create_task_group() as group:
            group.start_soon(stream.run)
            await stream.until("one")
            signal.raise_signal(signal.SIGTERM)
            assert told == []
            signal.raise_signal(signal.SIGINT)
            assert told == [signal.SIGINT]
            await anyio.sleep(0.1)
        assert stream.is_complete

    anyio.run(main, backend=anyio_backend)
    assert told == [signal.SIGINT]  # once


def test_server_of_two_applications_is_told_after_the_longer_period(anyio_backend: str, told: list[int]) -> None:
    async def main() -> None:
        short, long = application(grace=0), application(grace=0.05)
        async with started(short), started(long):
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep(0.01)
            before = list(told)
            await until(lambda: told)
            assert before == []

    anyio.run(main, backend=anyio_backend)
    assert told == [signal.SIGTERM]


@pytest.mark.anyio
async def test_endpoint_can_wait_for_it() -> None:
    async def long_poll(request: Request) -> Response:
        await request.app.draining.wait()
        return PlainTextResponse("come back later")

    app = Pallasite(routes=[Route("/", long_poll)], lifespan=Drain(grace=5))
    sent = Sent()
    async with started(app), anyio.create_task_group() as group:
        group.start_soon(app, scope_of(), never, sent)
        await anyio.wait_all_tasks_blocked()
        assert app.draining is not None
        app.draining.start()
    assert sent[1]["body"] == b"come back later"


def test_handlers_of_the_event_loop_are_delayed_too(told: list[int]) -> None:
    seen: list[str] = []

    async def main() -> None:
        app, loop = application(grace=0.05), asyncio.get_running_loop()
        async with started(app):
            # After the start of the lifespan, as granian does.
            loop.add_signal_handler(signal.SIGTERM, seen.append, "stop")
            loop.add_signal_handler(signal.SIGUSR1, seen.append, "other")
            await asyncio.sleep(0.1)
            loop.add_signal_handler(signal.SIGUSR2, seen.append, "later")
            signals.watch.refresh()
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGUSR1)
            await until(lambda: seen)
            assert seen == ["other"]
            assert app.draining is not None
            assert app.draining.is_set()
            await until(lambda: len(seen) == 2)
            signal.raise_signal(signal.SIGUSR2)
            await until(lambda: len(seen) == 3)
        signal.raise_signal(signal.SIGTERM)  # nothing is left in between
        await until(lambda: len(seen) == 4)

    asyncio.run(main())
    assert seen == ["other", "stop", "later", "stop"]


def test_bytes_of_signals_after_the_loop_has_ended_go_nowhere() -> None:
    made: list[SignalBytes] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        made.append(SignalBytes([signal.SIGTERM]))
        made[0]._pass_on()  # nothing to read
        loop.add_signal_handler(signal.SIGUSR2, print)  # takes the descriptor back

    asyncio.run(main())
    made[0].deliver(signal.SIGUSR1)
    made[0].close()
    assert wakeup_fd() == -1
