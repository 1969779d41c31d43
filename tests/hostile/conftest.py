"""The target under each main server, started once; every test leaves the process as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import Server, eventually, new_client, start

from .clients import Site
from .leaks import Counts, counts, leaks

#: Each HTTP parser and event loop glue, and both halves of the target; all combinations would only take longer.
COMBINATIONS = [
    ("uvicorn-httptools", ""),
    ("uvicorn-httptools", "/wrapped"),
    ("uvicorn-h11", "/wrapped"),
    ("granian", ""),
    ("granian", "/wrapped"),
]

# Uvicorn ends websockets whose clients do not answer its pings. Here they are to stay, and to be what is tested.
PATIENCE = ["--ws-ping-interval", "600", "--ws-ping-timeout", "600"]


@pytest.fixture(scope="session", params=COMBINATIONS, ids=lambda pair: pair[0] + pair[1].replace("/", "-"))
def combination(request: pytest.FixtureRequest) -> tuple[str, str]:
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture(scope="session")
def server(combination: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    name = combination[0]
    options = PATIENCE if name.startswith("uvicorn") else []
    server = start(name, tmp_path_factory.mktemp("hostile"), "tests.hostile.target:app", options=options)
    try:
        yield server
        server.stop()
    finally:
        server.kill()
    # An error of the server itself, about bytes that are not HTTP or WebSocket, has no frame of Pallasite in it.
    assert [error for error in server.unexpected_errors() if "/pallasite/" in error or "panicked" in error] == []


@pytest.fixture(scope="session")
def site(combination: tuple[str, str], server: Server) -> Site:
    paths = ["page", "body", "form", "upload", "download", "events", "converse", "flood"]
    return Site(server.port, *(f"{combination[1]}/{path}" for path in paths))


@pytest.fixture
def unharmed(server: Server) -> Iterator[None]:
    """After the test the server answers promptly and has no task, thread, descriptor or file more than before."""
    before = counts(server)
    yield
    check_unharmed(server, before)


def check_unharmed(server: Server, before: Counts) -> None:
    assert server.process.poll() is None
    with new_client(server) as client:
        assert client.get("/ping").text == "pong"
    found: list[str] = []

    def is_as_before() -> bool:
        found[:] = leaks(before, counts(server))
        return not found

    try:
        eventually(is_as_before, "what requests held to be let go")
    except AssertionError as error:
        raise AssertionError(f"{error}: {'; '.join(found)}\n{server.log()[-2000:]}") from None
