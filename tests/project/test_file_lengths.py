"""No source file is too long to be read in one sitting."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT

MAX_LINES = 700


@pytest.mark.parametrize("folder", ["python", "tests", "benches", "scripts", "docs", "rust/core", "rust/binding"])
def test_no_file_is_longer_than_700_lines(folder: str) -> None:
    files = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.[pr][ys]")}
    assert files
    too_long = {str(path.relative_to(ROOT)): lines for path, lines in files.items() if lines > MAX_LINES}
    assert too_long == {}, "look for the second noun"
