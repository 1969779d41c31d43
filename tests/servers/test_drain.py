"""SIGTERM to real servers, alone and behind a load balancer: no request fails, streams and WebSockets end in order."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.serving import Server, eventually, new_client, start

from .conftest import MAIN_SERVERS

APPLICATION = "tests.servers.drained:app"


@pytest.mark.parametrize("name", MAIN_SERVERS)
def test_streams_and_websockets_end_after_the_grace_period(name: str, tmp_path: Path) -> None:
    server = start(name, tmp_path, APPLICATION)
    try:
        with (
            new_client(server) as client,
            client.stream("GET", "/events") as stream,
            connect(f"ws://127.0.0.1:{server.port}/chat", proxy=None) as chat,
        ):
            blocks = stream.iter_text()
            assert next(blocks) == "data: first\n\n"
            chat.send("before")
            assert chat.recv() == "before"
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: httpx.get(server.url + "/readyz").status_code == 503, "it is not ready")
            chat.send("meanwhile")
            assert chat.recv() == "meanwhile"
            response = httpx.get(server.url)
            assert (response.status_code, response.headers["connection"]) == (200, "close")
            assert "".join(blocks) == "retry: 5000\n\n"
            with pytest.raises(ConnectionClosed) as closed:
                chat.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        server.process.wait(10)
        assert server.unexpected_errors() == []
    finally:
        server.kill()


@pytest.mark.parametrize("name", MAIN_SERVERS)
def test_second_signal_ends_the_server_at_once(name: str, tmp_path: Path) -> None:
    server = start(name, tmp_path, APPLICATION, {"GRACE": "600"})
    try:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx.get(server.url + "/readyz").status_code == 503, "it is draining")
        if name == "granian":  # its main process passes the first one on only
            for pid in children(server.process.pid):
                subprocess.run(["kill", "-TERM", pid], check=False)
        else:
            server.process.send_signal(signal.SIGTERM)
        server.process.wait(10)
    finally:
        server.kill()


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@contextmanager
def haproxy(directory: Path, *servers: Server) -> Iterator[str]:
    """Start haproxy in front of the servers, and return its URL. It asks each for ``/readyz`` ten times a second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = [f"    server s{number} 127.0.0.1:{server.port} check" for number, server in enumerate(servers)]
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        "defaults\n    mode http\n    timeout connect 2s\n    timeout client 20s\n    timeout server 20s\n"
        f"frontend all\n    bind 127.0.0.1:{port}\n    default_backend servers\n"
        "backend servers\n    option httpchk GET /readyz\n"
        "    default-server inter 100ms fall 1 rise 1\n" + "\n".join(lines) + "\n"
    )
    with (directory / "haproxy.log").open("w") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(configuration)], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_up(url), "haproxy responds")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def is_up(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed (Debian: haproxy)")
@pytest.mark.parametrize("name", MAIN_SERVERS)
def test_no_request_fails_behind_a_load_balancer(name: str, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    servers = [start(name, folder, APPLICATION) for folder in folders]
    statuses: list[int | str] = []
    going = threading.Event()
    going.set()

    def load(url: str) -> None:
        with httpx.Client(base_url=url, trust_env=False, verify=False) as client:
            while going.is_set():
                try:
                    statuses.append(client.get("/").status_code)
                except httpx.HTTPError as error:
                    statuses.append(repr(error))

    try:
        with haproxy(tmp_path, *servers) as url:
            threads = [threading.Thread(target=load, args=(url,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            try:
                eventually(lambda: len(statuses) > 100, "there is load")
                servers[0].process.send_signal(signal.SIGTERM)
                servers[0].process.wait(20)
                seen = len(statuses)
                eventually(lambda: len(statuses) > seen + 100, "the other server responds")
            finally:
                going.clear()
                for thread in threads:
                    thread.join()
        assert set(statuses) == {200}
        assert len(statuses) > 200
    finally:
        for server in servers:
            server.kill()
