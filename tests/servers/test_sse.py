"""The demo's live events over real sockets: received, resumed, left, and ended when the server is asked to stop."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.serving import SECONDS_TO_STOP, Server, new_client

from .conftest import MAIN_SERVERS

ENDS = [(name, number) for name in MAIN_SERVERS for number in (signal.SIGTERM, signal.SIGINT)]
ENDS.append(("hypercorn-trio", signal.SIGTERM))


class Page:
    """A browser's open stream; `next()` is its next event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()
        self.last_id = ""

    def next(self) -> tuple[str, dict[str, Any]]:
        kind, data = "", ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                kind = value
            elif field == "id":
                self.last_id = value
            elif field == "data":
                data = value
            elif not line and data:
                return kind, json.loads(data)
        raise EOFError

    def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        while True:
            found, event = self.next()
            if found == kind and fields.items() <= event.items():
                return event


@contextmanager
def live_page(server: Server, last_id: str = "") -> Iterator[Page]:
    headers = {b"accept": b"text/event-stream"} | ({b"last-event-id": last_id.encode()} if last_id else {})
    with new_client(server) as client, client.stream("GET", "/live/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Page(response)


def test_events_reach_every_page(server: Server, client: httpx.Client) -> None:
    with live_page(server) as first, live_page(server) as second:
        first.until("join")
        second.until("join")
        assert client.post("/live/wave").status_code == 204
        assert first.until("wave")["name"] == "Somebody"
        assert second.until("wave")["listeners"] >= 2


def test_notes_files_and_visitors_of_the_chat_are_announced(server: Server, client: httpx.Client) -> None:
    name = f"Ada {uuid.uuid4().hex[:12]}"
    with live_page(server) as page:
        page.until("join")
        number = client.post("/api/notes", json={"author": name, "text": "news"}).json()["id"]
        assert page.until("note", name=name)["note"] == number
        client.post("/notes", data={"author": name, "text": "more news"})
        page.until("note", name=name)
        client.put(f"/files/{name}", content=b"iron")
        assert page.until("file", name=name)["size"] == 4
        with connect(f"{server.chat_url}?name={quote(name)}", proxy=None):
            page.until("chat", name=name)


def test_stream_is_not_compressed_and_arrives_immediately(server: Server) -> None:
    with live_page(server) as page:  # which accepts gzip
        page.until("join")
        assert "content-encoding" not in page.response.headers
        assert page.response.headers["cache-control"] == "no-store"


def test_page_that_is_closed_is_noticed(server: Server) -> None:
    with live_page(server) as stays:
        with live_page(server) as leaves:
            leaves.until("join")
        stays.until("leave")


def test_page_that_comes_back_gets_what_it_missed(server: Server, client: httpx.Client) -> None:
    with live_page(server) as page:
        page.until("join")
        last_id = page.last_id
    for _ in range(3):
        client.post("/live/wave")
    with live_page(server, last_id) as page:
        for _ in range(3):
            page.until("wave")


@pytest.mark.parametrize(
    "last_id", ["x", "-", "0-1", "-1", "RUN-", "RUN--1", "RUN-" + "9" * 5000, "RUN-\u00b2", "RUN-99"]
)
def test_last_id_that_means_nothing_starts_afresh(server: Server, client: httpx.Client, last_id: str) -> None:
    with live_page(server) as page:
        page.until("join")
        run = page.last_id.partition("-")[0]
    with live_page(server, last_id.replace("RUN", run)) as page:
        client.post("/live/wave")
        page.until("wave")


def test_head_is_answered_without_a_stream(client: httpx.Client) -> None:
    answer = client.head("/live/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


@pytest.mark.parametrize(("name", "number"), ENDS)
def test_server_asked_to_stop_ends_open_streams_and_itself(
    start_server: Callable[[str], Server], name: str, number: signal.Signals
) -> None:
    server = start_server(name)
    with live_page(server) as first, live_page(server) as second:
        first.until("join", listeners=2)
        with new_client(server) as client:
            client.post("/live/wave")
        first.until("wave")
        second.until("wave")
        server.process.send_signal(number)
        server.process.wait(SECONDS_TO_STOP)
        # EOFError is a complete body. Hypercorn closes its connections before anything can complete one.
        end = httpx.RemoteProtocolError if name.startswith("hypercorn") else EOFError
        for page in (first, second):
            with pytest.raises(end):
                page.until("never")
    assert server.unexpected_errors() == []
