"""Clients that leave have their handlers cancelled, under real servers and below function middleware."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.serving import Server, eventually, new_client, start

from .conftest import MAIN_SERVERS

CLIENTS = 200


@pytest.fixture(scope="module", params=[*MAIN_SERVERS, "hypercorn-trio"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(request.param, tmp_path_factory.mktemp("abandoned"), "tests.servers.abandoned:app")
    try:
        yield server
        server.stop()
        assert server.unexpected_errors() == []
    finally:
        server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with new_client(server) as client:
        client.get("/forget")
        yield client


def counts(client: httpx.Client) -> Any:
    return client.get("/counts").json()


def send(server: Server, head: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(f"{head} HTTP/1.1\r\nHost: x\r\n".encode())
    return connection


@pytest.mark.parametrize("place", ["plain", "functions"])
@pytest.mark.parametrize("body", ["none", "one that is not read"])
def test_handlers_of_clients_that_left_are_cancelled_and_clean_up(
    server: Server, client: httpx.Client, place: str, body: str
) -> None:
    connections = []
    for _ in range(CLIENTS):
        connection = send(server, f"{'GET' if body == 'none' else 'POST'} /{place}/wait")
        connection.sendall(b"\r\n" if body == "none" else b"Content-Length: 4\r\n\r\nbody")
        connections.append(connection)
    eventually(lambda: counts(client)["started"] == CLIENTS, "all handlers have started")
    assert counts(client)["cleaned up"] == 0
    for connection in connections:
        connection.close()
    eventually(lambda: counts(client)["cleaned up"] == CLIENTS, "all handlers are cancelled")
    assert len(counts(client)["cancelled at"]) == CLIENTS


def test_background_tasks_of_clients_that_left_run(server: Server, client: httpx.Client) -> None:
    for place in ("plain", "functions"):
        connection = send(server, f"GET /{place}/accept")
        connection.sendall(b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.close()
    eventually(lambda: counts(client)["tasks"] == 2, "both background tasks are done")
