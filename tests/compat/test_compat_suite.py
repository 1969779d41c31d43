"""The results that `make compat` counts, and the list of tests that need not pass."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import ROOT

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_good" />
<testcase classname="tests.test_a" name="test_bad[x]"><failure message="AssertionError">text</failure></testcase>
<testcase classname="tests.test_a" name="test_broken"><error message="no fixture">text</error></testcase>
<testcase classname="tests.test_a" name="test_skipped"><skipped message="on Windows only" /></testcase>
<testcase classname="tests.test_a" name="test_fails_as_expected"><skipped type="pytest.xfail" message="" /></testcase>
<testcase classname="tests.test_b" name="test_better"><failure message="[XPASS(strict)] a limit" /></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compat_suite", ROOT / "scripts" / "compat_suite.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_outcomes_leave_out_skips_and_count_unexpected_passes(suite: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert dict(suite.outcomes(tmp_path / "report.xml")) == {
        "tests.test_a::test_good": True,
        "tests.test_a::test_bad[x]": False,
        "tests.test_a::test_broken": False,
        "tests.test_b::test_better": True,
    }


@pytest.mark.parametrize(
    ("report", "excused", "status"),
    [
        ("", {}, 1),
        ("", {"tests.test_a::test_bad": "why", "tests.test_a::test_broken": "why"}, 0),
        ("", {"tests.test_a::test_bad[x]": "why", "tests.test_a::test_broken": "why"}, 0),
        ("", {"tests.test_a::test_bad[y]": "why", "tests.test_a::test_broken": "why"}, 1),
        ("<testsuites />", {}, 1),
        (None, {}, 1),
    ],
    ids=["not-excused", "by-name", "by-parameter", "another-parameter", "no-tests", "no-report"],
)
def test_status_is_0_if_all_passed_that_must(
    report: str | None,
    excused: dict[str, str],
    status: int,
    suite: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write_report(project: str, folder: Path, arguments: list[str], place: Path) -> int:
        if report is not None:
            place.write_text(report or REPORT)
        return 1

    (tmp_path / "tests" / "compat").mkdir(parents=True)
    lines = [f"{name!r} = {reason!r}" for name, reason in excused.items()]
    (tmp_path / "tests" / "compat" / "excused.toml").write_text("\n".join(["[starlette]", *lines]))
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "run", write_report)
    monkeypatch.setattr(suite.sys, "argv", ["compat_suite.py", "starlette", str(tmp_path)])
    assert suite.main() == status
    assert ("2 of 4 passed" in capsys.readouterr().out) is (report == "")


def test_excused_tests_are_few_and_have_reasons() -> None:
    with (ROOT / "tests" / "compat" / "excused.toml").open("rb") as file:
        projects = tomllib.load(file)
    assert projects.keys() == {"starlette", "fastapi"}
    excused = [(name, reason) for tests in projects.values() for name, reason in tests.items()]
    assert len(excused) < 10
    assert [name for name, reason in excused if len(reason) < 40 or "::" not in name] == []
