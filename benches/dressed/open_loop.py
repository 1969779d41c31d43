"""A client that sends requests at fixed times, whether or not earlier ones have been answered (open loop).

A client that waits for each response sends less to a slow server, and so does not see how long others would have
waited. Here a latency starts when a request was due. ``python -m benches.dressed.open_loop HOST PORT RATE SECONDS``
prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from time import perf_counter

CONNECTIONS = 64
PATH = "/items?page=2"


@dataclass(frozen=True)
class Latencies:
    """Of the requests that were sent, in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    p999_us: float


def request_of(host: str, cookie: str = "") -> bytes:
    lines = [
        f"GET {PATH} HTTP/1.1",
        f"host: {host}",
        "user-agent: open-loop",
        "accept: application/json",
        "accept-encoding: gzip",
        "origin: https://app.example",
        *([f"cookie: {cookie}"] if cookie else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def read_response(reader: asyncio.StreamReader) -> bytes:
    """The head of a response, whose content is read too."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
            return head
    while size := int((await reader.readline()).strip(), 16):  # chunked
        await reader.readexactly(size + 2)
    await reader.readline()
    return head


async def measure(host: str, port: int, rate: float, seconds: float) -> Latencies:
    """Raises RuntimeError for a response that is not a 200, or if the server cannot keep up at all."""
    connections = [await asyncio.open_connection(host, port) for _ in range(CONNECTIONS)]
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for connection in connections:
        idle.put_nowait(connection)
    message = request_of(f"{host}:{port}")
    latencies: list[float] = []
    begin = perf_counter() + 0.1

    async def one(due: float) -> None:
        reader, writer = await idle.get()
        writer.write(message)
        head = await read_response(reader)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {head[:80]!r}")
        latencies.append(perf_counter() - due)
        idle.put_nowait((reader, writer))

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(rate * seconds)):
                due = begin + number / rate
                delay = due - perf_counter()
                if delay > 0:
                    await asyncio.sleep(delay)
                tasks.create_task(one(due))
        taken = perf_counter() - begin
    finally:
        for _, writer in connections:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in connections), return_exceptions=True)
    ordered = sorted(latencies)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6

    return Latencies(len(ordered), taken, at(0.5), at(0.99), at(0.999))


if __name__ == "__main__":
    host, port, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    print(json.dumps(asdict(asyncio.run(measure(host, port, rate, seconds)))))
