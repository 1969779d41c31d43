"""Values on the debug page: bounded for any object, and hidden if the name suggests a secret."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

import pytest

from pallasite.middleware._debug_values import HIDDEN, MAX_VALUE_CHARS, TooSlow, is_secret, show, text_of, time_limit


class Named(dict[Any, Any]):
    """A dictionary that shows itself as dictionaries do."""


class Own(list[Any]):
    def __repr__(self) -> str:
        return "Own()"


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "text",
        b"bytes",
        bytearray(b"x"),
        [],
        [1, [2, (3,)]],
        (),
        (1,),
        (1, 2),
        ("a", "b"),
        {"a": {"b": 1}},
        {1},
        frozenset({1}),
        Own([1]),
        Named(a=1),
        1.5,
        range(3),
    ],
    ids=repr,
)
def test_small_value_is_its_repr(value: Any) -> None:
    if isinstance(value, frozenset):
        assert text_of(value) == "{1}"
    else:
        assert text_of(value) == repr(value)
    assert show(value, 1) == text_of(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 10**7, "'" + "x" * MAX_VALUE_CHARS + "'…"),
        (b"x" * 10**7, "b'" + "x" * MAX_VALUE_CHARS + "'…"),
        ([0] * 10**7, "[" + "0, " * 20 + "…]"),
        (dict.fromkeys(range(10**6), 0), "{" + "".join(f"{n}: 0, " for n in range(20)) + "…}"),
        ([[[[[1]]]]], "[[[[[…]]]]]"),
        ({"password": "x", b"token": b"y", "user": "z"}, f"{{'password': {HIDDEN}, b'token': {HIDDEN}, 'user': 'z'}}"),
        ([("cookie", "x"), ("accept", "y")], f"[('cookie', {HIDDEN}), ('accept', 'y')]"),
    ],
    ids=["text", "bytes", "list", "dict", "deep", "secret keys", "secret fields"],
)
def test_large_value_is_shown_by_its_start(value: Any, shown: str) -> None:
    assert text_of(value) == shown


def test_value_is_cut_off() -> None:
    assert show([["x" * 300] * 20] * 20, 1) == "[[" + f"'{'x' * 300}', "[: MAX_VALUE_CHARS - 2] + f"'{'x' * 93}" + "…"


class Odd:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def __repr__(self) -> str:
        while self.error is None:
            try:
                time.sleep(0)
            except Exception:
                continue
        raise self.error


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(), KeyboardInterrupt(), RecursionError()], ids=repr)
def test_repr_that_fails_is_named(error: BaseException) -> None:
    assert show([Odd(error)], 1) == f"<list: repr() failed: {type(error).__name__}>"


def test_repr_that_never_ends_is_given_up() -> None:
    began = time.monotonic()
    assert show(Odd(None), 0.05) == "<Odd: repr() takes too long>"
    assert time.monotonic() - began < 5
    assert show(1, -1) == "<int: repr() takes too long>"


def test_list_that_holds_itself_ends() -> None:
    value: list[Any] = []
    value.append(value)
    assert show(value, 1) == "[[[[[…]]]]]"


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_collected_meanwhile(collects: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with time_limit(10):
            assert not gc.isenabled()
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


def test_time_limit_leaves_the_tracer_of_others_in_place() -> None:
    before = sys.gettrace()
    with pytest.raises(TooSlow), time_limit(0):
        text_of([])
    assert sys.gettrace() is before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("password", True),
        ("PASSWORD_HASH", True),
        ("db_pwd", True),
        ("api_key", True),
        ("X-Api-Key", True),
        ("apikey", True),
        ("session_id", True),
        (b"Set-Cookie", True),
        ("authorization", True),
        ("key", False),
        ("user", False),
        ("passed", False),
        (1, False),
    ],
)
def test_secret_is_what_is_called_so(name: object, expected: bool) -> None:
    assert is_secret(name) is expected
