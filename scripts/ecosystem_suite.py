"""Runs tests/ecosystem, one process for each file, and says for each package which version was tried and how it went.

`ecosystem_suite.py [package ...] [-- pytest arguments]`: packages by their distributions' names; all without one. The
processes are apart because tracers and some frameworks patch classes that every package in a process shares.
The last line is `N passed, M failed`; the exit status is 0 if none failed.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "ecosystem"


@dataclass(frozen=True)
class Outcome:
    """What became of one package's tests; `output` is pytest's."""

    package: str
    passed: int
    failed: int
    output: str


def packages() -> list[str]:
    """The distributions that have a test file: test_sse_starlette.py is that of sse-starlette."""
    return sorted(file.stem.removeprefix("test_").replace("_", "-") for file in FOLDER.glob("test_*.py"))


def run(package: str, arguments: Iterable[str]) -> Outcome:
    """Runs the package's test file. A file whose tests could not be run or collected counts as one that failed."""
    # Variables of the caller's own pytest and Python must not reach the tests.
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTEST_ADDOPTS"}}
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        file = FOLDER / f"test_{package.replace('-', '_')}.py"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", f"--junitxml={report}", str(file), *arguments]
        ended = subprocess.run(
            command, check=False, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        cases = list(ET.parse(report).iter("testcase")) if report.is_file() else []
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    failed = len(bad) or int(ended.returncode != 0)
    return Outcome(package, len(cases) - len(bad) - len(skipped), failed, ended.stdout)


def main() -> int:
    """0 if every test passed."""
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    chosen, arguments = sys.argv[1:split] or packages(), sys.argv[split + 1 :]
    outcomes = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for outcome in pool.map(lambda package: run(package, arguments), chosen):
            outcomes.append(outcome)
            if outcome.failed or arguments:
                print(outcome.output)
            version = importlib.metadata.version(outcome.package)
            print(f"{outcome.package} {version}: {outcome.passed} passed, {outcome.failed} failed", flush=True)
    on = os.environ.get("ECOSYSTEM_ON", "pallasite")
    print(f"\n{len(outcomes)} packages on {on}:")
    print(f"{sum(one.passed for one in outcomes)} passed, {sum(one.failed for one in outcomes)} failed")
    return int(any(one.failed for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
