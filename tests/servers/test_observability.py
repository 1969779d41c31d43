"""Metrics of several workers under real servers, as Prometheus' own tool reads them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from tests.support.serving import Server, eventually, new_client, start

STARTED = re.compile(r"Started (server process|worker-)")
OK = '{http_request_method="GET",http_response_status_code="200",http_route="/pid/{name}"}'


def metrics(server: Server) -> dict[str, float]:
    with new_client(server) as client:
        text = client.get("/metrics").text
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def workers(server: Server, requests: int) -> set[int]:
    """Send requests, each on a connection of its own, and return who responded."""
    found = set()
    for number in range(requests):
        with new_client(server) as client:
            found.add(int(client.get(f"/pid/{number}").text))
    return found


@pytest.mark.parametrize("name", ["uvicorn-httptools", "granian"])
def test_counts_of_four_workers_add_up_also_after_one_was_killed(name: str, tmp_path: Path) -> None:
    option = ["--workers", "4"] + (["--respawn-failed-workers"] if name == "granian" else [])
    server = start(name, tmp_path, "tests.servers.observed:app", options=option)
    sent = 0

    def several() -> set[int]:
        nonlocal sent
        sent += 20
        return workers(server, 20)

    try:
        seen: set[int] = set()

        def see() -> bool:
            seen.update(several())
            return len(seen) > 1

        eventually(see, "more than one worker responds")
        total = "http_server_request_duration_seconds_count" + OK
        assert metrics(server)[total] == sent
        victim = seen.pop()
        os.kill(victim, signal.SIGKILL)

        def is_replaced() -> bool:
            nonlocal sent
            try:
                found = several()
            except httpx.TransportError:  # a connection that the killed worker had accepted
                sent = int(metrics(server)[total])
                return False
            return victim not in found and bool(found - seen)

        eventually(is_replaced, "another worker takes its place")
        # A supervisor that is asked to exit while it starts the fifth may never do so.
        eventually(lambda: len(STARTED.findall(server.log())) == 5, "the supervisor has started a fifth worker")
        assert metrics(server)[total] == sent
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: metrics(server)["http_server_active_requests"] == 1, "the gauge rises")
        eventually(lambda: metrics(server)["http_server_active_requests"] == 0, "the gauge falls")
        server.stop()
        entries = [json.loads(line) for line in server.log().splitlines() if line.startswith('{"time"')]
        assert any(entry["path"] == "/wait" and entry.get("client_gone") for entry in entries), server.log()[-1500:]
    finally:
        server.kill()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_has_nothing_to_say(tmp_path: Path) -> None:
    server = start("uvicorn-httptools", tmp_path, "tests.servers.observed:app")
    try:
        workers(server, 3)
        with new_client(server) as client:
            client.get("/none")
            text = client.get("/metrics").text
        server.stop()
    finally:
        server.kill()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_templates_of_fastapi_have_the_prefixes_of_included_routers_and_mounts() -> None:
    pytest.importorskip("fastapi")
    code = """
        import pallasite
        pallasite.install_as_starlette()
        import json, logging
        from fastapi import APIRouter, FastAPI
        from fastapi.testclient import TestClient
        from pallasite.middleware.observability import ObservabilityMiddleware
        items, deep, sub = APIRouter(prefix="/items"), APIRouter(prefix="/deep/{x}"), FastAPI()
        @items.get("/{id}")
        def item(id: int): return id
        @deep.get("/{y}")
        def inner(x: int, y: int): return y
        @sub.get("/s/{z}")
        def mounted(z: int): return z
        app = FastAPI()
        items.include_router(deep)
        app.include_router(items, prefix="/api")
        app.include_router(items, prefix="/v2/{version}")
        app.mount("/sub", sub)
        app.mount("/t/{tenant}", sub)
        app.add_middleware(ObservabilityMiddleware, access_log="json")
        with TestClient(app) as client:
            for path in PATHS:
                assert "x-request-id" in client.get(path).headers
    """
    expected = {
        "/api/items/3": "/api/items/{id}",
        "/api/items/x": "/api/items/{id}",
        "/api/items/deep/1/2": "/api/items/deep/{x}/{y}",
        "/v2/7/items/3": "/v2/{version}/items/{id}",
        "/v2/7/items/deep/1/2": "/v2/{version}/items/deep/{x}/{y}",
        "/sub/s/3": "/sub/s/{z}",
        "/t/acme/s/3": "/t/{tenant}/s/{z}",
        "/none": None,
        "/sub/none": None,
    }
    program = textwrap.dedent(code).replace("PATHS", repr(list(expected)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert {entry["path"]: entry.get("route") for entry in entries} == expected
