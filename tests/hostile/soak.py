"""The demo under ordinary visitors and hostile clients at the same time, for a while, and a table of the results.

`python -m tests.hostile.soak [--seconds 600] [--server uvicorn-httptools] [--seed 1]`. It ends by itself, and all its
traffic goes to 127.0.0.1. The exit status is 1 after any error or leak, or if memory kept growing.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.clients import ENDINGS, MESSAGES, OPENINGS, Site, Wire
from tests.hostile.leaks import Counts, counts, leaks
from tests.hostile.visitors import CONTENT, VISITS, Unexpected, Visitor
from tests.support.serving import COMMANDS, Server, eventually, start

VISITORS = 4
ATTACKERS = 2
HELD_EACH = 20  # connections that each attacker keeps open at most
SECONDS_TO_CALM_DOWN = 60.0
MAX_UPLOAD_BYTES = 8_000_000

#: KB a minute that memory may grow by once warm. A leak of one small object at each fault would be some 100.
MOST_SLOPE = 400.0
WARM_UP = 1 / 3  # of the time
#: Below this the slope is not judged, because memory is still being filled for the first time.
SECONDS_FOR_A_SLOPE = 120.0


@dataclass
class Results:
    """The results of all threads. `samples` are seconds and KB."""

    seen: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[float, float]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    longest_step_ms: float = 0.0


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """KB a minute, by least squares over (seconds, KB); 0 for fewer than two moments."""
    if len({seconds for seconds, _ in samples}) < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread


def warm(samples: Sequence[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    return [sample for sample in samples if sample[0] >= seconds * WARM_UP]


def failures(results: Results, seconds: float) -> list[str]:
    """Describe what makes the run a failure."""
    found = [f"{count} times: {error}" for error, count in results.errors.most_common()]
    found += [f"left behind: {what}" for what in results.left]
    growth = slope(warm(results.samples, seconds))
    if seconds >= SECONDS_FOR_A_SLOPE and growth > MOST_SLOPE:
        found.append(f"memory grows by {growth:.0f} KB a minute")
    return found


def table(results: Results, name: str, seconds: float) -> str:
    requests, faults = sum(results.seen.values()), sum(results.faults.values())
    samples = warm(results.samples, seconds) or [(0.0, 0.0)]
    growth, bound = slope(samples), f"bound: {MOST_SLOPE:.0f}, judged from {SECONDS_FOR_A_SLOPE:.0f} s"
    kinds = Counter(what.partition(":")[0].partition(" ")[0] for what in results.left)
    left = [f"{kind}: {kinds[kind]}" for kind in ("tasks", "threads", "descriptors", "temporary")]
    lines = [
        ("server", f"{name}, {seconds:.0f} s"),
        ("requests", f"{requests:,} ({requests / seconds:.0f} a second)"),
        ("their statuses", ", ".join(f"{status}: {count:,}" for status, count in sorted(results.seen.items()))),
        ("faults", f"{faults:,} ({len(results.faults)} kinds)"),
        ("errors", f"{sum(results.errors.values()):,}"),
        ("memory once warm", f"{samples[0][1] / 1024:.1f} MB, at the end {samples[-1][1] / 1024:.1f} MB"),
        ("memory slope", f"{growth:+.0f} KB a minute ({bound})"),
        ("longest step", f"{results.longest_step_ms:.0f} ms of CPU time in one callback of the event loop"),
        ("left behind", ", ".join(left) + " files"),
    ]
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in lines)


def site_of(server: Server, visitor: Visitor) -> Site:
    """Return the paths of the demo that the clients use. A file is uploaded for the downloads."""
    large = visitor.ask("PUT", "/files/large.bin", 201, content=CONTENT * 12).json()["url"]
    download = large.removeprefix(server.url)
    websocket = "/chat/ws?name=Mallory"
    return Site(
        server.port, "/notes", "/notes", "/files", "/files/aborted.bin", download, "/live/events", websocket, websocket
    )


class Attacker:
    """Open and end connections and send messages at random, while some connections stay open."""

    def __init__(self, site: Site, chance: random.Random, results: Results) -> None:
        self.site, self.chance, self.results = site, chance, results
        self.held: list[tuple[str, Wire]] = []

    def act(self) -> None:
        if self.chance.random() < 0.5:
            name = self.chance.choice(list(MESSAGES))
            self.results.faults[name] += 1
            with suppress(ConnectionError):
                self._judge(name, MESSAGES[name].send(self.site))
        elif len(self.held) < HELD_EACH * self.chance.random():
            name = self.chance.choice(list(OPENINGS))
            with suppress(ConnectionError):
                self.held.append((name, OPENINGS[name](self.site)))
        elif self.held:
            name, wire = self.held.pop(self.chance.randrange(len(self.held)))
            ending = self.chance.choice(list(ENDINGS))
            self.results.faults[f"{name}, {ending}"] += 1
            ENDINGS[ending](wire)
            wire.close()

    def go(self) -> None:
        for _, wire in self.held:
            wire.reset()
        self.held.clear()

    def _judge(self, name: str, statuses: list[int]) -> None:
        for status in statuses:
            if status >= 500:
                self.results.errors[f"{name}: {status}"] += 1


def run(name: str, seconds: float, seed: int, directory: Path) -> Results:
    """Start the server, run all clients, wait until it is idle again, and stop it."""
    results = Results()
    # glibc keeps large blocks that are freed for the thread that had them, such as the 16 MB of a password's digest.
    # With this it returns them, and the memory of the process is the memory in use.
    environment = {"DEMO_MAX_UPLOAD": str(MAX_UPLOAD_BYTES), "MALLOC_MMAP_THRESHOLD_": "1000000"}
    server = start(name, directory, "tests.hostile.probed_demo:app", environment)
    try:
        first = Visitor(server, random.Random(seed), results.seen)
        site = site_of(server, first)
        for visit in VISITS:  # the database and the like are open after that
            visit(first)
        first.client.close()
        before = counts(server, reset=True)
        _let_loose(server, site, seconds, seed, results)
        _wait_until_calm(server, before, results)
        server.stop()
    except AssertionError as error:
        results.errors[str(error)] += 1
    finally:
        server.kill()
    for entry in server.unexpected_errors():
        # An error of the server itself, about bytes that are not HTTP or WebSocket, has no frame of Pallasite in it.
        if "/pallasite/" in entry or "/demo/" in entry or "panicked" in entry:
            traceback = re.split(r"\n(?=[A-Z]+: |\[)", entry)[0]  # the next line of the log follows
            results.errors[f"in the server's log: {traceback}"] += 1
    return results


def _let_loose(server: Server, site: Site, seconds: float, seed: int, results: Results) -> None:
    started = time.monotonic()
    over = threading.Event()

    def repeat(act: Callable[[], None]) -> None:
        while not over.is_set():
            try:
                act()
            except Unexpected as error:
                results.errors[str(error)] += 1
            except Exception as error:  # a protocol error, a connection lost, no answer in time
                results.errors[f"{type(error).__name__}: {error}"] += 1

    def visit(chance: random.Random) -> None:
        visitor = Visitor(server, chance, results.seen)
        with visitor.client:
            for _ in range(3):
                chance.choice(VISITS)(visitor)

    attackers = [Attacker(site, random.Random(f"{seed} attacker {number}"), results) for number in range(ATTACKERS)]
    actions: list[Callable[[], None]] = [attacker.act for attacker in attackers]
    for number in range(VISITORS):
        chance = random.Random(f"{seed} visitor {number}")
        actions.append(lambda chance=chance: visit(chance))  # type: ignore[misc]
    threads = [threading.Thread(target=repeat, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    try:
        while (elapsed := time.monotonic() - started) < seconds:
            now = counts(server)
            results.samples.append((elapsed, now["rss_kb"]))
            results.longest_step_ms = max(results.longest_step_ms, now["longest_step_ms"])
            over.wait(min(1.0, seconds / 20))
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for attacker in attackers:
            attacker.go()


def _wait_until_calm(server: Server, before: Counts, results: Results) -> None:
    def is_calm() -> bool:
        results.left[:] = leaks(before, counts(server))
        return not results.left

    with suppress(AssertionError):  # the rest is in the results
        eventually(is_calm, "the server to let go", SECONDS_TO_CALM_DOWN)
    partial = [path.name for path in (server.data / "uploads").glob("*.part")]
    results.left += [f"temporary file {name}" for name in partial]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="soak", description="ordinary and hostile clients at the demo, for a while")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--server", choices=list(COMMANDS), default="uvicorn-httptools")
    parser.add_argument("--seed", type=int, default=1, help="for whom chance decides the same way again")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        results = run(options.server, options.seconds, options.seed, Path(directory))
    print(table(results, options.server, options.seconds))
    found = failures(results, options.seconds)
    for failure in found:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
