"""The client behind nginx and haproxy, alone and one behind the other, and what a client forges."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.serving import Server, eventually, start

FORGED = {
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-proto": "gopher",
    "x-forwarded-host": "evil.test",
    "forwarded": "for=6.6.6.6;host=evil.test;proto=https",
}


ADD_FORWARDED = 'http-request add-header Forwarded "for=%[src];proto=http;host=%[req.hdr(host)]"'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(directory: Path, command: list[str], port: int) -> Iterator[int]:
    with (directory / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def is_up() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(is_up, f"{command[0]} accepts connections")
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def nginx(directory: Path, upstream: int, source: str = "127.0.0.1") -> Iterator[int]:
    """Start nginx as its documentation shows it, with a prefix that it removes."""
    port = free_port()
    fields = """
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_field;
        proxy_http_version 1.1;
    """
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;\n"
        "events {}\n"
        "http { access_log off;\n"
        f"client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;\n"
        f"uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n"
        'map $http_upgrade $connection_field { default upgrade; "" ""; }\n'
        f"server {{ listen 127.0.0.1:{port};\n"
        f"location / {{ proxy_bind {source}; proxy_pass http://127.0.0.1:{upstream}; {fields} }}\n"
        f"location /shop/ {{ proxy_bind {source}; proxy_pass http://127.0.0.1:{upstream}/; {fields}\n"
        "proxy_set_header X-Forwarded-Prefix /shop; } } }\n"
    )
    with running(directory, ["nginx", "-c", str(directory / "nginx.conf")], port):
        yield port


@contextmanager
def haproxy(directory: Path, upstream: int, option: str, source: str = "127.0.0.1") -> Iterator[int]:
    port = free_port()
    (directory / "haproxy.cfg").write_text(
        "defaults\n    mode http\n    timeout connect 2s\n    timeout client 20s\n    timeout server 20s\n"
        f"frontend all\n    bind 127.0.0.1:{port}\n    default_backend servers\n"
        f"backend servers\n    {option}\n    server one 127.0.0.1:{upstream} source {source}\n"
    )
    with running(directory, ["haproxy", "-db", "-f", str(directory / "haproxy.cfg")], port):
        yield port


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@contextmanager
def application(directory: Path, trusted: str, family: str = "x-forwarded") -> Iterator[Server]:
    # The server believes nobody: what it replaced could not be told apart.
    server = start(
        "uvicorn-httptools",
        directory,
        "tests.servers.behind:app",
        {"TRUSTED": trusted, "FAMILY": family},
        ["--no-proxy-headers"],
    )
    try:
        yield server
        server.stop()
        assert server.unexpected_errors() == []
    finally:
        server.kill()


def about(port: int, path: str = "/about", **headers: str) -> Any:
    response = httpx.get(f"http://127.0.0.1:{port}{path}", headers=FORGED | headers)
    assert response.status_code == 200
    return response.json()


@needs("nginx")
def test_behind_nginx(tmp_path: Path) -> None:
    with application(tmp_path, "127.0.0.9") as server, nginx(tmp_path, server.port, "127.0.0.9") as port:
        for path in ("/about", "/shop/about"):
            found = about(port, path, host="outside.test")
            url = f"http://outside.test{path}"
            assert found == {"client": "127.0.0.1", "url": url, "peer": "127.0.0.9"}
        with connect(f"ws://127.0.0.1:{port}/socket", proxy=None, additional_headers=FORGED) as websocket:
            assert json.loads(websocket.recv()) == ["127.0.0.1", f"ws://127.0.0.1:{port}/socket"]
        direct = about(server.port)
        assert (direct["client"], direct["url"]) == ("127.0.0.1", f"http://127.0.0.1:{server.port}/about")


@needs("haproxy")
@pytest.mark.parametrize(
    ("family", "option", "replaces"),
    [
        ("forwarded", ADD_FORWARDED, True),
        ("x-forwarded", "option forwardfor", False),
    ],
)
def test_behind_haproxy(tmp_path: Path, family: str, option: str, replaces: bool) -> None:
    with (
        application(tmp_path, "127.0.0.9", family) as server,
        haproxy(tmp_path, server.port, option, "127.0.0.9") as port,
    ):
        found = about(port, host="outside.test")
        assert (found["client"], found["peer"]) == ("127.0.0.1", "127.0.0.9")
        # `option forwardfor` leaves the other fields to the configuration, so that clients may forge them.
        assert found["url"] == ("http://outside.test/about" if replaces else "http://evil.test/about")


@needs("nginx", "haproxy")
def test_client_behind_two_proxies(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(application(tmp_path, "127.0.0.8 127.0.0.9"))
        inner = stack.enter_context(nginx(tmp_path, server.port, "127.0.0.9"))
        outer = stack.enter_context(haproxy(tmp_path, inner, "option forwardfor", "127.0.0.8"))
        assert about(outer)["client"] == "127.0.0.1"
        assert about(inner)["client"] == "127.0.0.1"
