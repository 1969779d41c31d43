"""The page of the compatibility surface names a test for each of its lines, and every test here is named on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "internals" / "compatibility.md"

DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+)`")


def lines_of_the_surface() -> list[str]:
    """Each row of a table without its heading, and each item of a list, of the page but for the packages' part."""
    lines: list[str] = []
    parts = [
        part for part in re.split(r"(?=^## )", PAGE.read_text(), flags=re.MULTILINE) if "Packages tried" not in part
    ]
    for block in "".join(parts).split("\n\n"):
        if block.startswith("|"):
            lines.extend(block.splitlines()[2:])
        elif block.startswith("- "):
            lines.extend(re.split(r"\n(?=- )", block))
    return lines


def defined_in(files: list[Path]) -> set[str]:
    return {name for file in files for name in DEFINED.findall(file.read_text())}


@pytest.mark.parametrize("line", lines_of_the_surface(), ids=lambda line: " ".join(line.split())[:60])
def test_line_names_tests_that_exist(line: str) -> None:
    named = NAMED.findall(line)
    assert named
    assert set(named) <= defined_in([file for file in TESTS.rglob("test_*.py") if file.name != Path(__file__).name])


def test_every_test_of_the_surface_is_named() -> None:
    files = [file for file in Path(__file__).parent.glob("test_*.py") if file.name != Path(__file__).name]
    assert defined_in(files) - set(NAMED.findall(PAGE.read_text())) == set()


def test_page_has_as_many_lines_as_it_had() -> None:
    """So that a change of its layout does not leave lines out unnoticed."""
    assert len(lines_of_the_surface()) >= 76
