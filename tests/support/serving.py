"""The supported servers on free loopback ports, for tests over sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.paths import EXAMPLES, ROOT

MAX_UPLOAD_BYTES = 1_000_000
SECONDS_TO_START = 30.0
SECONDS_TO_STOP = 10.0
SECONDS_FOR_AN_ANSWER = 15.0

QUICK_END = ["--graceful-timeout", "1"]  # seconds for open WebSockets; the default of hypercorn is 3

COMMANDS = {
    "uvicorn-httptools": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--http", "httptools"],
    "uvicorn-h11": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--http", "h11"],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"],
    "hypercorn-asyncio": ["hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "asyncio", *QUICK_END],
    "hypercorn-trio": ["hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "trio", *QUICK_END],
    "daphne": ["daphne", "-b", "127.0.0.1", "-p", "{port}"],
}

EXPECTED_ERROR = "this page is broken on purpose"


@dataclass
class Server:
    """A running server with its port, its log and the data directory of the application."""

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
        """Return the tracebacks and panics in the log, except that of the page that is broken on purpose."""
        entries = re.split(r"(?=Traceback \(most recent call last\)|panicked at)", self.log())[1:]
        return [entry for entry in entries if EXPECTED_ERROR not in entry]

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send exactly these bytes on a new connection. Return the status and the whole response.

        The status is 0 if the server closed the connection without a response.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS_FOR_AN_ANSWER) as connection:
            connection.sendall(request)
            answer = b""
            with suppress(ConnectionResetError):
                while data := connection.recv(65536):
                    answer += data
        status_line = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
        return (int(status_line[1]) if status_line else 0), answer

    def stop(self) -> None:
        """Ask the server to exit. If it does not, kill it and fail."""
        self.process.send_signal(signal.SIGINT if self.name == "daphne" else signal.SIGTERM)
        try:
            self.process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not exit when asked to:\n{self.log()[-2000:]}") from None

    def kill(self) -> None:
        """Kill the server if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def new_client(server: Server, **options: Any) -> httpx.Client:
    # Without `verify=False` each client would read all certificates of the system: 20 ms, for plain HTTP.
    return httpx.Client(base_url=server.url, timeout=SECONDS_FOR_AN_ANSWER, trust_env=False, verify=False, **options)


def eventually(probe: Callable[[], object], what: str, seconds: float = SECONDS_FOR_AN_ANSWER) -> None:
    """Wait until `probe()` is true. Fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def start(
    name: str,
    directory: Path,
    application: str = "demo.main:app",
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Server:
    """Start the server of that name and return it once it accepts connections.

    Data, log and temporary files go to `directory`.
    """
    for _ in range(3):  # another process can take the free port first
        server = _spawn(name, directory, application, environment or {}, options)
        if _is_ready(server):
            return server
        if "in use" not in server.log():
            break
    raise AssertionError(f"{name} did not start:\n{server.log()[-2000:]}")


def _spawn(
    name: str, directory: Path, application: str, environment: Mapping[str, str], options: Sequence[str]
) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, log_path, temporary = directory / "data", directory / "log", directory / "tmp"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[name]), *options, application]
    paths = [str(EXAMPLES), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    whole_environment = os.environ | {
        "DEMO_DATA": str(data),
        "DEMO_MAX_UPLOAD": str(MAX_UPLOAD_BYTES),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(temporary),
        **environment,
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=whole_environment,
            cwd=directory,
            stdout=log,
            stderr=log,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - no thread runs yet
        )
    return Server(name, port, data, process, log_path)


def _heed_interrupts() -> None:
    """Restore SIGINT, which is ignored if the tests run in the background of a script."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_ready(server: Server) -> bool:
    """Return True once the server accepts connections, False if it exited or was killed for taking too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.02)
    server.kill()
    return False
