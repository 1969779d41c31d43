"""Server-Sent Events: iterators that block a worker thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite import sse
from pallasite.sse import EventSourceResponse
from tests.sse.streams import Client
from tests.support.asgi import STALL_SECONDS


class Source:
    """A blocking iterable. It yields one item, and blocks until it may yield another."""

    def __init__(self) -> None:
        self.blocked = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[str]:
        yield "one"
        self.blocked.set()
        assert self.go_on.wait(STALL_SECONDS)
        yield "two"

    async def is_blocked(self) -> None:
        assert await anyio.to_thread.run_sync(self.blocked.wait, STALL_SECONDS)


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
    assert closed.wait(STALL_SECONDS)
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
async def test_abandoned_iterator_that_fails_to_close_is_logged() -> None:
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
        assert logged.wait(STALL_SECONDS)
    finally:
        logging.getLogger("pallasite.sse").removeHandler(handler)
    assert "raised while being closed" in records[0].getMessage()


@pytest.mark.anyio
async def test_blocking_iterator_closed_before_a_thread_takes_it_yields_nothing() -> None:
    items = sse._ThreadIterator(iter([1]))
    await items.aclose()
    assert [item async for item in items] == []
