"""Urlencoded bodies: fields as chunks complete them, and the limits."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core


def read(*pieces: Any, fields: int = 3, part_bytes: int = 8) -> list[Any]:
    parser = _core.UrlencodedParser(fields, part_bytes)
    items: list[Any] = []
    for piece in pieces:
        parser.feed(piece, items)
    parser.finish(items)
    return items


@pytest.mark.parametrize(
    ("pieces", "fields"),
    [
        ([], []),
        ([b""], []),
        ([b"&&"], []),
        ([b"=", b"&"], [("", "")]),
        ([b"a=1&b", b"c=", b"2"], [("a", "1"), ("bc", "2")]),
        ([b"a=%C", b"3%A9"], [("a", "é")]),
        ([b"a=\xe9+"], [("a", "é ")]),
        ([b"a=%FF%"], [("a", "\ufffd%")]),
        ([bytearray(b"a="), memoryview(b"b")], [("a", "b")]),
        ([b"1234=5678"], [("1234", "5678")]),
    ],
)
def test_fields_table(pieces: list[bytes], fields: list[tuple[str, str]]) -> None:
    assert read(*pieces) == fields


def test_feed_returns_fields_as_soon_as_they_are_complete() -> None:
    parser = _core.UrlencodedParser(3, 8)
    items: list[Any] = []
    parser.feed(b"a=1&b=2", items)
    assert items == [("a", "1")]
    parser.finish(items)
    assert items == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([b"a&b&c&d"], "too_many_fields"),
        ([b"1234=56789"], "field_too_long"),
        ([b"123456789=", b"&"], "field_too_long"),
        ([b"x"] * 10, "field_too_long"),
    ],
)
def test_error_has_its_code_and_stays(pieces: list[bytes], code: str) -> None:
    parser = _core.UrlencodedParser(3, 8)
    items: list[Any] = []

    def read_all() -> None:
        for piece in pieces:
            parser.feed(piece, items)
        parser.finish(items)

    with pytest.raises(_core.FormError) as caught:
        read_all()
    assert caught.value.args[0] == code
    with pytest.raises(_core.FormError):
        parser.feed(b"", items)


@pytest.mark.parametrize("size", [1, 3, 10**6])
@pytest.mark.parametrize("hostile", [b"&", b"a&", b"=", b"%", b"a=b", b"+%2"])
def test_steps_are_linear_in_hostile_bodies(hostile: bytes, size: int) -> None:
    parser = _core.UrlencodedParser(10**6, 10**6)
    items: list[Any] = []
    body = hostile * (30_000 // len(hostile))
    for start in range(0, len(body), size):
        parser.feed(body[start : start + size], items)
    parser.finish(items)
    assert parser.steps <= 3 * len(body)
