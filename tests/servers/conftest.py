"""Starts the demo application under real servers, each once, and always ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.serving import COMMANDS, Server, new_client, start

#: The servers that see every test; the others see those of test_every_server.py.
MAIN_SERVERS = ["uvicorn-httptools", "uvicorn-h11", "granian"]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Start a server of that name with its own data. All servers still running are stopped with the session."""
    started: list[Server] = []

    def start_one(name: str) -> Server:
        server = start(name, tmp_path_factory.mktemp(name))
        started.append(server)
        return server

    try:
        yield start_one
    finally:
        for server in started:
            server.kill()


@pytest.fixture(scope="session", params=MAIN_SERVERS)
def server(request: pytest.FixtureRequest, start_server: Callable[[str], Server]) -> Iterator[Server]:
    yield from _running(start_server(request.param))


@pytest.fixture(scope="session", params=list(COMMANDS))
def any_server(request: pytest.FixtureRequest, start_server: Callable[[str], Server]) -> Iterator[Server]:
    yield from _running(start_server(request.param))


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with new_client(server) as client:
        yield client


def _running(server: Server) -> Iterator[Server]:
    yield server
    server.stop()
    assert server.unexpected_errors() == []
