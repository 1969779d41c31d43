"""Instruction counts that are committed: ``python -m benches.counts`` fails if one has risen by more than 2 %.

Timings vary with the machine and with what else it does. A count varies with the code, the interpreter and the compiler
only. A change that makes a request dearer has to say so, by committing the new count (``--write``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benches.compare import OURS
from benches.instructions import FEW, MANY, total_instructions

COMMITTED = Path(__file__).with_name("counts.json")
TOLERANCE = 0.02
ATTEMPTS = 3  # on a busy machine, event loop and worker threads interleave otherwise: up to 2 % more, never less
CASES = (
    "hello-json",
    "json-document",
    "plain-text",
    "not-found",
    "http-exception",
    "set-cookie",
    "stream-24",
    "path-parameter",
    "headers-cookies-query",
    "json-body",
    "url-for",
    "mounts",
    "method-not-allowed",
    "last-of-1000",
    "asgi-layers",
    "function-layer-1",
    "cors",
    "cors-preflight",
    "trusted-host",
    "session",
    "urlencoded-form",
    "multipart-form",
    "static-small",
    "fastapi-hello",
    "fastapi-last-of-500",
)


def interpreter() -> str:
    """What the counts belong to."""
    return f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}"


def count(names: Sequence[str]) -> dict[str, int]:
    """Instructions for a request of each case. Raises RuntimeError when valgrind is not installed."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise RuntimeError("valgrind is not installed (Debian: apt install valgrind)")

    def one(name: str) -> int:
        few, many = (total_instructions(valgrind, name, OURS, requests) for requests in (FEW, MANY))
        return round((many - few) / (MANY - FEW))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def differences(committed: dict[str, int], now: dict[str, int]) -> tuple[list[str], list[str]]:
    """Return a line for each case that has risen by more than the tolerance, and for each that has fallen by more."""
    risen, fallen = [], []
    for name, counted in now.items():
        before = committed.get(name)
        if before is None:
            risen.append(f"{name}: {counted:,} instructions, and no committed count")
            continue
        line = f"{name}: {counted:,} instructions after {before:,} ({counted / before - 1:+.1%})"
        if counted > before * (1 + TOLERANCE):
            risen.append(line)
        elif counted < before * (1 - TOLERANCE):
            fallen.append(line)
    return risen, fallen


def recount(committed: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    """Return the lowest of several counts for each case that has risen, and the others as they are."""
    for _ in range(ATTEMPTS - 1):
        again = [name for name, counted in now.items() if counted > committed.get(name, counted) * (1 + TOLERANCE)]
        if not again:
            break
        now = {**now, **{name: min(counted, now[name]) for name, counted in count(again).items()}}
    return now


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benches.counts", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {COMMITTED.name} instead of comparing with it")
    parser.add_argument("case", nargs="*", help="only these cases")
    options = parser.parse_args(arguments)
    committed = json.loads(COMMITTED.read_text(encoding="utf-8")) if COMMITTED.is_file() else {"counts": {}}
    if not options.write and committed.get("interpreter") != interpreter():
        print(f"not compared: the committed counts are of {committed.get('interpreter')}, this is {interpreter()}")
        return 0
    now = count(options.case or CASES)
    if options.write:
        counts = {**committed["counts"], **now} if committed.get("interpreter") == interpreter() else now
        text = json.dumps({"interpreter": interpreter(), "counts": counts}, indent=1)
        COMMITTED.write_text(text + "\n", encoding="utf-8")
        return 0
    now = recount(committed["counts"], now)
    risen, fallen = differences(committed["counts"], now)
    for line in fallen:
        print(f"fallen: {line}")
    for line in risen:
        print(f"risen: {line}", file=sys.stderr)
    print(f"{len(now) - len(risen)} of {len(now)} counts are within {TOLERANCE:.0%}")
    if fallen:
        print("commit the lower counts: python -m benches.counts --write")
    return 1 if risen else 0


if __name__ == "__main__":
    sys.exit(main())
