"""The path convertors: matching, conversion both ways, and changes to them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import starlette.convertors

from pallasite._core import PathPattern
from pallasite.convertors import (
    CONVERTOR_TYPES,
    Convertor,
    FloatConvertor,
    IntegerConvertor,
    PathConvertor,
    StringConvertor,
    UUIDConvertor,
    register_url_convertor,
)

SOME_UUID = UUID("01234567-89ab-cdef-0123-456789abcdef")


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = dict(CONVERTOR_TYPES)
    yield
    CONVERTOR_TYPES.clear()
    CONVERTOR_TYPES.update(before)


@pytest.mark.parametrize("name", sorted(CONVERTOR_TYPES))
def test_regex_stock_convertor_is_starlettes(name: str) -> None:
    assert CONVERTOR_TYPES[name].regex == starlette.convertors.CONVERTOR_TYPES[name].regex
    assert set(CONVERTOR_TYPES) == set(starlette.convertors.CONVERTOR_TYPES)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("str", "a b", "a b"),
        ("path", "a/b", "a/b"),
        ("path", "", ""),
        ("int", "0042", 42),
        ("float", "1.50", 1.5),
        ("float", "9" * 308, float("9" * 308)),
        ("uuid", "0123456789abCDEF0123456789abcdef", SOME_UUID),
    ],
)
def test_convert_accepted_text_is_the_value(name: str, text: str, value: Any) -> None:
    assert re.fullmatch(CONVERTOR_TYPES[name].regex, text)
    assert CONVERTOR_TYPES[name].convert(text) == value
    # The native conversion has the same result.
    found = PathPattern(f"/{{x:{name}}}", CONVERTOR_TYPES).match("/" + text)
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + ".5"], ids=len)
def test_float_too_large_does_not_match(text: str) -> None:
    with pytest.raises(ValueError, match="large"):
        CONVERTOR_TYPES["float"].convert(text)
    assert PathPattern("/{x:float}", CONVERTOR_TYPES).match("/" + text) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("str", "a b"),
        ("str", 7),
        ("str", ""),
        ("str", "a/b"),
        ("path", "a/b"),
        ("path", ""),
        ("path", 7),
        ("int", 0),
        ("int", "12"),
        ("int", 3.9),
        ("int", -1),
        ("int", "x"),
        ("float", 0),
        ("float", 0.1),
        ("float", 1e-25),
        ("float", 1e22),
        ("float", 100.0),
        ("float", "2.5"),
        ("float", -0.5),
        ("float", math.nan),
        ("float", math.inf),
        ("float", -math.inf),
        ("uuid", SOME_UUID),
        ("uuid", "any text"),
    ],
)
def test_to_string_any_value_is_starlettes(name: str, value: Any) -> None:
    def outcome(convertor: Any) -> tuple[str, str]:
        try:
            return "text", convertor.to_string(value)
        except Exception as error:
            return type(error).__name__, str(error)

    ours = outcome(CONVERTOR_TYPES[name])
    theirs = outcome(starlette.convertors.CONVERTOR_TYPES[name])
    assert (ours[0], ours[1].splitlines()[:1]) == (theirs[0], theirs[1].splitlines()[:1])


def test_base_methods_missing_are_not_implemented() -> None:
    convertor = Convertor[str]()
    assert convertor.regex == ""
    with pytest.raises(NotImplementedError):
        convertor.convert("")
    with pytest.raises(NotImplementedError):
        convertor.to_string("")


class DayConvertor(Convertor[datetime]):
    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def convert(self, value: str) -> datetime:
        return datetime.strptime(value, "%Y-%m-%d")

    def to_string(self, value: datetime) -> str:
        return value.strftime("%Y-%m-%d")


def test_register_new_name_is_known_to_patterns_made_afterwards() -> None:
    with pytest.raises(AssertionError, match=r"^Unknown path convertor 'day'$"):
        PathPattern("/{x:day}", CONVERTOR_TYPES)
    register_url_convertor("day", DayConvertor())
    pattern = PathPattern("/on/{x:day}/{y:int}", CONVERTOR_TYPES)
    assert pattern.match("/on/2026-11-21/7") == {"x": datetime(2026, 11, 21), "y": 7}
    assert pattern.match("/on/2026-13-21/7") is None  # strptime raises ValueError
    assert pattern.match("/on/2026-13/7") is None


class SignedConvertor(IntegerConvertor):
    regex = "[+-]?[0-9]+"


class TwiceConvertor(IntegerConvertor):
    def convert(self, value: str) -> int:
        return 2 * int(value)


@pytest.mark.parametrize(
    ("convertor", "text", "value"),
    [(SignedConvertor(), "-12", -12), (TwiceConvertor(), "12", 24)],
    ids=["regex", "convert"],
)
def test_subclass_override_is_honoured(convertor: Convertor[Any], text: str, value: int) -> None:
    assert PathPattern("/{x:own}", {"own": convertor}).match("/" + text) == {"x": value}


@pytest.mark.parametrize("cls", [StringConvertor, PathConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor])
def test_patch_of_class_convert_is_honoured(cls: type[Convertor[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cls, "convert", lambda self, value: ("patched", value))
    text = str(SOME_UUID) if cls is UUIDConvertor else "12"
    assert PathPattern("/{x:own}", {"own": cls()}).match("/" + text) == {"x": ("patched", text)}


def test_patch_of_instance_convert_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    convertor = IntegerConvertor()
    monkeypatch.setattr(convertor, "convert", lambda value: [value])
    assert PathPattern("/{x:own}", {"own": convertor}).match("/12") == {"x": ["12"]}


def test_patch_of_class_regex_reaches_patterns_made_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    before = PathPattern("/{x}", CONVERTOR_TYPES)
    monkeypatch.setattr(StringConvertor, "regex", r"[^/.]+")
    after = PathPattern("/{x}", CONVERTOR_TYPES)
    assert before.match("/a.b") == {"x": "a.b"}
    assert after.match("/a.b") is None
    assert after.match("/ab") == {"x": "ab"}
