"""Executes the examples of README.md and docs/, and checks what the pages point to.

The Python blocks of a page run from top to bottom as one module, in an empty directory, with warnings as errors. A
block that cannot run says why on the line above its fence: `<!-- not executed: needs a TLS certificate -->`.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pallasite.convertors import CONVERTOR_TYPES
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOT_EXECUTED_AT_MOST = 3

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
_EXCUSE = re.compile(r"^<!-- not executed: .+ -->$")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    language: str
    first_line: int
    text: str
    excused: bool


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page; `first_line` counts from 1."""
    lines = page.read_text(encoding="utf-8").splitlines()
    position = 0
    while position < len(lines):
        fence = _FENCE.match(lines[position])
        position += 1
        if fence is None:
            continue
        start = position
        while position < len(lines) and lines[position].strip() != "```":
            position += 1
        above = lines[start - 2].strip() if start >= 2 else ""
        indent = len(fence["indent"])
        text = "\n".join(line[indent:] for line in lines[start:position])
        yield Block(fence["language"], start + 1, text, bool(_EXCUSE.match(above)))
        position += 1


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


PAGES_WITH_PYTHON = [
    page for page in PAGES if any(block.language == "python" and not block.excused for block in blocks(page))
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """What a page runs in. Nothing of it stays: neither the convertors it registers nor its clients and their loops."""
    before = dict(CONVERTOR_TYPES)
    made = types.ModuleType("example_page")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    yield made
    vars(made).clear()
    CONVERTOR_TYPES.clear()
    CONVERTOR_TYPES.update(before)


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=page_id)
def test_page_examples_run_from_top_to_bottom(
    page: Path, module: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.language == "python" and not block.excused:
            # Blank lines in front give tracebacks the page's own line numbers.
            source = "\n" * (block.first_line - 1) + block.text
            exec(compile(source, str(page), "exec", dont_inherit=True), vars(module))


def test_examples_not_executed_are_few() -> None:
    excused = [(page_id(page), block.first_line) for page in PAGES for block in blocks(page) if block.excused]
    assert len(excused) <= NOT_EXECUTED_AT_MOST, excused


def test_readme_example_is_among_those_executed() -> None:
    assert ROOT / "README.md" in PAGES_WITH_PYTHON


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page_links_lead_to_files_that_exist(page: Path) -> None:
    targets = _LINK.findall(page.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_make_commands_in_pages_name_existing_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert {"serve", "test"} <= named
    assert named - targets == set()
