"""URLs from scopes, split into parts, and made absolute."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from pallasite import _core


@pytest.mark.parametrize(
    ("scope", "url"),
    [
        ({"path": "/a", "headers": [(b"host", b"h:1")]}, "http://h:1/a"),
        ({"path": "/a", "headers": [[b"host", b"h"]], "query_string": b"q=1", "scheme": "wss"}, "wss://h/a?q=1"),
        ({"path": "/a?b#c\\d", "headers": [(b"host", b"h")]}, "http://h/a%3Fb%23c%5Cd"),
        ({"path": "/a", "headers": (), "server": ("h", 80)}, "http://h/a"),
        ({"path": "/a", "headers": (), "server": ["::1", 81]}, "http://[::1]:81/a"),
        ({"path": "/a", "headers": (), "server": ("h", 80), "scheme": "gopher"}, "gopher://h:80/a"),
        ({"path": "/a", "headers": [(b"host", b"h/evil")], "server": ("s", 80)}, "http://s/a"),
        ({"path": "/a", "headers": [(b"host", b"h:70000")], "server": None}, "/a"),
        ({"path": "//a//b", "headers": [], "query_string": b"q"}, "/%2Fa//b?q"),
        ({"path": "/\ud800é", "headers": [(b"host", b"h")]}, "http://h/\ud800é"),
        ({"path": "/a", "headers": [], "server": ("h", "81")}, "http://h:81/a"),
        # Deviation: a Unix socket's path is not a host, and bytes that are not UTF-8 are escaped, not rejected.
        ({"path": "/a", "headers": [], "server": ("/run/app.sock", None)}, "/a"),
        ({"path": "/a", "headers": [(b"host", b"h")], "query_string": b"\xff\xc3\xa9\xc3"}, "http://h/a?%FFé%C3"),
    ],
)
def test_url_from_scope_table(scope: dict[str, Any], url: str) -> None:
    assert _core.url_from_scope(scope) == url
    assert _core.url_from_scope(MappingProxyType(scope)) == url


@pytest.mark.parametrize("scope", [{}, {"path": "/"}, {"headers": []}])
def test_url_from_scope_without_path_or_headers_is_key_error(scope: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        _core.url_from_scope(scope)


@pytest.mark.parametrize(
    "change",
    [
        {"path": b"/"},
        {"headers": None},
        {"query_string": "q"},
        {"scheme": 1},
        {"server": (1, 80)},
        {"server": 1},
    ],
)
def test_url_from_scope_value_of_another_type_is_type_error(change: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        _core.url_from_scope({"path": "/", "headers": []} | change)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("", ("", "", "", "", "")),
        ("http://u:p@h:1/a;b?c?d#e?f#g", ("http", "u:p@h:1", "/a;b", "c?d", "e?f#g")),
        ("/a:b", ("", "", "/a:b", "", "")),
        ("mailto:me", ("mailto", "", "me", "", "")),
    ],
)
def test_split_url_plain_is_split(url: str, parts: tuple[str, ...]) -> None:
    assert _core.split_url(url) == parts


@pytest.mark.parametrize("url", ["HTTP://a", " /", "/é", "http://[::1]/", "http://a]", "1a:b", "a\n", "\ud800"])
def test_split_url_less_than_plain_returns_none(url: str) -> None:
    assert _core.split_url(url) is None


@pytest.mark.parametrize(
    ("base", "path", "protocol", "host", "url"),
    [
        ("https://h/base/", "/a", "", "", "https://h/base/a"),
        ("https://h/?q#f", "/a", "http", "", "https://h/a"),
        ("ws://h", "/a", "http", "", "http://h/a"),
        ("https://h", "/a", "websocket", "other:1", "wss://other:1/a"),
        ("/relative", "/a", "", "", None),
        ("https://h", "/a?b", "", "", None),
        ("https://h", "/é", "", "", None),
        ("https://h", "/a", "", "é", None),
    ],
)
def test_absolute_url_plain_is_joined_else_none(
    base: str, path: str, protocol: str, host: str, url: str | None
) -> None:
    assert _core.absolute_url(base, path, protocol, host) == url
