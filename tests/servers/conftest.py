"""Starts the demo application under real servers, each once, on a free loopback port, and always ends it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
MAX_UPLOAD_BYTES = 1_000_000
SECONDS_TO_START = 30.0
SECONDS_TO_STOP = 10.0
SECONDS_FOR_AN_ANSWER = 15.0

QUICK_END = ["--graceful-timeout", "1"]  # seconds that websockets get to end by themselves; hypercorn waits 3

COMMANDS = {
    "uvicorn-httptools": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--http", "httptools"],
    "uvicorn-h11": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--http", "h11"],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"],
    "hypercorn-asyncio": ["hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "asyncio", *QUICK_END],
    "hypercorn-trio": ["hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "trio", *QUICK_END],
    "daphne": ["daphne", "-b", "127.0.0.1", "-p", "{port}"],
}
#: The servers that see every test; the others see those of test_every_server.py.
MAIN_SERVERS = ["uvicorn-httptools", "uvicorn-h11", "granian"]

EXPECTED_ERROR = "this page is broken on purpose"


@dataclass
class Server:
    """A running server: where it listens, where the application keeps its data, what it has written so far."""

    name: str
    port: int
    data: Path
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def chat_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/chat/ws"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def unexpected_errors(self) -> list[str]:
        """The tracebacks and panics in the log, without that of the page that is broken on purpose."""
        pieces = re.split(r"(?=Traceback \(most recent call last\)|panicked at)", self.log())[1:]
        return [piece for piece in pieces if EXPECTED_ERROR not in piece]

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send exactly these bytes on a connection of their own; the status and all that followed it.

        The status is 0 if the server closed the connection without an answer.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS_FOR_AN_ANSWER) as connection:
            connection.sendall(request)
            answer = b""
            with suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
        status_line = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
        return (int(status_line[1]) if status_line else 0), answer

    def stop(self) -> None:
        """Ask the server to end; kill it if it does not, which is then an error."""
        self.process.send_signal(signal.SIGINT if self.name == "daphne" else signal.SIGTERM)
        try:
            self.process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end when asked to:\n{self.log()[-2000:]}") from None


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Starts a server of that name with data of its own; all that still run are ended with the session."""
    started: list[Server] = []

    def start(name: str) -> Server:
        server = _start(name, tmp_path_factory.mktemp(name))
        started.append(server)
        return server

    try:
        yield start
    finally:
        for server in started:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


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


def new_client(server: Server, **options: Any) -> httpx.Client:
    # Without `verify=False` each client would read all certificates of the system: 20 ms, for plain HTTP.
    return httpx.Client(base_url=server.url, timeout=SECONDS_FOR_AN_ANSWER, trust_env=False, verify=False, **options)


def eventually(probe: Callable[[], object], what: str, seconds: float = SECONDS_FOR_AN_ANSWER) -> None:
    """Wait until `probe()` is true; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)


def _running(server: Server) -> Iterator[Server]:
    yield server
    server.stop()
    assert server.unexpected_errors() == []


def _start(name: str, directory: Path) -> Server:
    for _ in range(3):  # another process can take the free port between our look and the server's
        server = _spawn(name, directory)
        if _is_ready(server):
            return server
        if "in use" not in server.log():
            break
    raise AssertionError(f"{name} did not start:\n{server.log()[-2000:]}")


def _spawn(name: str, directory: Path) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, log_path = directory / "data", directory / "log"
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[name]), "demo.main:app"]
    paths = [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "DEMO_DATA": str(data),
        "DEMO_MAX_UPLOAD": str(MAX_UPLOAD_BYTES),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdout=log,
            stderr=log,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - no thread runs yet
        )
    return Server(name, port, data, process, log_path)


def _heed_interrupts() -> None:
    """SIGINT ends the server also where whoever started the tests ignores it: in the background of a script, say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_ready(server: Server) -> bool:
    """True once the server accepts connections, False if it ended or takes too long (it is ended then)."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.02)
    server.process.kill()
    server.process.wait()
    return False
