"""Query parameters, form fields and headers, read as numbers, dates and the like."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite.datastructures import FormData, Headers, QueryParams, UploadFile
from pallasite.problems import InvalidParameter
from tests.support.asgi import assert_linear

Read = Callable[[QueryParams], Any]
AN_ID = UUID("01936d5e-0000-7000-8000-000000000000")


def params(value: str) -> QueryParams:
    return QueryParams([("x", value)])


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (lambda p: p.get_int("x"), "7", 7),
        (lambda p: p.get_int("x"), "-07", -7),
        (lambda p: p.get_int("x"), "+7", 7),
        (lambda p: p.get_int("x", ge=1, le=3), "3", 3),
        (lambda p: p.get_float("x"), "1.5", 1.5),
        (lambda p: p.get_float("x"), "-.5e1", -5.0),
        (lambda p: p.get_float("x", le=1), "1.", 1.0),
        (lambda p: p.get_bool("x"), "TRUE", True),
        (lambda p: p.get_bool("x"), "on", True),
        (lambda p: p.get_bool("x"), "0", False),
        (lambda p: p.get_str("x"), "", ""),
        (lambda p: p.get_str("x", min_length=1, max_length=3), "abc", "abc"),
        (lambda p: p.get_choice("x", ("asc", "desc")), "desc", "desc"),
        (lambda p: p.get_uuid("x"), str(AN_ID), AN_ID),
        (lambda p: p.get_uuid("x"), AN_ID.hex.upper(), AN_ID),
        (lambda p: p.get_date("x"), "2024-02-29", date(2024, 2, 29)),
        (lambda p: p.get_datetime("x"), "2026-11-26T09:30:00Z", datetime(2026, 11, 26, 9, 30, tzinfo=UTC)),
        (
            lambda p: p.get_datetime("x"),
            "2026-11-26t09:30:00.25-05:30",
            datetime(2026, 11, 26, 9, 30, 0, 250_000, timezone(-timedelta(hours=5, minutes=30))),
        ),
        (
            lambda p: p.get_datetime("x"),
            "2026-11-26 09:30:00 01:00",
            datetime(2026, 11, 26, 9, 30, tzinfo=timezone(timedelta(hours=1))),
        ),
    ],
)
def test_typed_value_table(read: Read, text: str, value: Any) -> None:
    found = read(params(text))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("read", "text", "detail"),
    [
        (lambda p: p.get_int("x"), "", "an integer, not ''"),
        (lambda p: p.get_int("x"), "1_000", "an integer, not '1_000'"),
        (lambda p: p.get_int("x"), " 1", "an integer, not ' 1'"),
        (lambda p: p.get_int("x"), "٣", "an integer, not '٣'"),
        (lambda p: p.get_int("x"), "1.0", "an integer, not '1.0'"),
        (lambda p: p.get_int("x"), "9" * 5000, f"an integer, not '{'9' * 80}...'"),
        (lambda p: p.get_int("x", ge=1, le=3), "4", "between 1 and 3, not '4'"),
        (lambda p: p.get_int("x", ge=1), "0", "at least 1, not '0'"),
        (lambda p: p.get_int("x", le=1), "2", "at most 1, not '2'"),
        (lambda p: p.get_float("x"), "nan", "a number, not 'nan'"),
        (lambda p: p.get_float("x"), "1e999", "a number, not '1e999'"),
        (lambda p: p.get_float("x"), ".", "a number, not '.'"),
        (lambda p: p.get_float("x", ge=0), "-1", "at least 0, not '-1'"),
        (lambda p: p.get_bool("x"), "", "true or false, not ''"),
        (lambda p: p.get_bool("x"), "maybe", "true or false, not 'maybe'"),
        (lambda p: p.get_str("x", min_length=1), "", "at least 1 characters long, not ''"),
        (lambda p: p.get_str("x", max_length=2), "abc", "0 to 2 characters long, not 'abc'"),
        (lambda p: p.get_choice("x", ("asc", "desc")), "up", "one of 'asc', 'desc', not 'up'"),
        (lambda p: p.get_uuid("x"), "{" + str(AN_ID) + "}", "a UUID, not"),
        (lambda p: p.get_date("x"), "2026-02-30", "a date such as 2026-11-26, not '2026-02-30'"),
        (lambda p: p.get_date("x"), "20261126", "a date such as 2026-11-26, not '20261126'"),
        (lambda p: p.get_datetime("x"), "2026-11-26T09:30:00", "a time such as 2026-11-26T09:30:00Z, not"),
        (lambda p: p.get_datetime("x"), "2026-11-26T25:30:00Z", "a time such as 2026-11-26T09:30:00Z, not"),
    ],
)
def test_typed_value_malformed_is_400(read: Read, text: str, detail: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        read(params(text))
    assert caught.value.status_code == 400
    assert str(caught.value.detail).startswith(f"Query parameter 'x' must be {detail}")
    assert (caught.value.name, caught.value.place) == ("x", "query")


READERS: list[Callable[..., Any]] = [
    QueryParams.get_int,
    QueryParams.get_float,
    QueryParams.get_bool,
    QueryParams.get_str,
    QueryParams.get_uuid,
    QueryParams.get_date,
    QueryParams.get_datetime,
    lambda params, name, *default: params.get_choice(name, ("a",), *default),
]


@pytest.mark.parametrize("read", READERS)
def test_typed_value_missing_is_the_default_or_400(read: Callable[..., Any]) -> None:
    empty = QueryParams()
    assert read(empty, "x", None) is None
    assert read(empty, "x", 5) == 5
    with pytest.raises(InvalidParameter, match="Query parameter 'x' is missing"):
        read(empty, "x")


def test_typed_value_of_headers_and_forms_names_its_source() -> None:
    assert Headers({"X-Page": "7"}).get_int("x-page") == 7
    with pytest.raises(InvalidParameter, match="Header 'X-Page' must be") as caught:
        Headers({"X-Page": "x"}).get_int("X-Page")
    assert caught.value.place == "header"
    upload = UploadFile(BytesIO(b"7"), filename="7")
    form = FormData([("page", "7"), ("page", "8"), ("file", upload)])
    assert form.get_int("page") == 8
    with pytest.raises(InvalidParameter, match="Form field 'file' must be an integer, not a file"):
        form.get_int("file")


@given(st.text(max_size=40))
@pytest.mark.parametrize("read", READERS)
def test_typed_value_any_text_is_a_value_or_400(read: Callable[..., Any], text: str) -> None:
    # Nothing but a value or the documented exception.
    with contextlib.suppress(InvalidParameter):
        read(params(text), "x")


@pytest.mark.parametrize("read", READERS)
def test_typed_value_long_text_is_linear(read: Callable[..., Any]) -> None:
    def attempt(text: str) -> None:
        with contextlib.suppress(InvalidParameter):
            read(params(text), "x")

    assert_linear(lambda size: "1" * size, attempt)
