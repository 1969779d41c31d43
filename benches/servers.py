"""End to end over loopback: each rival under uvicorn and granian, one process, one core for it and one for the load."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.case import has_module
from benches.exchange import Reply
from benches.load import ROOT, Load, put_load
from benches.rivals import REQUESTS, check_reply, installed

HOST = "127.0.0.1"
CONNECTIONS = 32
START_SECONDS = 20
COMMANDS = {
    "uvicorn": (
        "--host {host} --port {port} --http httptools --ws none --loop asyncio --no-access-log --log-level warning"
    ),
    "granian": (
        "--host {host} --port {port} --interface asgi --http 1 --workers 1 --runtime-threads 1 --loop asyncio "
        "--no-ws --no-access-log --log-level error"
    ),
}


@dataclass(frozen=True)
class ServerPlan:
    """Times apply to one page of one rival under one server."""

    rounds: int = 3
    seconds: float = 3
    warm_up_seconds: float = 1


@dataclass(frozen=True)
class Sample:
    load: Load
    cpu_us: float | None
    """Processor time of the server per request, microseconds; None where the system does not tell."""


def run_servers(plan: ServerPlan, names: list[str] | None = None) -> list[dict[str, Any]]:
    """One entry for each server, rival and request: its best round, and the least processor time of all rounds."""
    samples: dict[tuple[str, str, str], list[Sample]] = {}
    servers = [server for server in COMMANDS if has_module(server)]
    for number in range(plan.rounds):
        order = names or installed()
        for server in servers:
            for rival in order[number % len(order) :] + order[: number % len(order)]:
                for title, sample in one_server(server, rival, plan):
                    samples.setdefault((server, rival, title), []).append(sample)
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [summary(*key, samples[key]) for key in sorted(samples, key=lambda key: (key[0], key[2]))]


def summary(server: str, rival: str, title: str, samples: list[Sample]) -> dict[str, Any]:
    best = max(samples, key=lambda sample: sample.load.per_second)
    cpu = [sample.cpu_us for sample in samples if sample.cpu_us is not None]
    return {
        "server": server,
        "rival": rival,
        "request": title,
        "per_second": best.load.per_second,
        "p50_us": best.load.p50_us,
        "p99_us": best.load.p99_us,
        "cpu_us": min(cpu) if cpu else None,
    }


def one_server(server: str, rival: str, plan: ServerPlan) -> Iterator[tuple[str, Sample]]:
    server_core, client_core = cores()
    with running(server, rival, server_core) as (process, port):
        for title, path in REQUESTS.items():
            check_reply(rival, title, fetch(port, path))
            with pinned(client_core):
                put_load(HOST, port, path, CONNECTIONS, plan.warm_up_seconds)
                before = cpu_seconds(process.pid)
                load = put_load(HOST, port, path, CONNECTIONS, plan.seconds)
                after = cpu_seconds(process.pid)
            cpu = None if before is None or after is None else (after - before) / load.requests * 1e6
            yield title, Sample(load, cpu)


@contextmanager
def running(server: str, rival: str, core: int | None) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    options = COMMANDS[server].format(host=HOST, port=port).split()
    command = [sys.executable, "-m", server, *options, f"benches.rivals.{rival}:app"]
    with pinned(core):  # a child inherits where its parent may run
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_for_port(port, process)
        yield process, port
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fetch(port: int, path: str) -> Reply:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        headers = sorted((name.lower().encode(), value.encode()) for name, value in response.getheaders())
        return Reply(response.status, tuple(headers), (response.read(),))


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}: {process.args!r}")
        try:
            fetch(port, "/")
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    raise RuntimeError(f"the server did not answer within {START_SECONDS} s: {process.args!r}")


def cores() -> tuple[int | None, int | None]:
    """Where the server and the client run: different cores, or anywhere if the system cannot pin or has one core."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[-1]) if len(available) > 1 else (None, None)


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float | None:
    """Processor time of a process and its descendants so far, in steps of 10 ms; None without /proc."""
    if not Path("/proc/self/stat").exists():
        return None
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(entry.name)] = int(fields[1])
            ticks[int(entry.name)] = int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(member, 0) for member in family) / os.sysconf("SC_CLK_TCK")
