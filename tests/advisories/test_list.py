"""The list in the documentation and the tests name the same advisories."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIST = HERE.parent.parent / "docs" / "internals" / "advisories.md"
TESTED = sorted(path.name for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)

_NUMBER = r"CVE-\d{4}-\d{4,7}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}"
# In the markers of tests and in the names of their parameters.
_IN_TESTS = re.compile(rf'"({_NUMBER})"')
_SECTION = re.compile(r"^## .*\((?:\.\./)*tests/advisories/(\w+\.py)\)$", re.MULTILINE)


def advisories_of(name: str) -> set[str]:
    return set(_IN_TESTS.findall((HERE / name).read_text(encoding="utf-8")))


def listed() -> dict[str, list[str]]:
    """The advisories of each section, by the test file that it names."""
    _, *parts = _SECTION.split(LIST.read_text(encoding="utf-8"))
    return {
        name: [number for row in text.splitlines() if row.startswith("| ") for number in re.findall(_NUMBER, row)]
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("name", TESTED)
def test_every_advisory_of_a_file_is_in_its_section(name: str) -> None:
    found = listed()[name]
    assert set(found) == advisories_of(name)
    assert len(found) == len(set(found))


def test_every_section_has_a_file() -> None:
    assert sorted(listed()) == TESTED


def test_number_of_advisories_is_the_documented_one() -> None:
    count = len(set().union(*map(advisories_of, TESTED)))
    page = (HERE.parent.parent / "docs" / "security.md").read_text(encoding="utf-8")
    [said] = re.findall(r"(\d+) published advisories", page)
    assert count == int(said)


@pytest.mark.parametrize("name", TESTED)
def test_no_test_is_named_after_an_advisory(name: str) -> None:
    assert not re.search(r"(?i)\bdef \w*_(cve|ghsa)_", (HERE / name).read_text(encoding="utf-8")), "use the marker"
