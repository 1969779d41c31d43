"""The Markdown pages of the repository, their code blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

#: The pages of the documentation, whose examples run.
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: Those, and the pages that only the repository has.
ALL_PAGES = sorted({*PAGES, *(ROOT / "benches").glob("*.md"), *(ROOT / ".github").rglob("*.md")})

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
_EXCUSE = re.compile(r"^<!-- not executed: .+ -->$")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    language: str
    first_line: int
    text: str
    excused: bool


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Return the fenced blocks of a page. `first_line` counts from 1."""
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


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    lines, fenced = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """Return the fragments that lead to the headings of a page, formed as GitHub does."""
    found: set[str] = set()
    for line in prose(page).splitlines():
        if heading := _HEADING.match(line):
            text = _LINK.sub(lambda link: link[0].partition("]")[0], heading[1])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            repeated = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
            found.add(f"{slug}-{repeated}" if repeated else slug)
    return found


def local_links(page: Path) -> list[str]:
    """Return the targets of the links of a page to this repository."""
    return [target for target in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]
