"""The cost of the native functions grows no faster than their input, including hostile input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pallasite import _core
from pallasite.datastructures import Headers, MutableHeaders, QueryParams
from tests.support.asgi import assert_linear, scope_of

SMALL = 4_000


def distinct(count: int, pattern: str) -> str:
    return "".join(pattern.format(number) for number in range(count))


def set_cookie(value: str) -> bytes:
    return _core.set_cookie("a", value, None, None, "/", None, False, False, None, False)


# Functions that make an input of a size, and that process it.
WORK: dict[str, tuple[Callable[[int], Any], Callable[[Any], object]]] = {
    "cookies, distinct": (lambda n: distinct(n, "a{}=b; "), lambda text: _core.parse_cookies(text)),
    "cookies, one name": (lambda n: "a=b;" * n, lambda text: _core.parse_cookies(text)),
    "cookies, separators": (lambda n: "; =" * n, lambda text: _core.parse_cookies(text)),
    "cookies, open quotes": (lambda n: 'a="\\' * n, lambda text: _core.parse_cookies(text)),
    "cookies, octal escapes": (lambda n: 'a="' + "\\101" * n + '"', lambda text: _core.parse_cookies(text)),
    "cookies, headers": (lambda n: [(b"cookie", b"a=b")] * n, lambda headers: _core.cookies_from_headers(headers)),
    "query, distinct": (lambda n: distinct(n, "a{}=b&"), lambda text: _core.parse_query_multi(text)),
    "query, separators": (lambda n: "&=" * n, lambda text: _core.parse_query(text)),
    "query, percents": (lambda n: "%" * n, lambda text: _core.parse_query(text)),
    "query, bad UTF-8": (lambda n: "%ff%c0" * n, lambda text: _core.parse_query(text)),
    "query, written": (lambda n: [("é", "&")] * n, lambda pairs: _core.encode_query(pairs)),
    "query, params": (lambda n: distinct(n, "a{}=b&"), lambda text: str(QueryParams(text))),
    "accept, elements": (lambda n: "a/b;q=0.5," * n, lambda text: _core.parse_accept(text)),
    "accept, quotes": (lambda n: 'a/b;c="\\",' * n, lambda text: _core.parse_accept(text)),
    "accept, spaces": (lambda n: "a" + " " * n + "b,", lambda text: _core.parse_accept(text)),
    "content type, parameters": (lambda n: "a/b" + distinct(n, ";a{}=b"), lambda text: _core.parse_content_type(text)),
    "content type, one open quote": (lambda n: 'a/b;c="' + "\\" * n, lambda text: _core.parse_content_type(text)),
    "host, long": (lambda n: "a." * n, lambda text: _core.parse_host(text)),
    "host, brackets": (lambda n: "[" * n, lambda text: _core.parse_host(text)),
    "host, digits": (lambda n: "a:" + "9" * n, lambda text: _core.parse_host(text)),
    "range, parts": (lambda n: "bytes=" + "1-2," * n, lambda text: _core.parse_ranges(text[:-1], 9, 10**9)),
    "range, digits": (lambda n: "bytes=0-" + "9" * n, lambda text: _core.parse_ranges(text, 9, 1)),
    "entity tags": (lambda n: 'W/"b",' * n, lambda text: _core.names_tag(text, '"a"')),
    "entity tags, quotes": (lambda n: '"' * n, lambda text: _core.names_tag(text, '"a"')),
    "date": (lambda n: "Sun, " * n, lambda text: _core.parse_http_date(text)),
    "url, of a scope": (
        lambda n: scope_of("/é" * n, headers=[(b"host", b"a" * n)], query=b"%" * n),
        lambda a: _core.url_from_scope(a),
    ),
    "url, split": (lambda n: "http://" + "@:/?#" * n, lambda text: _core.split_url(text)),
    "url, absolute": (lambda n: "/a" * n, lambda text: _core.absolute_url("http://h/", text, "http", "")),
    "header, looked up": (lambda n: [(b"a", b"b")] * n, lambda headers: _core.find_header(headers, "c")),
    "header, values": (lambda n: [(b"a", b"b")] * n, lambda headers: _core.header_values(headers, "a")),
    "header, removed": (
        lambda n: [(b"a", b"b"), (b"c", b"d")] * n,
        lambda headers: _core.remove_header(headers[:], "a"),
    ),
    "header, replaced": (lambda n: [(b"a", b"b")] * n, lambda headers: _core.set_header(headers[:], "a", "c")),
    "header, long value": (lambda n: "é" * n, lambda text: _core.encode_header("a", text)),
    "headers, each looked up": (lambda n: [(b"a%d" % i, b"") for i in range(n)], lambda raw: dict(Headers(raw=raw))),
    "headers, vary": (lambda n: "a," * n, lambda text: MutableHeaders({"vary": text}).add_vary_header("b")),
    "head": (lambda n: {f"a{i}": "b" for i in range(n)}, lambda a: _core.response_head(200, b"", "a/b", "utf-8", a)),
    "set-cookie, quoted": (lambda n: '"\\;' * n, set_cookie),
    "json, text": (lambda n: '"\\\n' * n, lambda text: _core.dumps(text)),
    "json, list": (lambda n: [{"a": [1.5, None]}] * n, lambda values: _core.dumps(values)),
    "json, exponents": (lambda n: "1e99" * n, lambda text: _core.may_overflow(text)),
    "json, digits": (lambda n: ("9" * 198 + ".") * n, lambda text: _core.may_overflow(text)),
    "json, half characters": (lambda n: ["a"] * n + ["\ud800"], lambda values: _core.dumps(values)),
}


@pytest.mark.parametrize(("make", "work"), WORK.values(), ids=WORK.keys())
def test_cost_is_linear_in_the_input(make: Callable[[int], Any], work: Callable[[Any], object]) -> None:
    assert_linear(make, work, SMALL)
