"""Server-Sent Events: streams end when the server is asked to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite import sse
from pallasite._runtime import signals
from pallasite.sse import EventSourceResponse
from tests.sse.streams import Client, Stream
from tests.support.clients import ClientFactory


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
    """Stands for a server: it has its own handlers for both signals and restores the previous ones at the end."""

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


def test_stream_started_after_the_signal_ends_immediately(anyio_backend: str, server_signals: ServerSignals) -> None:
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


def test_handler_installed_in_the_meantime_is_left_in_place(server_signals: ServerSignals) -> None:
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
