"""HTTP dates: written, and read in the three formats."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from wsgiref.handlers import format_date_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._core import http_date, parse_http_date


@pytest.mark.parametrize("timestamp", [0, 1, 0.999, -1, 784_111_777, 951_827_696, 4_107_542_399, 253_402_300_799])
def test_date_equals_formatdate(timestamp: float) -> None:
    assert http_date(timestamp) == formatdate(int(timestamp // 1), usegmt=True)


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), -1e20, 253_402_300_800])
def test_date_beyond_the_calendar_is_refused(timestamp: float) -> None:
    with pytest.raises(ValueError, match=r"years 1 to 9999, got the timestamp \S+"):
        http_date(timestamp)


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
