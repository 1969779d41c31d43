"""What each fast path gains, in instructions per request: the case of its comment, with and without the copy.

``python -m benches.fast_paths [TEXT]`` measures those whose comment holds TEXT. Without the copy means that the check
for the stock method is made to fail, so that the method itself is called. Needs valgrind.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from benches.instructions import FEW, MANY, run_plainly
from benches.load import ROOT

PACKAGE = ROOT / "python" / "pallasite"
TAG = re.compile(r"# Fast path: copies (?P<copied>.+?); (?P<gain>.+?) \(bench: (?P<case>[\w-]+)\)\.")
SWITCH = re.compile(r"\b_?STOCK_\w+|\b_is_stock\b")


class FastPath(NamedTuple):
    """One comment: the module it is in, what it copies, its gain as written, its case, and the name of its check."""

    module: str
    copied: tuple[str, ...]
    gain: str
    case: str
    switch: str | None


def fast_paths() -> Iterator[FastPath]:
    """Every comment of a fast path in the package, in the order of the files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "stock.py":
            continue  # describes the comment
        text = path.read_text(encoding="utf-8")
        # A comment may take two lines.
        joined = re.sub(r"(# Fast path:[^\n]*[^.\n])\n\s*# ", r"\1 ", text)
        for found in TAG.finditer(joined):
            switch = SWITCH.search(joined, found.end())
            near = switch is not None and joined.count("\n", found.end(), switch.start()) <= 8
            module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            yield FastPath(
                module,
                tuple(re.findall(r"`([^`]+)`", found["copied"])),
                found["gain"],
                found["case"],
                switch[0] if near and switch is not None else None,
            )


def instructions(case: str, switch: str) -> float:
    """Instructions per request in `case`; `switch` is ``module:name`` of the check that fails, or empty."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise RuntimeError("valgrind is not installed")
    totals = []
    for count in (FEW, MANY):
        command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-m"]
        command += ["benches.fast_paths", "--run", case, str(count), switch]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        match = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
        if done.returncode != 0 or match is None:
            raise RuntimeError(f"valgrind failed:\n{done.stderr[-2000:]}")
        totals.append(int(match[1]))
    return (totals[1] - totals[0]) / (MANY - FEW)


def main(arguments: list[str]) -> None:
    """Print a line for each fast path whose comment holds the text, or run one case."""
    if arguments[:1] == ["--run"]:
        case, count, switch = arguments[1:]
        if switch:
            module, _, name = switch.partition(":")
            replacement = (lambda *_: False) if name == "_is_stock" else None
            setattr(importlib.import_module(module), name, replacement)
        run_plainly(case, "pallasite", int(count))
        os._exit(0)
    wanted = arguments[0] if arguments else ""
    with_all: dict[str, float] = {}
    for path in fast_paths():
        if path.switch is None or not any(wanted in text for text in (*path.copied, path.module, path.case)):
            continue
        if path.case not in with_all:
            with_all[path.case] = instructions(path.case, "")
        without = instructions(path.case, f"{path.module}:{path.switch}")
        gain = 1 - with_all[path.case] / without
        print(
            f"{path.module} {' '.join(path.copied)}: {with_all[path.case]:.0f} for {without:.0f} instructions,"
            f" {gain:.1%} less ({path.case}; written: {path.gain})",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
