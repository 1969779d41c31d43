"""Server-Sent Events: the text of an event, and how streams of them begin, rest and end."""

from __future__ import annotations

import dataclasses
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite import sse
from pallasite._runtime import signals
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.sse import EventSourceResponse, ServerSentEvent, last_event_id
from pallasite.testclient import WebSocketDenialResponse
from pallasite.types import ASGIApp, Message, Scope
from pallasite.websockets import WebSocket

ClientFactory = Callable[..., Any]
FOREVER_SECONDS = 10.0  # only reached by a test that fails


def parse(stream: str) -> list[dict[str, str]]:
    """The events that a browser would see: section 9.2.6 of the HTML standard, written down slowly."""
    events, data, name, last_id = [], [], "", ""
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if line == "":
            if data:
                events.append({"data": "\n".join(data), "type": name or "message", "id": last_id})
            data, name = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


class Client:
    """One end of an ASGI conversation: keeps the messages, stops reading after some text, and can go away."""

    def __init__(self, app: ASGIApp, method: str = "GET", spec_version: str = "2.3", stops_after: str = "\0") -> None:
        self.app = app
        self.stops_after = stops_after.encode()
        self.sent: list[Message] = []
        self.changed = anyio.Event()
        self.gone = anyio.Event()
        self.reads = anyio.Event()
        self.reads.set()
        self.scope: Scope = {
            "type": "http", "method": method, "path": "/", "headers": [], "query_string": b"",
            "asgi": {"version": "3.0", "spec_version": spec_version},
        }  # fmt: skip
        self._asked = False

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)
        if self.stops_after in message.get("body", b""):
            self.reads = anyio.Event()
        self.changed.set()
        self.changed = anyio.Event()

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def is_complete(self) -> bool:
        return self.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    async def run(self) -> None:
        with anyio.fail_after(FOREVER_SECONDS):
            await self.app(self.scope, self.receive, self.send)

    async def until(self, text: str) -> None:
        with anyio.fail_after(FOREVER_SECONDS):
            while text not in self.text:
                await self.changed.wait()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ServerSentEvent("hi"), "data: hi\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a\n"), "data: a\ndata: \n\n"),
        (ServerSentEvent("a\n\rb"), "data: a\ndata: \ndata: b\n\n"),
        (ServerSentEvent(" a: b"), "data:  a: b\n\n"),
        (ServerSentEvent("a\x0bb\x85c\u2028d"), "data: a\x0bb\x85c\u2028d\n\n"),
        (ServerSentEvent({"é": [1, None]}), 'data: {"é":[1,null]}\n\n'),
        (ServerSentEvent(0), "data: 0\n\n"),
        (ServerSentEvent(False), "data: false\n\n"),
        (ServerSentEvent(), "\n"),
        (ServerSentEvent(comment="a\r\nb"), ": a\n: b\n\n"),
        (ServerSentEvent(retry=0), "retry: 0\n\n"),
        (ServerSentEvent(id=""), "id: \n\n"),
        (
            ServerSentEvent("x", event="tick", id=7, retry=2500, comment="c"),
            ": c\nevent: tick\nid: 7\nretry: 2500\ndata: x\n\n",
        ),
    ],
)
def test_event_is_written_as_the_standard_says(event: ServerSentEvent, expected: str) -> None:
    assert event.encode() == expected.encode()


@pytest.mark.parametrize("field", ["id", "event"])
@pytest.mark.parametrize("value", ["\n", "a\rb", "a\0", "x\r\ndata: forged"])
def test_line_end_or_nul_in_a_one_line_field_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{field} of an event"):
        ServerSentEvent("x", **{field: value})


@pytest.mark.parametrize("fields", [{"retry": 1.5}, {"retry": True}, {"retry": "9"}, {"event": 1}, {"comment": b""}])
def test_field_of_another_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ServerSentEvent("x", **fields)


def test_negative_retry_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        ServerSentEvent(retry=-1)


def test_event_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServerSentEvent("x").data = "y"  # type: ignore[misc]


_LINES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | _LINES,
    st.none() | _LINES,
    st.none() | st.text("a\r\n"),
)
def test_any_event_is_read_back_as_one_event(
    data: str, name: str | None, event_id: str | None, comment: str | None
) -> None:
    encoded = ServerSentEvent(data, event=name, id=event_id, comment=comment).encode().decode()
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    assert parse(encoded) == [{"data": lines, "type": name or "message", "id": event_id or ""}]


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
        headers = {} if sent is None else {"last-event-id": sent}
        assert client.get("/", headers=headers).text == f"data: {expected!r}\n\n"


