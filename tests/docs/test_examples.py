"""Executes the examples of README.md and docs/.

The Python blocks of a page run from top to bottom as one module, in an empty directory, with warnings as errors. A
block that cannot run says why on the line above its fence: `<!-- not executed: needs a TLS certificate -->`.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from pallasite.convertors import CONVERTOR_TYPES
from tests.docs.pages import PAGES, blocks, page_id
from tests.support.paths import ROOT

NOT_EXECUTED_AT_MOST = 3


PAGES_WITH_PYTHON = [
    page for page in PAGES if any(block.language == "python" and not block.excused for block in blocks(page))
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The module that a page runs as. Its convertors, clients and event loops do not outlive the test."""
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
            # The newlines make the line numbers in tracebacks those of the page.
            source = "\n" * (block.first_line - 1) + block.text
            exec(compile(source, str(page), "exec", dont_inherit=True), vars(module))


def test_examples_not_executed_are_few() -> None:
    excused = [(page_id(page), block.first_line) for page in PAGES for block in blocks(page) if block.excused]
    assert len(excused) <= NOT_EXECUTED_AT_MOST, excused


def test_readme_example_is_among_those_executed() -> None:
    assert ROOT / "README.md" in PAGES_WITH_PYTHON


def test_make_commands_in_pages_name_existing_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert {"serve", "test"} <= named
    assert named - targets == set()
