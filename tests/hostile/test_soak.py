"""A brief soak run, and the failures that a soak run must detect."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tests.support.paths import ROOT

from .leaks import Counts, leaks
from .soak import MOST_SLOPE, Results, failures, slope, table


def test_brief_soak_is_without_errors_and_leaves_nothing() -> None:
    command = [sys.executable, "-m", "tests.hostile.soak", "--seconds", "6"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    shown = dict(line.split("  ", 1) for line in run.stdout.splitlines())
    assert shown["errors"].strip() == "0"
    assert shown["left behind"].strip() == "tasks: 0, threads: 0, descriptors: 0, temporary: 0 files"
    assert int(shown["faults"].strip().split()[0].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], 0.0),
        ([(5.0, 900.0), (5.0, 100.0)], 0.0),
        ([(0.0, 100.0), (60.0, 160.0)], 60.0),
        ([(0.0, 0.0), (30.0, 10.0), (60.0, 0.0)], 0.0),
        ([(0.0, 300.0), (120.0, 100.0)], -100.0),
    ],
)
def test_slope_is_kilobytes_a_minute(samples: list[tuple[float, float]], expected: float) -> None:
    assert slope(samples) == pytest.approx(expected)


def test_memory_that_grows_once_warm_is_a_failure_of_a_run_that_is_long_enough() -> None:
    growth = [(float(second), 2 * MOST_SLOPE / 60 * second) for second in range(600)]
    assert failures(Results(samples=growth), 600) == [f"memory grows by {2 * MOST_SLOPE:.0f} KB a minute"]
    assert failures(Results(samples=growth[:60]), 60) == []
    filled_once = [(second, min(size, 1000.0)) for second, size in growth]
    assert failures(Results(samples=filled_once), 600) == []


def test_errors_and_leaks_are_failures() -> None:
    results = Results(errors=Counter({"GET /: 500": 2}), left=["tasks: 1 more of run"])
    assert failures(results, 1) == ["2 times: GET /: 500", "left behind: tasks: 1 more of run"]
    assert "tasks: 1, threads: 0" in table(results, "uvicorn", 1)


def test_each_kind_of_leak_is_named() -> None:
    before: Counts = {
        "pid": 1,
        "tasks": {"a": 1},
        "threads": {"M": 1},
        "descriptors": {"socket": 3},
        "temporary": ["x"],
    }
    assert leaks(before, before | {"tasks": {}, "temporary": []}) == []
    after = {
        "pid": 2,
        "tasks": {"a": 2},
        "threads": {"M": 1, "N": 1},
        "descriptors": {"socket": 5},
        "temporary": ["x", "y"],
    }
    assert leaks(before, after) == [
        "tasks: 1 more of a",
        "threads: 1 more of N",
        "descriptors: 2 more of socket",
        "temporary file y",
        "the process ended: 1 became 2",
    ]
