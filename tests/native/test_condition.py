"""Conditional requests: lists of entity tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._core import names_strong_tag, names_tag


@pytest.mark.parametrize(
    ("tags", "tag", "expected"),
    [
        ('"a"', '"a"', True),
        ('"b", W/"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('"b"', '"a"', False),
        (" * ", '"a"', True),
        ('"a,b", "c"', '"a,b"', True),
        ('"a,b", "c"', 'b"', False),
        ("a, b", "b", True),
        ("", "", False),
        ('"é\ud800"', '"é\ud800"', True),
    ],
)
def test_tag_in_a_list_is_found(tags: str, tag: str, expected: bool) -> None:
    assert names_tag(tags, tag) is expected


@given(st.lists(st.from_regex(r'(W/)?"[!#-~\x80-\xff]*"', fullmatch=True), min_size=1, max_size=5), st.data())
def test_tag_of_any_list_is_found(tags: list[str], data: st.DataObject) -> None:
    tag = data.draw(st.sampled_from(tags))
    assert names_tag(", ".join(tags), tag)
    assert not names_tag(", ".join(tags), tag[:-1] + '!absent"')


@pytest.mark.parametrize(
    ("tags", "tag", "expected"),
    [
        ('"a"', '"a"', True),
        ('"b", "a"', '"a"', True),
        ("*", 'W/"a"', True),
        ('W/"a"', '"a"', False),
        ('W/"a"', 'W/"a"', False),
        ('"a"', 'W/"a"', False),
        ("", "", False),
        ('"\ud800"', '"\ud800"', True),
    ],
)
def test_strong_tags_are_compared_strongly(tags: str, tag: str, expected: bool) -> None:
    assert names_strong_tag(tags, tag) is expected
