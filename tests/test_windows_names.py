"""File names that Windows interprets differently."""

from __future__ import annotations

import pytest

from pallasite._files.windows_names import means_no_file


@pytest.mark.parametrize(
    "path",
    ["nul", "a/NUL.txt", "a\\com1", "con .txt/b", "COM\u00b3", "a:b", "a.", "a ", "a./b", "a \\b", "a?", "a\x1f"],
)
def test_reserved_name_is_not_a_file(path: str) -> None:
    assert means_no_file(path)


@pytest.mark.parametrize("path", [".", "a", "a.b/c d.e", "null", "a.nul", "com10", "a\\b", ".hidden", "\u00e9"])
def test_any_other_name_may_be_a_file(path: str) -> None:
    assert not means_no_file(path)
