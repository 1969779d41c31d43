"""The dressed applications under load: processor time, latencies and memory, on each server that is installed."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.case import has_module
from benches.compare import Unlike
from benches.dressed.app import ITEMS, ORIGIN
from benches.dressed.open_loop import PATH, Latencies
from benches.load import ROOT
from benches.servers import HOST, cores, cpu_seconds, free_port, pinned

APPLICATIONS = ("starlette", "pallasite", "fastapi", "fastapi_on_pallasite")
# Each runs one worker, whose loop is asyncio's, without a log of its own.
COMMANDS = {
    "uvicorn": "uvicorn --host {host} --port {port} --loop asyncio --no-access-log --log-level warning {app}:app",
    "granian": (
        "granian --host {host} --port {port} --interface asgi --http 1 --workers 1 --loop asyncio --no-ws"
        " --no-access-log --log-level error {app}:app"
    ),
    "gunicorn": "gunicorn --bind {host}:{port} --workers 1 --worker-class asgi --log-level error {app}:app",
    "h2corn": "h2corn --host {host} --port {port} --workers 1 --no-access-log {app}:app",
}


@dataclass(frozen=True)
class DressedPlan:
    """The rate is below what the slowest of them can do."""

    rounds: int = 2
    rate: float = 400
    seconds: float = 6
    warm_up_seconds: float = 1


def run_dressed(plan: DressedPlan) -> list[dict[str, Any]]:
    """One entry for each server and application: the least of all rounds. A server that does not start is left out."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    servers = [server for server in COMMANDS if has_module(server)]
    for number in range(plan.rounds):
        order = APPLICATIONS[number % len(APPLICATIONS) :] + APPLICATIONS[: number % len(APPLICATIONS)]
        for server in servers:
            for name in order:
                try:
                    found.setdefault((server, name), []).append(one_run(server, name, plan))
                except RuntimeError as error:
                    print(f"{server}, {name}: {error}", file=sys.stderr)
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [
        {"server": server, "application": name, **{key: min(run[key] for run in runs) for key in runs[0]}}
        for (server, name), runs in found.items()
    ]


def one_run(server: str, name: str, plan: DressedPlan) -> dict[str, float]:
    server_core, client_core = cores()
    with serving(server, name, server_core) as (process, port), pinned(client_core):
        check(name, port)
        put_load(port, plan.rate, plan.warm_up_seconds)
        before = cpu_seconds(process.pid)
        latencies = put_load(port, plan.rate, plan.seconds)
        after = cpu_seconds(process.pid)
        cpu = 0.0 if before is None or after is None else (after - before) / latencies.requests * 1e6
        return {
            "cpu_us": cpu,
            "p50_us": latencies.p50_us,
            "p99_us": latencies.p99_us,
            "p999_us": latencies.p999_us,
            "memory_mb": memory_mb(process.pid),
        }


def put_load(port: int, rate: float, seconds: float) -> Latencies:
    command = [sys.executable, "-m", "benches.dressed.open_loop", HOST, str(port), str(rate), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 30, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return Latencies(**json.loads(done.stdout))


@contextmanager
def serving(server: str, name: str, core: int | None) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    options = COMMANDS[server].format(host=HOST, port=port, app=f"benches.dressed.{name}").split()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    with pinned(core):  # a child inherits where its parent may run
        process = subprocess.Popen([sys.executable, "-m", *options], cwd=ROOT, env=environment)
    try:
        for _ in range(400):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with status {process.returncode}")
            try:
                fetch(port)
                break
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        else:
            raise RuntimeError("the server did not answer")
        yield process, port
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fetch(port: int) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", PATH, headers={"accept-encoding": "gzip", "origin": ORIGIN})
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return response.status, fields, response.read()


def check(name: str, port: int) -> None:
    """Raises Unlike unless the response is the one that all applications owe."""
    status, fields, content = fetch(port)
    document = json.loads(gzip.decompress(content))
    given = (
        status,
        fields.get("content-encoding"),
        fields.get("access-control-allow-origin"),
        len(fields.get("x-request-id", "")),
        document,
    )
    expected = (200, "gzip", ORIGIN, 32, {"page": 2, "user": None, "items": ITEMS})
    if given != expected:
        raise Unlike(f"{name}: {given} instead of {expected}")


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, in MB. 0 without /proc."""
    total = 0
    pending = [pid]
    while pending:
        current = pending.pop()
        try:
            status = Path(f"/proc/{current}/status").read_text(encoding="utf-8")
            pending += map(int, Path(f"/proc/{current}/task/{current}/children").read_text(encoding="utf-8").split())
        except OSError:
            continue
        total += int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))
    return total / 1024
