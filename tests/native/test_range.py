"""The bytes of a file that a Range header requests."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._core import parse_ranges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-4", [(0, 5)]),
        (" BYTES = 0 - 4 , , 7 -", [(0, 5), (7, 10)]),
        ("bytes=0-4,10-", [(0, 5)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=5-" + "9" * 5000, [(5, 10)]),
        ("bytes=5-6,0-1,2-3", [(0, 4), (5, 7)]),
        ("bytes=" + "0-1," * 3, []),
        ("bytes=10-", None),
        ("bytes=-0", None),
    ],
)
def test_ranges_are_sorted_and_joined(header: str, expected: list[tuple[int, int]] | None) -> None:
    assert parse_ranges(header, 10, 3) == expected


@pytest.mark.parametrize(
    "header", ["", "bytes", "items=0-1", "bytes=", "bytes=4-3", "bytes=\u0661-2", "bytes=\ud800-", "bytes=0-4,x"]
)
def test_range_that_is_none_is_an_error(header: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)range"):
        parse_ranges(header, 10, 3)


def test_ranges_as_starlette_reads_them() -> None:
    assert parse_ranges("bytes=0-4,x", 10, 3, as_starlette=True) == [(0, 5)]
    assert parse_ranges("bytes=0-4,10-", 10, 3, as_starlette=True) is None


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=9))
def test_ranges_have_the_bytes_asked_for(pairs: list[tuple[int, int]]) -> None:
    asked = [(min(pair), max(pair)) for pair in pairs]
    ranges = parse_ranges("bytes=" + ",".join(f"{first}-{last}" for first, last in asked), 100, 9)
    assert ranges is not None
    assert {at for start, end in ranges for at in range(start, end)} == {
        at for first, last in asked for at in range(first, last + 1)
    }
    assert all(end < start for (_, end), (start, _) in pairwise(ranges))
