"""Puts load on one page of a server that is already running: wrk where it is installed, else our own client.

Both keep every connection busy with one request at a time (closed loop, no pipelining). Our client runs alone as
``python -m benches.load HOST PORT PATH CONNECTIONS SECONDS`` and prints one line of JSON.
"""

from __future__ import annotations

import json
import re
import select
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parent.parent
UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass(frozen=True)
class Load:
    """What came back; latencies in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def generator() -> str:
    """Which client makes the load, with its version where it tells."""
    if (wrk := shutil.which("wrk")) is None:
        return "benches/load.py"
    said = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"wrk\s+(\S+)", said.stdout + said.stderr)
    return f"wrk {match.group(1)}" if match else "wrk"


def put_load(host: str, port: int, path: str, connections: int, seconds: float) -> Load:
    """Raises RuntimeError when a response is not a 200."""
    if (wrk := shutil.which("wrk")) is not None:
        whole = max(1, round(seconds))
        command = [wrk, "-t1", f"-c{connections}", f"-d{whole}s", "--latency", f"http://{host}:{port}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=whole + 30)
        return read_wrk(done.stdout)
    command = [sys.executable, "-m", "benches.load", host, str(port), path, str(connections), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30, cwd=ROOT)
    return Load(**json.loads(done.stdout))


def read_wrk(text: str) -> Load:
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk met errors:\n{text}")
    count = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", text)
    shares = {
        share: float(value) * UNITS_US[unit] for share, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(\w+)", text)
    }
    if count is None or not {"50", "99"} <= shares.keys():
        raise RuntimeError(f"wrk wrote something else than expected:\n{text}")
    seconds = float(count.group(2)) * UNITS_US[count.group(3)] / 1e6
    return Load(int(count.group(1)), seconds, shares["50"], shares["99"])


class Connection:
    """One keep-alive connection with one request under way."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.buffer = b""
        self.missing = -1  # bytes of this response still to come; -1 while its head is incomplete
        self.asked = 0.0

    def ask(self) -> None:
        self.asked = perf_counter()
        self.socket.sendall(self.request)

    def read(self) -> bool:
        """True when the response has arrived to its last byte."""
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("the server closed the connection")
        if self.missing < 0:
            self.buffer += data
            head, found, body = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return False
            self.missing = content_length(head) - len(body)
        else:
            self.missing -= len(data)
        if self.missing > 0:
            return False
        self.buffer, self.missing = b"", -1
        return True


def content_length(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not a 200: {head[:100]!r}")
    match = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
    if match is None:
        raise RuntimeError("a response without Content-Length")
    return int(match.group(1))


def run_client(host: str, port: int, path: str, connections: int, seconds: float) -> Load:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    poll = select.poll()
    open_connections: dict[int, Connection] = {}
    for _ in range(connections):
        connection = Connection(host, port, request)
        open_connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.POLLIN)
    latencies: list[float] = []
    begin = perf_counter()
    for connection in open_connections.values():
        connection.ask()
    while (now := perf_counter()) < begin + seconds:
        for number, _ in poll.poll(1000):
            connection = open_connections[number]
            if connection.read():
                latencies.append(perf_counter() - connection.asked)
                connection.ask()
    for connection in open_connections.values():
        connection.socket.close()
    if not latencies:
        raise RuntimeError("no response arrived")
    latencies.sort()
    middle, last = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    return Load(len(latencies), now - begin, middle * 1e6, last * 1e6)


if __name__ == "__main__":
    _, host, port, path, connections, seconds = sys.argv
    print(json.dumps(asdict(run_client(host, int(port), path, int(connections), float(seconds)))))