class Stream:
    """An endless async generator that notes how it ended."""

    def __init__(self, *first: Any) -> None:
        self.first = first
        self.ended: list[str] = []
        self.steps = 0

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            for item in self.first:
                self.steps += 1
                yield item
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self.ended.append("ended")


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

    with anyio.fail_after(FOREVER_SECONDS):
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
async def test_client_that_goes_away_ends_the_iterable_and_the_task_behind_runs() -> None:
    done = []
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

    with anyio.fail_after(FOREVER_SECONDS):
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

    with anyio.fail_after(FOREVER_SECONDS):
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

    async def leave() -> None:
        client.gone.set()

    with anyio.fail_after(FOREVER_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(client.app, client.scope, client.receive, send)
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
            yield bytes(block).decode().upper()

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
            with anyio.move_on_after(FOREVER_SECONDS):
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


class Source:
    """A blocking iterable: gives one item, then blocks until it may give another."""

    def __init__(self) -> None:
        self.blocked = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[str]:
        yield "one"
        self.blocked.set()
        assert self.go_on.wait(FOREVER_SECONDS)
        yield "two"

    async def is_blocked(self) -> None:
        assert await anyio.to_thread.run_sync(self.blocked.wait, FOREVER_SECONDS)


@pytest.mark.anyio
async def test_blocking_iterator_does_not_hold_up_the_end_and_is_closed_when_it_comes_back() -> None:
    source = Source()
    closed = threading.Event()

    def items() -> Iterator[str]:
        try:
            yield from source
        finally:
            closed.set()

    client = Client(EventSourceResponse(items()))
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        await source.is_blocked()
        client.gone.set()
    assert not closed.is_set()
    source.go_on.set()
    assert closed.wait(FOREVER_SECONDS)
    assert "two" not in client.text


@pytest.mark.anyio
async def test_blocking_iterator_that_rests_is_closed_with_the_response() -> None:
    ended = []

    def items() -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            ended.append(threading.current_thread())

    client = Client(EventSourceResponse(items()), stops_after="x")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("x")
        await anyio.wait_all_tasks_blocked()
        client.gone.set()
    assert len(ended) == 1
    assert ended[0] is not threading.current_thread()


@pytest.mark.anyio
async def test_iterator_left_behind_that_fails_to_close_is_logged() -> None:
    source = Source()
    logged, records = threading.Event(), []

    def items() -> Iterator[str]:
        try:
            yield from source
        finally:
            raise LookupError("cannot close")

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            logged.set()

    handler = Noted()
    logging.getLogger("pallasite.sse").addHandler(handler)
    try:
        client = Client(EventSourceResponse(items()))
        async with anyio.create_task_group() as group:
            group.start_soon(client.run)
            await client.until("one")
            await source.is_blocked()
            client.gone.set()
        source.go_on.set()
        assert logged.wait(FOREVER_SECONDS)
    finally:
        logging.getLogger("pallasite.sse").removeHandler(handler)
    assert "failed while it was closed" in records[0].getMessage()


@pytest.mark.anyio
async def test_all_streams_end_complete_when_asked_to() -> None:
    streams = [Stream("one"), Stream("two")]
    clients = [Client(EventSourceResponse(stream())) for stream in streams]
    async with anyio.create_task_group() as group:
        for client in clients:
            group.start_soon(client.run)
        await clients[0].until("one")
        await clients[1].until("two")
        sse.end_streams()
    assert [stream.ended for stream in streams] == [["ended"], ["ended"]]
    assert all(client.is_complete for client in clients)
    assert not signals._stops


@pytest.mark.anyio
async def test_streams_can_be_ended_from_another_thread() -> None:
    stream = Stream("one")
    client = Client(EventSourceResponse(stream()))
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        thread = threading.Thread(target=sse.end_streams)
        thread.start()
        thread.join()
    assert client.is_complete


@pytest.mark.anyio
async def test_client_that_stopped_reading_does_not_hold_up_the_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.01)
    stream = Stream("one", "two")
    client = Client(EventSourceResponse(stream()), stops_after="one")
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        await client.until("one")
        await anyio.wait_all_tasks_blocked()
        sse.end_streams()
    assert stream.ended == ["ended"]
    assert not client.is_complete


def test_lifespan_hook_ends_the_streams_of_its_block(test_client_factory: ClientFactory) -> None:
    stops: list[str] = []
    with sse.end_streams_on_shutdown():
        signals._stops.add(stop := lambda: stops.append("stopped"))
    signals._stops.discard(stop)
    assert stops == ["stopped"]


