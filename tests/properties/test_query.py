"""Query strings against the standard library: the same fields, the same text back, for any input."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pallasite import _core
from pallasite.datastructures import QueryParams

# Dense in what the grammar is made of, so that examples reach its corners.
_query_text = st.text(st.one_of(st.sampled_from("&=+%;#0aFfcC3é€\x00\ud800"), st.characters()), max_size=60)
_query_bytes = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from([b"&", b"=", b"+", b"%", b"%C3", b"%A9", b"%e2%82", b"%zz", b"\xe9", b"a"]), max_size=30
    ).map(b"".join),
)


@given(_query_text)
@example("%C3é%A9")
@example("a=%ED%A0%80&b=%F4%90%80%80&c=%F0%9F%98")
def test_parse_query_text_equals_parse_qsl(query: str) -> None:
    assert _core.parse_query(query) == parse_qsl(query, keep_blank_values=True)


@given(_query_bytes)
def test_parse_query_bytes_equals_parse_qsl_of_latin1(query: bytes) -> None:
    assert _core.parse_query(query) == parse_qsl(query.decode("latin-1"), keep_blank_values=True)


@given(_query_bytes)
def test_parse_query_multi_is_the_fields_and_their_last_values(query: bytes) -> None:
    fields = _core.parse_query(query)
    assert _core.parse_query_multi(query) == (fields, dict(fields))


@given(
    st.lists(st.tuples(st.text(max_size=20), st.one_of(st.text(max_size=20), st.binary(max_size=20), st.integers())))
)
def test_encode_query_equals_urlencode(pairs: list[tuple[str, object]]) -> None:
    try:
        expected = urlencode(pairs)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            _core.encode_query(pairs)
    else:
        assert _core.encode_query(pairs) == expected


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
    )
)
def test_query_params_text_parses_to_the_same_params(pairs: list[tuple[str, str]]) -> None:
    params = QueryParams(pairs)
    assert QueryParams(str(params)).multi_items() == params.multi_items() == pairs
