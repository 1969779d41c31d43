"""Instructions per request, counted by valgrind: the same on a busy machine as on a quiet one.

A case runs in a process of its own with two different numbers of requests; what the longer run adds, divided by the
requests it adds, is one request without start-up. ``python -m benches.instructions CASE SIDE COUNT`` is that process.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import subprocess
import sys

from benches.case import Framework, load_cases
from benches.compare import OURS, THEIRS
from benches.driver import AppSubject, serve, subject_of
from benches.load import ROOT
from benches.worker import stand_on

FEW, MANY = 200, 700
DEFAULT_CASES = ("hello-json", "path-parameter")


def count_instructions(names: list[str]) -> dict[str, dict[str, float]]:
    """Case -> side -> instructions per request. Raises RuntimeError when valgrind is not installed."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise RuntimeError("valgrind is not installed")
    counted: dict[str, dict[str, float]] = {}
    for name in names:
        for side in (THEIRS, OURS):
            few, many = (total_instructions(valgrind, name, side, count) for count in (FEW, MANY))
            counted.setdefault(name, {})[side] = (many - few) / (MANY - FEW)
    return counted


def total_instructions(valgrind: str, name: str, side: str, count: int) -> int:
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", "benches.instructions", name, side, str(count)]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "python"), str(ROOT))),
    }
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    match = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode != 0 or match is None:
        raise RuntimeError(f"valgrind failed:\n{done.stderr[-2000:]}")
    return int(match.group(1))


def run_plainly(name: str, side: str, count: int) -> None:
    """The measured process: no comparison, no garbage collection, and the same preparation whatever the count."""
    case = load_cases()[name]
    web = stand_on(side) if case.apart else Framework(side)  # holds the directory of a case with files
    subject = subject_of(case, web, asyncio.new_event_loop())
    gc.disable()
    if isinstance(subject, AppSubject):
        calls = [(subject.exchange.scope(), subject.exchange.receive()) for _ in range(MANY)]
        subject.run(serve(subject.app, calls[:count]))
    else:
        subject.time(count)


if __name__ == "__main__":
    run_plainly(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    os._exit(0)  # tidying up is not part of what is counted
