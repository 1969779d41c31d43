"""URLs against the standard library's splitting and Starlette's building."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from hypothesis import assume, example, given
from hypothesis import strategies as st
from starlette import datastructures as starlette

from pallasite import _core
from pallasite.datastructures import URL, URLPath

_url = st.one_of(
    st.text(st.one_of(st.sampled_from(":/?#[]@.aZ1+-\\ \t\r\n%é"), st.characters()), max_size=40),
    st.lists(
        st.sampled_from(["http:", "HTTP", "//", "/", "a.org", ":80", "?", "#", "@", "a=b", "[::1]", ":", "1x:"]),
        max_size=8,
    ).map("".join),
)
_path = st.text(st.one_of(st.sampled_from("/?#\\.a é;:"), st.characters()), max_size=20).map(lambda text: "/" + text)
_host_header = st.sampled_from(
    [
        b"example.org",
        b"example.org:8000",
        b"A.b:080",
        b"[::1]:80",
        b"a:99999",
        b"bad host",
        b"u@a",
        b"",
        b"a/b",
        b"\xff",
    ]
)
_server = st.one_of(
    st.none(), st.tuples(st.sampled_from(["127.0.0.1", "::1", "[::1]", "a.org"]), st.sampled_from([80, 443, 8000, 0]))
)


@given(_url)
@example("http://a:b@c:1/d?e#f")
@example("1http://a")
@example("a:b")
@example(":a")
@example("//a:b")
@example("/a:b")
def test_split_url_is_urlsplits_or_none(url: str) -> None:
    parts = _core.split_url(url)
    if parts is not None:
        assert parts == urlsplit(url)


@given(_url)
def test_url_components_equal_starlettes(text: str) -> None:
    try:
        expected = starlette.URL(text).components
    except ValueError:
        expected = None
    try:
        components = URL(text).components
    except ValueError:
        components = None
    assert components == expected


@given(
    scheme=st.sampled_from(["http", "https", "ws", "wss"]),
    path=_path,
    query=st.text(max_size=20).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)),
    host=st.one_of(st.none(), _host_header),
    server=_server,
)
def test_url_from_scope_equals_starlettes(
    scheme: str, path: str, query: str, host: bytes | None, server: tuple[str, int] | None
) -> None:
    headers = [(b"accept", b"*/*")] + ([] if host is None else [(b"host", host)])
    scope: dict[str, Any] = {
        "scheme": scheme,
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "server": server,
    }
    # Deviation: what a URL would lose or misread in a decoded path is percent-encoded.
    escaped = re.sub(r"[%\x00-\x1f\x7f]", lambda match: f"%{ord(match[0]):02X}", path)
    assert str(URL(scope=scope)) == str(starlette.URL(scope={**scope, "path": escaped}))


@given(path=_path, query=st.binary(max_size=20))
def test_url_from_scope_any_query_bytes_give_text(path: str, query: bytes) -> None:
    url = URL(scope={"path": path, "query_string": query, "headers": [(b"host", b"a")]})
    try:
        expected = query.decode()
    except UnicodeDecodeError:
        assert "%" in str(url)
    else:
        assert str(url).endswith(expected)


@given(
    base=st.one_of(
        _url, st.sampled_from(["http://a.org/", "https://a.org/b/", "wss://a:1", "http://[::1]/", "/a", "é://b"])
    ),
    path=_path,
    protocol=st.sampled_from(["http", "websocket", ""]),
    host=st.sampled_from(["", "sub.a.org", "a:1", "[::1]", "é.org"]),
)
@example("http://a.org", "/b?", "http", "")
@example("http://a.org/c/", "/b", "websocket", "h")
@example("a:0", "/", "http", "h")
def test_make_absolute_url_equals_starlettes(base: str, path: str, protocol: Any, host: str) -> None:
    try:
        expected = str(starlette.URLPath(path, protocol, host).make_absolute_url(base))
    except (ValueError, KeyError):
        assume(False)
    assert str(URLPath(path, protocol, host).make_absolute_url(base)) == expected


@given(
    url=st.sampled_from(["http://u:p@a.org:80/b?c=d#e", "/b", "https://[::1]:1/", "http://a.org", "", "//h/p"]),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "scheme": st.sampled_from(["https", ""]),
            "path": st.sampled_from(["/x", "", "y"]),
            "query": st.sampled_from(["q=1", ""]),
            "fragment": st.sampled_from(["f", ""]),
            "hostname": st.sampled_from(["b.org", "::1", "[::2]", "a::b::c"]),
            "port": st.sampled_from([None, 8080]),
            "username": st.sampled_from([None, "me"]),
            "password": st.sampled_from([None, "secret"]),
        },
    ),
)
def test_url_replace_equals_starlettes(url: str, changes: dict[str, Any]) -> None:
    def outcome(kind: type) -> tuple[str, str] | type[Exception]:
        try:
            replaced = kind(url).replace(**changes)
            return str(replaced), repr(replaced)
        except (TypeError, ValueError) as error:
            return type(error)

    assert outcome(URL) == outcome(starlette.URL)
