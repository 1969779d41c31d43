"""Header lists: lookup, and values that are rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pallasite import _core

HEADERS = [(b"host", b"a.org"), (b"accept", b"x"), (b"accept", b"caf\xe9"), (b"Upper", b"stays")]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("host", ["a.org"]),
        ("ACCEPT", ["x", "café"]),
        ("upper", []),
        ("missing", []),
        ("", []),
        ("naïve", []),
        ("ключ", []),
        ("\ud800", []),
    ],
)
def test_header_lookup_any_case_finds_lower_case_names(name: str, values: list[str]) -> None:
    assert _core.header_values(HEADERS, name) == values
    assert _core.find_header(HEADERS, name) == (values[0] if values else None)


def test_header_lookup_latin1_name_is_lowered_as_python_does() -> None:
    assert _core.find_header([(b"\xe9", b"1")], "É") == "1"
    # U+212A, the Kelvin sign, is an upper case k.
    assert _core.find_header([(b"k", b"1")], "\u212a") == "1"


@pytest.mark.parametrize(
    "headers",
    [
        ((b"a", b"1"), (b"b", b"2")),
        [[b"a", b"1"], [b"b", b"2"]],
        [(bytearray(b"a"), memoryview(b"1")), (bytearray(b"b"), bytearray(b"2"))],
    ],
    ids=["tuple", "lists", "buffers"],
)
def test_header_lookup_other_sequences_are_read(headers: Any) -> None:
    if isinstance(headers[0][1], memoryview):
        # A memoryview does not decode: the error is Python's own.
        with pytest.raises(AttributeError):
            _core.find_header(headers, "a")
    else:
        assert _core.header_items(headers) == [("a", "1"), ("b", "2")]
    assert _core.find_header(headers, "B") == "2"
    assert _core.find_header(iter(headers), "b") == "2"


@pytest.mark.parametrize("pair", [(b"a",), (b"a", b"b", b"c"), [], b"a"], ids=["one", "three", "none", "byte"])
def test_header_lookup_pair_of_another_length_is_value_error(pair: Any) -> None:
    with pytest.raises(ValueError, match=r"a header must be a \(name, value\) pair"):
        _core.find_header([pair], "a")


@pytest.mark.parametrize("headers", [None, 1, [None], [1]])
def test_header_lookup_anything_but_a_list_of_pairs_is_type_error(headers: Any) -> None:
    with pytest.raises(TypeError):
        _core.find_header(headers, "a")


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:", ":path", "a\n", "a\r\nb", "a\0", "(a)", "naïve", "ключ", "\ud800", "a\x7f"]
)
def test_encode_header_name_that_is_not_a_token_is_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="Invalid header name"):
        _core.encode_header(name, "value")


@pytest.mark.parametrize("value", ["a\r", "\nb", "a\r\nset-cookie: b=c", "\0", "é\n", "\u20ac\n", "\ud800\r"])
def test_encode_header_value_with_line_break_or_nul_is_value_error(value: str) -> None:
    with pytest.raises(ValueError, match="Invalid header value"):
        _core.encode_header("name", value)


@pytest.mark.parametrize("value", ["€", "\ud800"])
def test_encode_header_value_outside_latin1_is_unicode_error(value: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        _core.encode_header("name", value)


def test_encode_header_name_is_lowered_and_value_latin1() -> None:
    assert _core.encode_header("X-Name", "café\t\x7f ") == (b"x-name", b"caf\xe9\t\x7f ")


def test_set_header_keeps_the_first_place_and_the_list() -> None:
    headers = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"b", b"4"), (b"b", b"5")]
    same = headers
    _core.set_header(headers, "B", "new")
    _core.set_header(headers, "D", "last")
    assert same == [(b"a", b"1"), (b"b", b"new"), (b"c", b"3"), (b"d", b"last")]


def test_set_header_refused_changes_nothing() -> None:
    headers = [(b"a", b"1"), (b"a", b"2")]
    with pytest.raises(ValueError):
        _core.set_header(headers, "a", "x\r\n")
    assert headers == [(b"a", b"1"), (b"a", b"2")]


def test_remove_header_removes_all_of_the_name_in_place() -> None:
    headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    same = headers
    for name in ("A", "missing", "ключ"):
        _core.remove_header(headers, name)
    assert same == [(b"b", b"2")]


@pytest.mark.parametrize("change", [lambda x: _core.set_header(x, "a", "b"), lambda x: _core.remove_header(x, "a")])
def test_change_of_anything_but_a_list_is_type_error(change: Callable[[Any], None]) -> None:
    with pytest.raises(TypeError):
        change(((b"a", b"1"),))


def test_header_lookup_list_that_changes_in_the_meantime_does_not_crash() -> None:
    class Name:
        def __init__(self, headers: list[Any]) -> None:
            self.headers = headers

        def __eq__(self, other: object) -> bool:
            self.headers.clear()
            return False

        __hash__ = None  # type: ignore[assignment]

    for look in (_core.find_header, _core.header_values, _core.remove_header):
        headers: list[Any] = []
        headers.extend((Name(headers), b"1") for _ in range(3))
        look(headers, "a")
        assert len(headers) <= 1


def test_remove_header_ten_thousand_duplicates_is_one_pass() -> None:
    comparisons = 0

    class Name:
        def __eq__(self, other: object) -> bool:
            nonlocal comparisons
            comparisons += 1
            return True

        __hash__ = None  # type: ignore[assignment]

    headers: list[Any] = [(Name(), b"1") for _ in range(10_000)]
    _core.set_header(headers, "a", "2")
    assert headers == [(b"a", b"2")]
    assert comparisons == 10_000
