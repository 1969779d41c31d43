"""Conditional requests: lists of entity tags, and dates in the three HTTP formats."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from wsgiref.handlers import format_date_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._core import http_date, names_tag, parse_http_date


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
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_date_in_each_form_is_read(text: str) -> None:
    assert parse_http_date(text) == 784111777


@pytest.mark.parametrize("text", ["", "yesterday", "Sun, 31 Nov 1994 08:49:37 GMT", "é\ud800", "6 Nov 1994" * 9])
def test_date_in_another_form_returns_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(
    st.datetimes(min_value=datetime(100, 1, 1), timezones=st.just(UTC)).map(lambda date: date.replace(microsecond=0))
)
def test_date_is_that_of_the_standard_library(date: datetime) -> None:
    seconds = int((date - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    text = http_date(seconds)
    assert parse_http_date(text) == seconds
    assert parsedate_to_datetime(text) == date
    if seconds >= 0:
        assert format_date_time(seconds) == text
