"""Cookie headers against the splitting and unquoting that browsers' cookies have always got in Python."""

from __future__ import annotations

from http.cookies import SimpleCookie
from http.cookies import _unquote as unquote  # type: ignore[attr-defined]

from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import cookie_parser

from pallasite import _core

_header = st.text(st.one_of(st.sampled_from(';="\\ \t\n\x1c\x85\xa001237a,é€\ud800'), st.characters()), max_size=60)


@given(_header)
@example('a="\\')
@example('a="\\\n\\400\\377\\37"')
@example("\u3000a\u2003=\x1fb\x1e")
def test_parse_cookies_equals_starlettes(header: str) -> None:
    assert _core.parse_cookies(header) == cookie_parser(header)
    assert list(_core.parse_cookies(header)) == list(cookie_parser(header))


@given(st.text(st.sampled_from('"\\01234567\n a'), max_size=30))
def test_parse_cookies_quoted_value_is_unquoted_as_http_cookies_does(inside: str) -> None:
    assert _core.parse_cookies(f'name="{inside}"') == {"name": unquote(f'"{inside}"')}


@given(st.text(st.characters(codec="latin-1"), min_size=1, max_size=30))
def test_parse_cookies_what_simple_cookie_wrote_comes_back(value: str) -> None:
    written = SimpleCookie()
    written["name"] = value
    header = written.output(header="", attrs=[]).strip()
    assert _core.parse_cookies(header) == {"name": value}


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_cookies_from_headers_are_those_of_each_header(values: list[bytes]) -> None:
    expected: dict[str, str] = {}
    for value in values:
        expected.update(cookie_parser(value.decode("latin-1")))
    headers = [field for value in values for field in ((b"accept", b"a=b"), (b"cookie", value))]
    assert _core.cookies_from_headers(headers) == expected