class ServerSignals:
    """Stands for a server: a handler of its own for both signals, put back as it was at the end."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def handle(self, number: int, frame: object) -> None:
        self.seen.append(number)


@pytest.fixture
def server_signals() -> Iterator[ServerSignals]:
    server = ServerSignals()
    before = {number: signal.signal(number, server.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield server
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# These run a loop in the main thread by themselves: pytest's plugin may keep its loops elsewhere.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_streams_and_reaches_the_server(
    number: signal.Signals, anyio_backend: str, server_signals: ServerSignals
) -> None:
    async def main() -> None:
        stream = Stream("one")
        client = Client(EventSourceResponse(stream()))
        async with anyio.create_task_group() as group:
            group.start_soon(client.run)
            await client.until("one")
            assert signal.getsignal(number) != server_signals.handle
            signal.raise_signal(number)
        assert client.is_complete
        assert stream.ended == ["ended"]

    anyio.run(main, backend=anyio_backend)
    assert server_signals.seen == [number]
    assert signal.getsignal(number) == server_signals.handle


def test_handler_stays_until_the_last_stream_ended(anyio_backend: str, server_signals: ServerSignals) -> None:
    async def main() -> None:
        clients = [Client(EventSourceResponse(Stream("one")())) for _ in range(2)]
        async with anyio.create_task_group() as group:
            for client in clients:
                group.start_soon(client.run)
                await client.until("one")
            handler = signal.getsignal(signal.SIGTERM)
            clients[0].gone.set()
            await anyio.wait_all_tasks_blocked()
            assert signal.getsignal(signal.SIGTERM) is handler
            signal.raise_signal(signal.SIGTERM)
        assert clients[1].is_complete

    anyio.run(main, backend=anyio_backend)
    assert server_signals.seen == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == server_signals.handle


def test_stream_that_begins_after_the_signal_ends_at_once(anyio_backend: str, server_signals: ServerSignals) -> None:
    async def main() -> None:
        with sse.end_streams_on_shutdown():
            signal.raise_signal(signal.SIGTERM)
            client = Client(EventSourceResponse(Stream()()))
            await client.run()
            assert client.is_complete
        client = Client(EventSourceResponse(Stream("again")()))
        async with anyio.create_task_group() as group:
            group.start_soon(client.run)
            await client.until("again")
            client.gone.set()

    anyio.run(main, backend=anyio_backend)
    assert signal.getsignal(signal.SIGTERM) == server_signals.handle


def test_handler_put_in_meanwhile_is_left_in_place(server_signals: ServerSignals) -> None:
    def newer(number: int, frame: object) -> None:
        raise AssertionError("not called")

    with signals.signals_watched():
        signal.signal(signal.SIGTERM, newer)
    assert signal.getsignal(signal.SIGTERM) is newer


def test_default_action_of_a_signal_is_left_in_place(server_signals: ServerSignals) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with signals.signals_watched():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_stop_after_the_loop_has_ended_is_nothing(anyio_backend: str) -> None:
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        with signals.ends_with_server(lambda: None):
            stop.extend(signals._stops)

    anyio.run(main, backend=anyio_backend)
    for call in stop:
        call()
    assert len(stop) == 1


# Within other layers.


async def add_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["x-layer"] = "passed"
    return response


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["disconnect", "shutdown", "failure"])
async def test_function_middleware_lets_events_through_and_the_stream_end(end: str) -> None:
    stream = Stream("one")
    proceed = anyio.Event()

    async def events() -> AsyncIterator[Any]:
        inner = stream()
        async with aclosing(inner):
            yield await anext(inner)
            if end == "failure":
                await proceed.wait()
                raise LookupError("broken")
            await anext(inner)

    async def endpoint(request: Request) -> Response:
        return EventSourceResponse(events(), ping_seconds=0.01)

    app = Pallasite(routes=[Route("/", endpoint)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=add_header)] * 2)
    client = Client(app)

    async def run() -> None:
        if end == "failure":
            with pytest.raises(LookupError, match="broken"):
                await client.run()
        else:
            await client.run()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await client.until("one\n\n: ping\n\n")
        if end == "disconnect":
            client.gone.set()
        elif end == "shutdown":
            sse.end_streams()
        else:
            proceed.set()
    assert (b"x-layer", b"passed") in client.sent[0]["headers"]
    assert stream.ended == ["ended"]
    if end != "disconnect":  # what is sent to a client that is gone does not matter
        assert client.is_complete == (end == "shutdown")


def test_compression_leaves_event_streams_alone(test_client_factory: ClientFactory) -> None:
    app = GZipMiddleware(EventSourceResponse(["x" * 5000]), minimum_size=1)
    response = test_client_factory(app).get("/", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers
    assert response.text == f"data: {'x' * 5000}\n\n"


@pytest.mark.anyio
async def test_blocking_iterator_closed_before_a_thread_takes_it_gives_nothing() -> None:
    items = sse._ThreadIterator(iter([1]))
    await items.aclose()
    assert [item async for item in items] == []


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
