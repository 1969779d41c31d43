"""Links between the pages, the index, and the files that the pages name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ALL_PAGES, PAGES, anchors, local_links, page_id, prose
from tests.support.paths import PACKAGE, ROOT

INDEX = ROOT / "docs" / "index.md"
#: A path in backquotes: it starts with a folder of the repository or of the package, or is the name of a file.
_PATH = re.compile(
    r"`((?:tests|scripts|benches|docs|rust|python|requirements|middleware|_[a-z]+)/[\w./*-]*"
    r"|[\w-]+\.(?:py|pyi|rs|toml))`"
)
#: Paths below these folders are written without them.
_BASES = [ROOT, PACKAGE, ROOT / "rust" / "core" / "src"]
#: Files of the reader's own application.
_MADE = {"app.py", "conftest.py"}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in local_links(page):
        name, _, fragment = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", ALL_PAGES, ids=page_id)
def test_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_index_links_every_page() -> None:
    linked = {(INDEX.parent / target.partition("#")[0]).resolve() for target in local_links(INDEX)}
    pages = {page for page in PAGES if page != INDEX} - {ROOT / "CODE_OF_CONDUCT.md"}
    assert [page_id(page) for page in sorted(pages - linked)] == []


def test_readme_and_contributing_lead_to_the_other_pages() -> None:
    assert "docs/index.md" in local_links(ROOT / "README.md")
    assert "CODE_OF_CONDUCT.md" in local_links(ROOT / "CONTRIBUTING.md")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_file_named_by_a_page_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # names what there was
    bases = [page.parent, *_BASES]
    named = set(_PATH.findall(prose(page))) - _MADE
    missing = [name for name in named if not any([*base.glob(name), *base.glob(f"{name}.py")] for base in bases)]
    assert sorted(missing) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The `name` of a thing: it's\n\n[a](#the-name-of-a-thing-its) [b](#gone) [c](page.md#again-1) [d](none.md)\n"
        "[e](https://example.org/none#x)\n\n## Again\n\n## Again\n\n```python\n# Comment\n[f](fenced.md)\n```\n"
    )
    assert anchors(page) == {"the-name-of-a-thing-its", "again", "again-1"}
    assert broken_links(page) == ["#gone", "none.md"]
