"""Server-Sent Events: the start, the pauses and the end of streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite import sse
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.sse import EventSourceResponse, ServerSentEvent, last_event_id
from pallasite.testclient import WebSocketDenialResponse
from pallasite.types import Message
from pallasite.websockets import WebSocket
from tests.sse.streams import Client, Stream
from tests.support.asgi import STALL_SECONDS
from tests.support.clients import ClientFactory


@pytest.mark.parametrize("content", ["text", b"bytes", {"a": 1}, ServerSentEvent("x"), memoryview(b"")])
def test_one_event_in_place_of_an_iterable_is_refused(content: Any) -> None:
    with pytest.raises(TypeError, match="iterable of events"):
        EventSourceResponse(content)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_ping_interval_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        EventSourceResponse([], ping_seconds=seconds)


ITEMS = ["text", ServerSentEvent("x", id=1), b"data: raw\n\n", {"a": 1}, [1, 2], 3, None, bytearray(b": c\n\n")]
EXPECTED = [
    "data: text", "id: 1\ndata: x", "data: raw", 'data: {"a":1}', "data: [1,2]", "data: 3", "data: null", ": c", ""
]  # fmt: skip


async def async_items() -> AsyncIterator[Any]:
    for item in ITEMS:
        yield item


@pytest.mark.parametrize(
    "content",
    [lambda: ITEMS, lambda: tuple(ITEMS), lambda: iter(ITEMS), async_items],
    ids=["list", "tuple", "iterator", "async"],
)
def test_items_of_every_kind_are_sent(content: Callable[[], Any], test_client_factory: ClientFactory) -> None:
    response = test_client_factory(EventSourceResponse(content())).get("/")
    assert response.text.split("\n\n") == EXPECTED
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers


def test_given_headers_and_status_are_kept(test_client_factory: ClientFactory) -> None:
    app = EventSourceResponse([], status_code=203, headers={"Cache-Control": "private", "x-a": "b"})
    response = test_client_factory(app).get("/")
    assert (response.status_code, response.headers["cache-control"], response.headers["x-a"]) == (203, "private", "b")


def test_last_event_id_is_read_from_the_request(test_client_factory: ClientFactory) -> None:
    async def endpoint(request: Request) -> Response:
        return EventSourceResponse([repr(last_event_id(request))])

    client = test_client_factory(Pallasite(routes=[Route("/", endpoint)]))
    for sent, expected in [
        (None, None),
        (b"", None),
        (b"7", "7"),
        ("é\u2713".encode(), "é\u2713"),
        (b"\xff", "\ufffd"),
    ]:
        headers = {} if sent is None else {b"last-event-id": sent}
        assert client.get("/", headers=headers).text == f"data: {expected!r}\n\n"


@pytest.mark.anyio
async def test_pings_are_sent_while_the_iterable_rests() -> None:
    stream = Stream("one")
    client = Client(EventSourceResponse(stream(), ping_seconds=0.01))
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("data: one\n\n: ping\n\n: ping\n\n")
        client.gone.set()
    assert stream.ended == ["ended"]


@pytest.mark.anyio
async def test_ping_waits_for_a_client_that_does_not_read() -> None:
    stream = Stream("one", "two", "three")
    client = Client(EventSourceResponse(stream(), ping_seconds=0.01), stops_after="one")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        with anyio.move_on_after(0.05):  # five pings long
            await client.changed.wait()
        client.reads.set()
        await client.until("three")
        client.gone.set()
    assert client.text.startswith("data: one\n\ndata: two\n\ndata: three\n\n")


@pytest.mark.anyio
@pytest.mark.parametrize("items", [[], ["one"]], ids=["end", "event"])
async def test_end_and_event_wait_for_a_ping_that_is_being_sent(items: list[str]) -> None:
    writer, reader = anyio.create_memory_object_stream[str](1)
    client = Client(EventSourceResponse(reader, ping_seconds=0.01))
    sending: list[Message] = []

    async def send(message: Message) -> None:
        assert sending == [], "two messages at a time"
        sending.append(message)
        if message.get("body") == b": ping\n\n" and "ping" not in client.text:
            for item in items:
                writer.send_nowait(item)
            writer.close()
            await anyio.wait_all_tasks_blocked()
        sending.clear()
        await client.send(message)

    with anyio.fail_after(STALL_SECONDS):
        await client.app(client.scope, client.receive, send)
    assert client.text == ": ping\n\n" + "".join(f"data: {item}\n\n" for item in items)
    assert client.is_complete


@pytest.mark.anyio
async def test_no_ping_is_sent_without_an_interval() -> None:
    async def items() -> AsyncIterator[str]:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            yield "x"

    client = Client(EventSourceResponse(items(), ping_seconds=None))
    await client.run()
    assert client.text == "data: x\n\n" * 5
    assert client.is_complete


@pytest.mark.anyio
async def test_client_that_disconnects_ends_the_iterable_and_the_background_task_runs() -> None:
    done: list[Any] = []
    stream = Stream("one")
    client = Client(EventSourceResponse(stream(), background=BackgroundTask(done.append, "done")))
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        client.gone.set()
    assert stream.ended == ["ended"]
    assert not client.is_complete
    assert done == ["done"]


@pytest.mark.anyio
@pytest.mark.parametrize("messages", [0, 1, 2])
async def test_send_that_fails_is_a_client_that_went_away(messages: int) -> None:
    stream = Stream("one", "two", "three")
    client = Client(EventSourceResponse(stream()), spec_version="2.4")

    async def send(message: Message) -> None:
        if len(client.sent) == messages:
            raise OSError("connection lost")
        await client.send(message)

    with anyio.fail_after(STALL_SECONDS):
        await client.app(client.scope, client.receive, send)
    assert len(client.sent) == messages
    assert stream.steps == messages
    assert len(stream.ended) == min(stream.steps, 1)  # one that never began has nothing to end


@pytest.mark.anyio
async def test_ping_that_fails_is_a_client_that_went_away() -> None:
    stream = Stream("one")
    client = Client(EventSourceResponse(stream(), ping_seconds=0.01))

    async def send(message: Message) -> None:
        if message.get("body") == b": ping\n\n":
            raise OSError("connection lost")
        await client.send(message)

    with anyio.fail_after(STALL_SECONDS):
        await client.app(client.scope, client.receive, send)
    assert stream.ended == ["ended"]


@pytest.mark.anyio
async def test_next_item_is_asked_for_once_the_one_before_was_taken() -> None:
    stream = Stream("one", "two", "three")
    client = Client(EventSourceResponse(stream(), ping_seconds=0.001), stops_after="one")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        await anyio.wait_all_tasks_blocked()
        assert stream.steps == 2
        assert len(client.sent) == 2
        client.reads.set()
        await client.until("three")
        client.gone.set()


@pytest.mark.anyio
async def test_client_that_stops_reading_and_goes_away_ends_the_iterable() -> None:
    stream = Stream("one", "two", "three")
    client = Client(EventSourceResponse(stream()), stops_after="one")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        await anyio.wait_all_tasks_blocked()
        client.gone.set()
    assert stream.ended == ["ended"]


@pytest.mark.anyio
@pytest.mark.parametrize("threaded", [False, True])
async def test_iterable_that_fails_aborts_the_response(threaded: bool) -> None:
    async def fails() -> AsyncIterator[str]:
        yield "one"
        raise LookupError("broken")

    def fails_in_thread() -> Iterator[str]:
        yield "one"
        raise LookupError("broken")

    client = Client(EventSourceResponse(fails_in_thread() if threaded else fails()))
    with pytest.raises(LookupError, match="broken"):
        await client.run()
    assert client.text == "data: one\n\n"
    assert not client.is_complete


@pytest.mark.anyio
@pytest.mark.parametrize("item", [{1, 2}, object(), float("nan")])
async def test_item_that_cannot_be_sent_aborts_the_response(item: Any) -> None:
    stream = Stream("one", item)
    client = Client(EventSourceResponse(stream()))
    with pytest.raises((TypeError, ValueError)):
        await client.run()
    assert not client.is_complete
    assert stream.ended == ["ended"]


@pytest.mark.anyio
async def test_os_error_of_the_iterable_is_not_taken_for_a_disconnect() -> None:
    async def fails() -> AsyncIterator[str]:
        yield "one"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await Client(EventSourceResponse(fails()), spec_version="2.4").run()


@pytest.mark.anyio
async def test_iterable_that_never_waits_leaves_the_loop_to_others() -> None:
    async def endless() -> AsyncIterator[str]:
        while True:
            yield "x"

    client = Client(EventSourceResponse(endless()))

    async def send(message: Message) -> None:
        client.sent[:] = [message]

    async def run() -> None:
        await client.app(client.scope, client.receive, send)

    async def leave() -> None:
        client.gone.set()

    with anyio.fail_after(STALL_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            group.start_soon(leave)
    assert not client.is_complete


@pytest.mark.anyio
async def test_head_request_gets_the_headers_and_no_stream() -> None:
    stream = Stream("one")
    client = Client(EventSourceResponse(stream()), method="HEAD")
    await client.run()
    assert [message["type"] for message in client.sent] == ["http.response.start", "http.response.body"]
    assert client.is_complete
    assert stream.steps == 0


@pytest.mark.anyio
async def test_body_iterator_can_be_wrapped() -> None:
    response = EventSourceResponse(["one", "two"])
    inner = response.body_iterator

    async def shout() -> AsyncIterator[str]:
        async for block in inner:
            assert isinstance(block, bytes)
            yield block.decode().upper()

    response.body_iterator = shout()
    client = Client(response)
    await client.run()
    assert client.text == "DATA: ONE\n\nDATA: TWO\n\n"


def test_websocket_can_be_refused_with_events(test_client_factory: ClientFactory) -> None:
    async def refuse(websocket: WebSocket) -> None:
        await websocket.send_denial_response(EventSourceResponse(["no"], status_code=403))

    client = test_client_factory(Pallasite(routes=[WebSocketRoute("/", refuse)]))
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/"):
        pass
    assert (refused.value.status_code, refused.value.text) == (403, "data: no\n\n")


@pytest.mark.anyio
async def test_memory_stream_is_closed_with_the_response() -> None:
    writer, reader = anyio.create_memory_object_stream[str]()
    client = Client(EventSourceResponse(reader))
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await writer.send("one")
        await client.until("one")
        client.gone.set()
    with pytest.raises(anyio.BrokenResourceError):
        await writer.send("two")
    writer.close()


@pytest.mark.anyio
async def test_generator_with_a_cancel_scope_across_its_yields_is_closed_in_order() -> None:
    ended = []

    async def items() -> AsyncIterator[str]:
        try:
            with anyio.move_on_after(STALL_SECONDS):
                while True:
                    yield "x"
        finally:
            ended.append("ended")

    client = Client(EventSourceResponse(items()), stops_after="x")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("x")
        await anyio.wait_all_tasks_blocked()
        client.gone.set()
    assert ended == ["ended"]


@pytest.mark.anyio
async def test_clean_up_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.01)

    async def items() -> AsyncIterator[str]:
        try:
            yield "x"
            yield "y"
        finally:
            await anyio.sleep_forever()

    client = Client(EventSourceResponse(items()), stops_after="x")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("x")
        await anyio.wait_all_tasks_blocked()
        client.gone.set()


def test_compression_leaves_event_streams_alone(test_client_factory: ClientFactory) -> None:
    app = GZipMiddleware(EventSourceResponse(["x" * 5000]), minimum_size=1)
    response = test_client_factory(app).get("/", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers
    assert response.text == f"data: {'x' * 5000}\n\n"


@pytest.mark.anyio
async def test_asynchronous_iterable_that_cannot_be_closed_is_left_alone() -> None:
    class Endless:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> str:
            return "x"

    blocks = sse._Blocks(Endless())
    assert await anext(blocks) == b"data: x\n\n"
    await blocks.aclose()
