"""`_core.response_head`: the header list of a response."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core


@pytest.mark.parametrize(
    ("status", "body", "media_type", "expected"),
    [
        (200, b"12345", "application/json", [(b"content-length", b"5"), (b"content-type", b"application/json")]),
        (200, b"", None, [(b"content-length", b"0")]),
        (200, None, None, []),
        (200, None, "text/html", [(b"content-type", b"text/html; charset=utf-8")]),
        (200, memoryview(b"123"), "image/png", [(b"content-length", b"3"), (b"content-type", b"image/png")]),
        (100, b"", None, []),
        (199, b"", None, []),
        (204, b"", "text/plain", [(b"content-type", b"text/plain; charset=utf-8")]),
        (205, b"", None, [(b"content-length", b"0")]),
        (304, b"x", None, []),
    ],
)
def test_head_without_headers(status: int, body: Any, media_type: str | None, expected: Any) -> None:
    assert _core.response_head(status, body, media_type, "utf-8") == expected


def test_head_is_a_new_list() -> None:
    first = _core.response_head(200, b"", "application/json", "utf-8")
    first.append((b"a", b"b"))
    assert len(_core.response_head(200, b"", "application/json", "utf-8")) == 2


@pytest.mark.parametrize(
    ("media_type", "charset", "expected"),
    [
        ("text/html", "latin-1", b"text/html; charset=latin-1"),
        ("text/html; CHARSET=x", "utf-8", b"text/html; CHARSET=x"),
        ("text/plain", "ascii", b"text/plain; charset=ascii"),
        ("application/json", "latin-1", b"application/json"),
        ("", "utf-8", b""),
    ],
)
def test_head_charset_is_added_to_text(media_type: str, charset: str, expected: bytes) -> None:
    for _ in range(2):
        assert _core.response_head(200, None, media_type, charset) == [(b"content-type", expected)]


def test_head_given_headers_come_first_in_lower_case() -> None:
    head = _core.response_head(200, b"12", "text/css", "utf-8", {"X-One": "1", "x-TWO": "caf\xe9"})
    assert head == [
        (b"x-one", b"1"),
        (b"x-two", b"caf\xe9"),
        (b"content-length", b"2"),
        (b"content-type", b"text/css; charset=utf-8"),
    ]


def test_head_given_length_and_type_win() -> None:
    given = {"Content-Length": "9", "CONTENT-TYPE": "x/y"}
    assert _core.response_head(200, b"12", "a/b", "utf-8", given) == [
        (b"content-length", b"9"),
        (b"content-type", b"x/y"),
    ]


def test_head_reads_any_mapping_by_its_items() -> None:
    class Several:
        def items(self) -> Any:
            return iter([("a", "1"), ("a", "2")])

    head = _core.response_head(204, b"", None, "utf-8", Several())  # type: ignore[arg-type]
    assert head == [(b"a", b"1"), (b"a", b"2")]


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\r\nb", "a\n", "a\x00", "\xe9", "a(b)", "\u20ac"])
def test_head_name_that_is_not_a_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Invalid header name"):
        _core.response_head(200, b"", None, "utf-8", {name: "x"})


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x=1", "\n", "\r", "a\x00b"])
def test_head_value_that_would_split_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="Invalid header value"):
        _core.response_head(200, b"", None, "utf-8", {"a": value})
    with pytest.raises(ValueError, match="Invalid header value"):
        _core.response_head(200, b"", value, "utf-8")
    with pytest.raises(ValueError, match="Invalid header value"):
        _core.response_head(200, b"", "text/css", value)


@pytest.mark.parametrize("value", ["\u20ac", "\ud800"])
def test_head_value_beyond_latin1_is_a_unicode_error(value: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        _core.response_head(200, b"", None, "utf-8", {"a": value})


@pytest.mark.parametrize("headers", [{b"a": "b"}, {"a": b"b"}, {"a": 1}, [("a", "b")], 3])
def test_head_headers_of_another_type_are_refused(headers: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        _core.response_head(200, b"", None, "utf-8", headers)


def test_head_headers_that_change_in_the_meantime_are_a_runtime_error() -> None:
    class Growing(str):
        __slots__ = ()

        def encode(self, *how: str) -> bytes:
            headers[f"x-{len(headers)}"] = "new"
            return b"value"

    headers: dict[str, str] = {"x-a": Growing("é"), "x-b": "b"}
    with pytest.raises(RuntimeError, match="changed"):
        _core.response_head(200, b"", None, "utf-8", headers)
