"""Cookie headers as dictionaries."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1; a=2", {"a": "2"}),
        ("value", {"": "value"}),
        ("a=b=c; =d", {"a": "b=c", "": "d"}),
        (";;  ; =", {}),
        ('a="x\\073 y\\"z"', {"a": 'x; y"z'}),
        ('a="\\351"; b="\\', {"a": "é", "b": '"\\'}),
        ("ключ=\ud800", {"ключ": "\ud800"}),
        ("a\0=1; b=\r\n; c=\x7f; d=\x1f", {}),
        ("\ta\t=\t1\t", {"a": "1"}),
        ("\u2003a\xa0=\x851", {"\u2003a\xa0": "\x851"}),
    ],
)
def test_parse_cookies_table(header: str, cookies: dict[str, str]) -> None:
    assert _core.parse_cookies(header) == cookies


def test_cookies_from_headers_later_headers_win() -> None:
    headers = [(b"cookie", b"a=1; b=\xe9"), (b"x", b"c=3"), [b"cookie", bytearray(b"a=2")]]
    assert _core.cookies_from_headers(headers) == {"a": "2", "b": "é"}  # type: ignore[arg-type]


def test_cookies_from_headers_a_host_name_that_comes_twice_is_left_out() -> None:
    headers = [(b"cookie", b"__Host-a=1; b=2"), (b"cookie", b"__Host-c=3; __Host-a=1; __Host-a=4")]
    assert _core.cookies_from_headers(headers) == {"b": "2", "__Host-c": "3"}


def test_parse_cookies_ten_thousand_are_all_there() -> None:
    header = "; ".join(f'name{number}="\\101{number}"' for number in range(10_000))
    cookies = _core.parse_cookies(header)
    assert len(cookies) == 10_000
    assert cookies["name9999"] == "A9999"


@pytest.mark.parametrize("header", [None, b"a=1", 1])
def test_parse_cookies_anything_but_text_is_type_error(header: Any) -> None:
    with pytest.raises(TypeError):
        _core.parse_cookies(header)
