"""Query strings: decoded into fields, and encoded."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", []),
        ("&&", []),
        ("=", [("", "")]),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a&b=&c=d=e", [("a", ""), ("b", ""), ("c", "d=e")]),
        ("a+b=%2B%20", [("a b", "+ ")]),
        ("a=%C3%A9&b=%c3%a9", [("a", "é"), ("b", "é")]),
        ("a=%FF&b=%", [("a", "\ufffd"), ("b", "%")]),
        ("é=\ud800%41", [("é", "\ud800A")]),
        (b"\xe9=%C3\xa9", [("é", "\ufffd©")]),
        ("a;b=1", [("a;b", "1")]),
    ],
)
def test_parse_query_table(query: str | bytes, fields: list[tuple[str, str]]) -> None:
    assert _core.parse_query(query) == fields
    assert _core.parse_query_multi(query) == (fields, dict(fields))


@pytest.mark.parametrize("query", [None, 1, bytearray(b"a=1"), ["a"]])
def test_parse_query_neither_text_nor_bytes_is_type_error(query: Any) -> None:
    with pytest.raises(TypeError, match="expected str or bytes"):
        _core.parse_query(query)


def test_parse_query_ten_thousand_fields_are_all_there() -> None:
    query = b"&".join(b"f%d=%%20+%d" % (number, number) for number in range(10_000))
    fields, last = _core.parse_query_multi(query)
    assert len(fields) == len(last) == 10_000
    assert last["f9999"] == "  9999"


def test_encode_query_text_bytes_and_others() -> None:
    pairs = [("a b", "ü&="), (b"\xff", b" "), (1, None), ("~_.-", "")]
    assert _core.encode_query(pairs) == "a+b=%C3%BC%26%3D&%FF=+&1=None&~_.-="


@pytest.mark.parametrize("pairs", [None, 1, ["ab"], [("a",)], [["a", "b"]], [("a", "b", "c")]])
def test_encode_query_anything_but_a_pair_is_type_error(pairs: Any) -> None:
    with pytest.raises(TypeError):
        _core.encode_query(pairs)


def test_encode_query_lone_surrogate_is_unicode_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        _core.encode_query([("a", "\ud800")])


def test_encode_query_failing_str_is_passed_on() -> None:
    class Broken:
        def __str__(self) -> str:
            raise LookupError("no text")

    with pytest.raises(LookupError, match="no text"):
        _core.encode_query([("a", Broken())])
