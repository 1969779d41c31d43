"""No client accepts a response that fails midway as complete, and no application accepts such a request."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.serving import SECONDS_FOR_AN_ANSWER, Server, eventually, start

from .conftest import MAIN_SERVERS
from .failing import KINDS, LAYERS, TAKEN, TAKERS

FAILING = [*(kind for kind in KINDS if kind != "background"), "twice", "unfinished", "wsgi/"]
PATHS = [name.replace(" ", "-") for name in LAYERS]


@pytest.fixture(scope="module", params=MAIN_SERVERS)
def failing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(request.param, tmp_path_factory.mktemp("failing"), "tests.servers.failing:app")
    try:
        yield server
        server.stop()
    finally:
        server.kill()


def ask(server: Server, path: str) -> tuple[int, bool]:
    """Return the status (0: closed before it was sent) and whether the client accepts the response as complete."""
    fields = "Host: x\r\nAccept-Encoding: gzip\r\nConnection: close"
    status, answer = server.exchange(f"GET {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    fields_by_name = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if fields_by_name.get(b"transfer-encoding") == b"chunked":
        return status, body.endswith(b"0\r\n\r\n")
    return status, b"content-length" in fields_by_name and len(body) == int(fields_by_name[b"content-length"])


@pytest.mark.parametrize("kind", FAILING)
def test_response_that_fails_midway_is_broken_off(failing: Server, kind: str) -> None:
    for path in PATHS:
        status, is_whole = ask(failing, f"/{path}/{kind}")
        # A server that had not sent the head yet may answer for itself.
        assert status in (0, 500) or (status == 200 and not is_whole), path


def test_background_task_that_fails_leaves_the_response_whole_and_is_named(failing: Server) -> None:
    for path in PATHS:
        assert ask(failing, f"/{path}/background") == (200, True), path
    name = "background.<locals>.task_that_fails failed"
    eventually(lambda: failing.log().count(name) == len(PATHS), "a log message for each task")


BODIES = {
    "body": ("text/plain", b"half of it"),
    "json": ("application/json", b"[1]"),
    "form": ("application/x-www-form-urlencoded", b"a=1"),
}


@pytest.mark.parametrize("closing", ["half", "whole"])
@pytest.mark.parametrize("framing", ["content-length: 1000", "transfer-encoding: chunked"])
@pytest.mark.parametrize("taker", TAKERS)
def test_request_that_ends_too_early_is_not_taken_for_whole(
    failing: Server, taker: str, framing: str, closing: str
) -> None:
    kind, content = BODIES[taker]
    if "chunked" in framing:
        content = b"%x\r\n%s\r\n" % (len(content), content)
    for path in PATHS:
        head = f"POST /{path}/{taker} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", failing.port), timeout=SECONDS_FOR_AN_ANSWER) as connection:
            connection.sendall(head.encode() + content)
            if closing == "half":
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(65536)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), path
    assert ask(failing, "/none/background") == (200, True)
    assert TAKEN not in failing.log()
