"""Thousands of open, silent WebSockets: they cost little, delay no other client, and leave nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from tests.support.serving import Server, eventually, new_client

from .clients import TEXT, Site, Wire, frame, open_websocket
from .conftest import check_unharmed
from .leaks import counts

MOST = int(os.environ.get("IDLE_WEBSOCKETS", "2000"))
SPARE_DESCRIPTORS = 500
# Pallasite's part is the endpoint's task with its scope, some 10 KB. The rest are the server's protocol and buffers.
MOST_KB_EACH = 250


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[int]:
    """Raises the soft limit to the hard one; how many websockets that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(MOST, hard - SPARE_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "combination", [("uvicorn-httptools", ""), ("granian", "")], indirect=True, ids=["uvicorn", "granian"]
)
def test_thousands_of_idle_websockets_cost_little_and_go(server: Server, site: Site, many_descriptors: int) -> None:
    before = counts(server)
    wires: list[Wire] = []
    try:
        wires.extend(open_websocket(site) for _ in range(many_descriptors))
        during = counts(server)
        assert sum(during["tasks"].values()) >= many_descriptors
        assert during["rss_kb"] - before["rss_kb"] <= MOST_KB_EACH * many_descriptors
        with new_client(server) as client:
            assert client.get("/ping").text == "pong"
        for wire in wires[:: many_descriptors // 10]:
            wire.send(frame(TEXT, b"still there?"))
            assert b"still there?" in wire.read_until(b"there?")
    finally:
        for number, wire in enumerate(wires):
            (wire.reset if number % 2 else wire.close)()
    eventually(lambda: sum(counts(server)["tasks"].values()) <= sum(before["tasks"].values()), "the tasks to end", 60)
    check_unharmed(server, before)
