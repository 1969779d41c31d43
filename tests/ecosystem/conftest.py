"""Packages built on Starlette, each as its users would try it, with Pallasite in Starlette's place.

`scripts/ecosystem` runs every file in a process of its own, for several packages patch classes that all of them share.
With ECOSYSTEM_ON=starlette the same tests run on the installed Starlette: they have to pass there too, which tells a
defect of Pallasite's from one of the package's or of the test's.
"""

from __future__ import annotations

import importlib.metadata
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FRAMEWORK = os.environ.get("ECOSYSTEM_ON", "pallasite")
assert FRAMEWORK in {"pallasite", "starlette"}, f"ECOSYSTEM_ON={FRAMEWORK} is neither pallasite nor starlette"

if FRAMEWORK == "pallasite":
    import pallasite

    # Raises if anything, a plugin of pytest's say, has imported Starlette before.
    pallasite.install_as_starlette()


def loaded_from(distribution: str) -> list[str]:
    """The names of the loaded modules whose files `distribution` installed."""
    folder = Path(str(importlib.metadata.distribution(distribution).locate_file(distribution)))
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return sorted(name for name, file in files.items() if file and Path(file).is_relative_to(folder))


@pytest.fixture(autouse=True)
def the_framework_is_the_one_asked_for() -> Iterator[None]:
    """After each test: the package has imported the framework under test, and nothing of the other one."""
    yield
    import starlette.applications

    if FRAMEWORK == "pallasite":
        from pallasite.applications import Pallasite

        assert starlette.applications.Starlette.__mro__[-2] is Pallasite, "a subclass may stand there, as tracers do it"
        assert loaded_from("starlette") == []
    else:
        assert "starlette.applications" in loaded_from("starlette")
        assert "pallasite" not in sys.modules


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts uvicorn with an application on a free port; gives the server's address, such as `http://127.0.0.1:40123`."""
    import uvicorn

    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any, **settings: Any) -> str:
        # Already listening: who connects before the server has started waits for it instead of being refused.
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10, **settings))
        thread = threading.Thread(target=server.run, args=([listener],))
        running.append((server, thread))
        thread.start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "the server did not end"


@dataclass(frozen=True)
class Served:
    """A server in a process of its own, for what only a signal shows."""

    address: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def serve_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """Starts `uvicorn module:app`, the module being one of this folder's, in a directory of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(app: str) -> Served:
        command = [
            sys.executable,
            "-m",
            *(["pallasite", "as-starlette"] if FRAMEWORK == "pallasite" else []),
            "uvicorn",
        ]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command += [app, "--app-dir", str(Path(__file__).parent), "--fd", str(listener.fileno())]
            # An application may behave in another way where it is told of tests.
            clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
            place = tmp_path_factory.mktemp("server")
            process = subprocess.Popen(command, pass_fds=[listener.fileno()], cwd=place, env=clean)
            started.append(process)
            return Served(f"http://127.0.0.1:{listener.getsockname()[1]}", process)

    yield start
    for process in started:
        process.kill()
        process.wait()
