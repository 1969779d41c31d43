"""A JSONResponse of any value has the bytes, or raises the error, of `json.dumps`.

Lone surrogates, which UTF-8 cannot encode, are escaped.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pallasite import _core
from pallasite.responses import JSONResponse

# Strings with what an encoder trips over in them: quotes, controls, astral and half characters.
_TEXT = st.text(st.characters() | st.sampled_from('"\\/\x00\x1f\x7f\u2028\U0001f600'))
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_KEYS = _TEXT | st.integers() | st.floats() | st.booleans() | st.none()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(_KEYS, inner),
    max_leaves=40,
)
_HALVES = st.text(st.characters(categories=["Cs", "L"]), min_size=1)


def outcome(function: Any, value: Any) -> Any:
    try:
        return function(value)
    except (TypeError, ValueError, RecursionError) as error:
        return type(error), str(error)


def oracle(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[\ud800-\udfff]", lambda half: json.dumps(half[0]).strip('"'), text).encode("utf-8")


@given(_VALUES)
def test_response_body_equals_json(value: Any) -> None:
    assert outcome(lambda value: JSONResponse(value).body, value) == outcome(oracle, value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_is_pythons_repr(number: float) -> None:
    assert _core.dumps(number) == repr(number).encode()


@given(st.integers(-(2**70), 2**70))
def test_integer_is_decimal(number: int) -> None:
    assert _core.dumps(number) == str(number).encode()


@given(st.lists(_HALVES | st.sets(st.integers()) | st.binary() | st.integers()))
def test_unencodable_values_fail_alike(values: list[Any]) -> None:
    assert outcome(lambda value: JSONResponse(value).body, values) == outcome(oracle, values)
