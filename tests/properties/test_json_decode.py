"""`_http.json.decode` gives what `json.loads` gives, and raises what it raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from pallasite._http.json import decode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def outcome(function: Any, document: Any) -> Any:
    try:
        return repr(function(document))
    except ValueError as error:
        return type(error), str(error)


@given(VALUES, st.sampled_from([None, 0, 3]), st.booleans())
def test_document_decodes_to_its_value(value: Any, indent: int | None, ensure_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    assert repr(decode(text)) == repr(json.loads(text))
    if not any(0xD800 <= ord(character) < 0xE000 for character in text):
        assert repr(decode(text.encode())) == repr(json.loads(text))


@given(st.text(alphabet='[]{}",:0123456789.eE+-\\untrfalsé \n\x01'))
@example('{"a":1e400}')
@example('["\\ud800"]')
@example('"\\u00e9\\x"')
def test_any_text_gives_the_same_value_or_error(text: str) -> None:
    expected, got = outcome(json.loads, text), outcome(decode, text)
    if got != expected:
        # Deviations: no infinities, spelled out or by overflow (RFC 8259 section 6).
        assert isinstance(got, tuple)
        assert "inf" in str(expected) or "nan" in str(expected)


def test_long_number_in_a_document_for_pythons_decoder_is_kept() -> None:
    text = '["\\ud800", 1' + "0" * 250 + ".0]"
    assert decode(text) == json.loads(text)
