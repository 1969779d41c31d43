"""Streamed responses: chunks, disconnects, errors, and streams made of the request body."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import anyio
import pytest

from pallasite.background import BackgroundTask
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import (
    StreamingResponse,
)
from pallasite.sse import EventSourceResponse
from tests.support.asgi import STALL_SECONDS, UNUSED, Sent, never

_HTTP = {"type": "http", "method": "GET", "headers": []}
_HTTP_2_4 = {**_HTTP, "asgi": {"spec_version": "2.4"}}
_WEBSOCKET = {"type": "websocket", "headers": [], "extensions": {"websocket.http.response": {}}}


async def _call(response: Any, scope: Mapping[str, Any] = _HTTP, receive: Any = never) -> list[Any]:
    sent = Sent()
    await response(dict(scope), receive, sent)
    return sent


async def _async_chunks() -> AsyncIterator[Any]:
    yield "é"
    yield b"b"
    yield memoryview(b"c")


def _sync_chunks() -> Iterator[Any]:
    yield from ["é", b"b", memoryview(b"c")]


_SOURCES: list[Callable[[], Any]] = [
    _async_chunks,
    _sync_chunks,
    lambda: list(_sync_chunks()),
    lambda: tuple(_sync_chunks()),
    lambda: {"é": 0, b"b": 1, memoryview(b"c"): 2},
]


@pytest.mark.anyio
@pytest.mark.parametrize("source", _SOURCES, ids=["async", "sync", "list", "tuple", "dict"])
@pytest.mark.parametrize("scope", [_HTTP, _HTTP_2_4], ids=["2.0", "2.4"])
async def test_stream_sends_each_chunk(source: Callable[[], Any], scope: Mapping[str, Any]) -> None:
    events: list[str] = []
    response = StreamingResponse(source(), 202, media_type="text/x", background=BackgroundTask(events.append, "done"))
    sent = await _call(response, scope)
    head = {"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"text/x; charset=utf-8")]}
    assert sent[0] == head
    assert [(message["body"], message["more_body"]) for message in sent[1:]] == [
        ("é".encode(), True),
        (b"b", True),
        (b"c", True),
        (b"", False),
    ]
    assert events == ["done"]


@pytest.mark.anyio
async def test_stream_body_iterator_may_be_replaced() -> None:
    response = StreamingResponse(["x"])
    response.body_iterator = _async_chunks()
    assert len(await _call(response)) == 5


@pytest.mark.anyio
async def test_stream_disconnect_cancels_the_iteration() -> None:
    gone = anyio.Event()
    log: list[str] = []

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
                await anyio.lowlevel.checkpoint()
        finally:
            log.append("closed")

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 10:
            gone.set()

    source = chunks()
    with anyio.fail_after(STALL_SECONDS):
        response = StreamingResponse(source, background=BackgroundTask(log.append, "task"))
        await response(dict(_HTTP), receive, send)
    await source.aclose()
    assert 10 <= sent < 100
    assert log == ["closed", "task"] or log == ["task", "closed"]


@pytest.mark.anyio
async def test_stream_disconnect_is_seen_after_other_messages() -> None:
    messages = iter([{"type": "http.request", "more_body": False}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def chunks() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    with anyio.fail_after(STALL_SECONDS):
        sent = await _call(StreamingResponse(chunks()), receive=receive)
    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.anyio
async def test_stream_that_never_waits_does_not_ask_for_disconnects() -> None:
    assert len(await _call(StreamingResponse(["x"] * 3), receive=UNUSED)) == 5


@pytest.mark.anyio
async def test_stream_values_and_errors_of_waits_reach_the_iteration() -> None:
    seen: list[Any] = []

    async def chunks() -> AsyncIterator[bytes]:
        seen.append(await anyio.to_thread.run_sync(lambda: "from a thread"))
        try:
            await anyio.to_thread.run_sync(divmod, 1, 0)
        except ZeroDivisionError as error:
            seen.append(type(error))
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        seen.append(scope.cancelled_caught)
        yield b"x"

    assert len(await _call(StreamingResponse(chunks()))) == 3
    assert seen == ["from a thread", ZeroDivisionError, True]


@pytest.mark.anyio
@pytest.mark.parametrize("waits", [False, True])
async def test_stream_error_is_raised_itself_and_nothing_ends_the_body(waits: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        if waits:
            await anyio.lowlevel.checkpoint()
        raise LookupError("broken")

    sent = Sent()
    with pytest.raises(LookupError, match="broken"):
        await StreamingResponse(chunks())(dict(_HTTP), never, sent)
    assert [message.get("more_body") for message in sent] == [None, True]


@pytest.mark.anyio
async def test_stream_failing_receive_is_raised() -> None:
    async def receive() -> Any:
        raise LookupError("server bug")

    async def chunks() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    with pytest.raises(LookupError, match="server bug"):
        await _call(StreamingResponse(chunks()), receive=receive)


@pytest.mark.anyio
@pytest.mark.parametrize("more_body", [False, True])
@pytest.mark.parametrize("make", [StreamingResponse, EventSourceResponse])
async def test_stream_goes_on_while_a_middleware_replays_the_body_without_waiting(make: Any, more_body: bool) -> None:
    received = 0

    async def replay() -> Any:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b"{}", "more_body": more_body}

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            yield b"%d" % number

    messages = await _call(make(chunks()), receive=replay)
    assert b"".join(message.get("body", b"") for message in messages) == b"012"
    assert received > 16 if more_body else received == 16  # the end of a body is sent once: the rest is a replay


@pytest.mark.anyio
async def test_stream_failing_send_is_a_client_disconnect_from_2_4_on() -> None:
    from pallasite.requests import ClientDisconnect

    async def send(message: Any) -> None:
        raise OSError("gone")

    with pytest.raises(ClientDisconnect) as caught:
        await StreamingResponse(["x"])(dict(_HTTP_2_4), never, send)
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(OSError, match="gone"):
        await StreamingResponse(["x"])(dict(_HTTP), never, send)


@pytest.mark.anyio
async def test_stream_subclass_may_override_both_halves() -> None:
    calls: list[str] = []

    class Watched(StreamingResponse):
        async def listen_for_disconnect(self, receive: Any) -> None:
            calls.append("listen")
            await anyio.sleep_forever()

        async def stream_response(self, send: Any) -> None:
            calls.append("stream")
            await anyio.lowlevel.checkpoint()
            await super().stream_response(send)

    assert len(await _call(Watched(["x"]))) == 3
    assert calls == ["stream", "listen"]


@pytest.mark.anyio
async def test_stream_cancelled_from_outside_stops() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        await anyio.sleep_forever()

    with anyio.move_on_after(0.01) as scope:
        await _call(StreamingResponse(chunks()))
    assert scope.cancelled_caught


class _Correspondent:
    """A client on an old server. It sends a chunk when the previous one has come back, and then disconnects."""

    def __init__(self, *pieces: bytes) -> None:
        self.left = list(pieces)
        self.may_send = anyio.Semaphore(1)
        self.came_back: list[bytes] = []

    async def receive(self) -> Any:
        await self.may_send.acquire()
        if not self.left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.left.pop(0), "more_body": bool(self.left)}

    async def send(self, message: Any) -> None:
        if piece := message.get("body"):
            self.came_back.append(piece)
            self.may_send.release()


@pytest.mark.anyio
@pytest.mark.parametrize("reads_first", [True, False])
async def test_stream_made_of_the_request_body_gets_all_of_it(reads_first: bool) -> None:
    client = _Correspondent(b"a", b"b", b"c", b"d")
    scope = dict(_HTTP)
    request = Request(scope, client.receive)
    gone = anyio.Event()

    async def echo() -> AsyncIterator[bytes]:
        if not reads_first:
            yield await anext(stream)
        async for piece in stream:
            if piece:
                yield piece
        try:
            await anyio.sleep_forever()  # the body is complete, so the response listens now
        finally:
            gone.set()

    stream = request.stream()
    with anyio.fail_after(STALL_SECONDS):
        await StreamingResponse(echo())(scope, client.receive, client.send)
    assert client.came_back == [b"a", b"b", b"c", b"d"]
    assert gone.is_set()


@pytest.mark.anyio
async def test_stream_whose_request_body_breaks_off_still_ends_with_the_client() -> None:
    messages = iter([{"type": "http.request", "body": b"a", "more_body": True}])
    scope = dict(_HTTP)

    async def receive() -> Any:
        await anyio.lowlevel.checkpoint()
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        pass

    async def insist() -> AsyncIterator[bytes]:
        with pytest.raises(ClientDisconnect):
            await Request(scope, receive).body()
        yield b"all the same"
        await anyio.sleep_forever()

    with anyio.fail_after(STALL_SECONDS):
        await StreamingResponse(insist())(scope, receive, send)
