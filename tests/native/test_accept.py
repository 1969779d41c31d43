"""Accept headers, codings and Content-Types."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core


@pytest.mark.parametrize(
    ("header", "choices"),
    [
        ("", []),
        ("text/HTML", [("text/html", 1.0, {})]),
        (b"a/b;q=0.5, c/d", [("c/d", 1.0, {}), ("a/b", 0.5, {})]),
        ('a/b; Version="1, 2" ;q=0.125;ext=1', [("a/b", 0.125, {"version": "1, 2"})]),
        ("a;q=1.5, b;q=-1, c;q=nan, d;q=0.1234, e;q=", []),
        ("*/*;q=0", [("*/*", 0.0, {})]),
        (b"\xe9\xff", [("éÿ", 1.0, {})]),
        ("\ud800", [("\ud800", 1.0, {})]),
    ],
)
def test_parse_accept_table(header: str | bytes, choices: list[tuple[str, float, dict[str, str]]]) -> None:
    assert _core.parse_accept(header) == choices


def test_parse_accept_hostile_list_is_bounded() -> None:
    assert len(_core.parse_accept("a," * 1_000_000)) == 256
    [(_, _, parameters)] = _core.parse_accept("a" + "".join(f";p{number}=1" for number in range(10_000)))
    assert len(parameters) == 32


@pytest.mark.parametrize(
    ("header", "coding", "weight"),
    [
        ("gzip, br;q=0.5", "gzip", 1.0),
        ("gzip, br;q=0.5", "BR", 0.5),
        ("GZIP;Q=0.000", "gzip", 0.0),
        ("*", "gzip", 1.0),
        ("*;q=0, gzip;q=0.001", "gzip", 0.001),
        ("xgzip", "gzip", 0.0),
        ("", "gzip", 0.0),
        ("gzip", "identity", 1.0),
        ("*;q=0", "identity", 0.0),
    ],
)
def test_coding_weight_table(header: str, coding: str, weight: float) -> None:
    assert _core.coding_weight(header, coding) == weight


@pytest.mark.parametrize(
    ("header", "media_type", "parameters"),
    [
        ("", "", {}),
        ("Text/HTML", "text/html", {}),
        ("multipart/form-data; Boundary=AbC", "multipart/form-data", {"boundary": "AbC"}),
        (b'a/b; x="1;2\\"3"; y = z ; x=second', "a/b", {"x": '1;2"3', "y": "z"}),
        ("a/b; charset=caf\xe9", "a/b", {"charset": "café"}),
        ("a/b;;;=x; y", "a/b", {"y": ""}),
        ('a/b; open="x', "a/b", {"open": "x"}),
        (" a/b ", "a/b", {}),
    ],
)
def test_parse_content_type_table(header: str | bytes, media_type: str, parameters: dict[str, str]) -> None:
    assert _core.parse_content_type(header) == (media_type, parameters)


@pytest.mark.parametrize("header", [None, 1, bytearray(b"a")])
def test_parse_accept_neither_text_nor_bytes_is_type_error(header: Any) -> None:
    for parse in (_core.parse_accept, _core.parse_content_type):
        with pytest.raises(TypeError, match="expected str or bytes"):
            parse(header)
