"""Runs a project's own tests with Pallasite in Starlette's place and says how many passed.

`compat_suite.py starlette FOLDER [pytest arguments]`: FOLDER is the unpacked sources. `fastapi-compiled` runs FastAPI's
with compiled routes. A test that the project
expects to fail and that passes here counts as passed; one that is skipped or fails as expected does not count at all.
The exit status is 0 if every test passed that tests/compat/excused.toml does not name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Neither project's tests of speed, types or style say anything about Pallasite.
IGNORED = {"starlette": (), "fastapi": ("tests/benchmarks",)}
COMPILED = "-compiled"
EXPECTED_TO_FAIL_BUT_PASSED = "[XPASS(strict)]"


def run(project: str, folder: Path, arguments: list[str], report: Path) -> int:
    """Pytest's exit status; the results go to `report`."""
    command = [sys.executable, "-m", "pallasite", "as-starlette"]
    command += ["--compile-fastapi"] if project.endswith(COMPILED) else []
    command += ["-m", "pytest", "-q", "--tb=short", "-rf"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", "-o", "timeout=60", "-n", str(os.cpu_count() or 1)]
    command += [f"--ignore={path}" for path in IGNORED[project.removesuffix(COMPILED)]]
    command += arguments or ["tests"]
    # Variables of the caller's own pytest and Python must not reach the project's.
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTEST_ADDOPTS"}}
    return subprocess.call(command, cwd=folder, env=clean)


def outcomes(report: Path) -> Iterator[tuple[str, bool]]:
    """Each test that ran to an end which says something, and whether it passed."""
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("skipped") is not None:
            continue
        bad = [*case.iter("failure"), *case.iter("error")]
        yield name, all((item.get("message") or "").startswith(EXPECTED_TO_FAIL_BUT_PASSED) for item in bad)


def main() -> int:
    """0 if all passed that must."""
    project, folder, *arguments = sys.argv[1:]
    with (ROOT / "tests" / "compat" / "excused.toml").open("rb") as file:
        excused: dict[str, str] = tomllib.load(file)[project.removesuffix(COMPILED)]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        status = run(project, Path(folder), arguments, report)
        if not report.is_file():
            print(f"error: pytest wrote no report (exit status {status})", file=sys.stderr)
            return 1
        results = dict(outcomes(report))
    failed = [name for name, passed in sorted(results.items()) if not passed]
    unexcused = [name for name in failed if name not in excused and name.partition("[")[0] not in excused]
    for name in unexcused:
        print(f"failed: {name}")
    for name in sorted(set(failed) - set(unexcused)):
        reason = excused.get(name) or excused[name.partition("[")[0]]
        print(f"excused: {name}: {' '.join(reason.split())}")
    print(f"{project}: {len(results) - len(failed)} of {len(results)} passed")
    # 0 and 1 are "all passed" and "some failed"; anything else means that tests were not run.
    return 1 if unexcused or status not in {0, 1} or not results else 0


if __name__ == "__main__":
    sys.exit(main())
