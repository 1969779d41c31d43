"""Cookie headers against Python's customary splitting and unquoting of cookies."""

from __future__ import annotations

from http.cookies import SimpleCookie
from http.cookies import _unquote as unquote

from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import cookie_parser

from pallasite import _core

_ALPHABET = ';="\\ \t\n\x1c\x7f\x85\xa001237a,é€\ud800'
_header = st.lists(
    st.one_of(
        st.text(st.one_of(st.sampled_from(_ALPHABET), st.characters()), max_size=20),
        st.sampled_from(
            [" ", ";", "=", "; ", "__Host-", "__host-a", "__Secure-", "__Http-", "__Host-a=1", "__Hos\u017f-"]
        ),
    ),
    max_size=8,
).map("".join)
_GUARDED = ("__host-", "__secure-", "__http-")


def cookies_of(header: str) -> dict[str, str]:
    """The same, step by step."""
    pairs: list[tuple[str, str]] = []
    for chunk in header.split(";"):
        if any((letter < " " and letter != "\t") or letter == "\x7f" for letter in chunk):
            continue
        written, _, value = chunk.partition("=") if "=" in chunk else ("", "", chunk)
        name, value = written.strip(" \t"), value.strip(" \t")
        is_guarded = any(name[: len(prefix)].lower() == prefix and name[:2].isascii() for prefix in _GUARDED)
        if (name or value) and not (is_guarded and written.removeprefix(" ") != name):
            pairs.append((name, unquote(value)))
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if not name.lower().startswith("__host-") or names.count(name) == 1}


@given(_header)
@example("\u3000a\u2003=\x1fb\x1e")
@example("__Host-a=1; __Host-a=2; __Host-b=3")
def test_parse_cookies_equals_the_plain_way(header: str) -> None:
    assert _core.parse_cookies(header) == cookies_of(header)
    assert list(_core.parse_cookies(header)) == list(cookies_of(header))


@given(
    st.text(st.one_of(st.sampled_from(';="\\ 01237a,é€'), st.characters(exclude_categories=["C", "Z"])), max_size=60)
)
@example('a="\\')
@example('a="\\400\\377\\37"')
def test_parse_cookies_of_no_control_characters_equals_starlettes(header: str) -> None:
    assert _core.parse_cookies(header) == cookie_parser(header)
    assert list(_core.parse_cookies(header)) == list(cookie_parser(header))


@given(st.text(st.sampled_from('"\\01234567 a'), max_size=30))
def test_parse_cookies_quoted_value_is_unquoted_as_http_cookies_does(inside: str) -> None:
    assert _core.parse_cookies(f'name="{inside}"') == {"name": unquote(f'"{inside}"')}


@given(st.text(st.characters(codec="latin-1"), min_size=1, max_size=30))
def test_parse_cookies_what_simple_cookie_wrote_comes_back(value: str) -> None:
    written = SimpleCookie()
    written["name"] = value
    header = written.output(header="", attrs=[]).strip()
    assert _core.parse_cookies(header) == {"name": value}


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_cookies_from_headers_are_those_of_all_headers(values: list[bytes]) -> None:
    expected = cookies_of(";".join(value.decode("latin-1") for value in values))
    headers = [field for value in values for field in ((b"accept", b"a=b"), (b"cookie", value))]
    assert _core.cookies_from_headers(headers) == expected
