"""Servers started by any command, such as one with workers or a reloader, and read until they report something."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: That of these tests, without the import path of this repository: the installed package is imported.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
SECONDS_TO_STOP = 30.0


@contextmanager
def running(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The server while it runs, in its own process group, which is ended with it."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        try:
            yield server
        finally:
            server.terminate()
            try:
                server.communicate(timeout=SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                raise


def read_until(server: subprocess.Popen[str], *texts: str, times: int = 1) -> str:
    """Return the output up to the line where each of `texts` has been in `times` lines.

    Raises:
        AssertionError: the output ended before; the message is the output.
    """
    assert server.stdout is not None
    lines: list[str] = []
    while any(sum(text in line for line in lines) < times for text in texts):
        line = server.stdout.readline()
        assert line, "".join(lines)
        lines.append(line)
    return "".join(lines)
