"""RouteTable has the result of a scan over Starlette's own `matches`, including the scope and the order of conversions.

Two deliberate differences, undone in the oracle: a pattern ends where the text ends (`$` also allows a line feed
after it), and a ValueError from a convertor means that the route does not match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import starlette.convertors
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Host, Match, Mount, Route, WebSocketRoute

from pallasite._core import PathPattern, RouteKind, RouteTable
from pallasite._http import scope_keys
from pallasite.convertors import CONVERTOR_TYPES, Convertor

calls: list[tuple[Any, ...]] = []


class EvenConvertor(Convertor[int]):
    """A stock expression with a custom conversion, which rejects half of the values."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        calls.append(("even", value))
        if int(value) % 2:
            raise ValueError(value)
        return int(value)


class WordConvertor(Convertor[str]):
    """An expression that only Python's `re` knows."""

    regex = "(?:ab?|b/?a)+"

    def convert(self, value: str) -> str:
        calls.append(("word", value))
        return value.upper()


OWN: dict[str, Convertor[Any]] = {"even": EvenConvertor(), "word": WordConvertor()}
ALL: dict[str, Convertor[Any]] = {**CONVERTOR_TYPES, **OWN}


@pytest.fixture(autouse=True, scope="module")
def own_convertors() -> Iterator[None]:
    starlette.convertors.CONVERTOR_TYPES.update(OWN)  # type: ignore[arg-type]
    yield
    for name in OWN:
        del starlette.convertors.CONVERTOR_TYPES[name]


class Other(BaseRoute):
    """A custom route class, which matches paths by their length."""

    def __init__(self, length: int, match: Match) -> None:
        self.length, self.match = length, match

    def matches(self, scope: Any) -> tuple[Match, Any]:
        calls.append(("other", self.length))
        if len(scope["path"]) % 5 != self.length:
            return Match.NONE, {}
        return self.match, {"endpoint": self, "path_params": {"length": self.length}}


async def endpoint(request: Any) -> Any: ...


async def app(scope: Any, receive: Any, send: Any) -> None: ...


segments = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "1",
        "",
        "{x}",
        "{x}",
        "{x:int}",
        "{x:float}",
        "{x:path}",
        "{x:even}",
        "{x:word}",
        "{x}-{y}",
        "{x}b",
        "a{x:int}",
    ]
)
texts = st.sampled_from(["a", "b", "ab", "ba", "1", "2", "12", "1.5", "a-b", "1-1", "a7", "", "é", "a\n", "\ud800"])


def named(path: str) -> str:
    """Each parameter of a path its own name."""
    for number in range(path.count("{")):
        path = re.sub(r"\{[xy]", f"{{p{number}", path, count=1)
    return path


paths = st.lists(segments, min_size=1, max_size=4).map(lambda parts: named("/" + "/".join(parts)))
methods = st.sampled_from([None, ["GET"], ["POST"], ["GET", "POST"], []])
hosts = st.sampled_from(
    ["example.org", "EXAMPLE.org:80", "{x}.org", "{x:int}.org", "{x:word}.org", "[::1]", "other.example.org"]
)
route_objects = st.one_of(
    st.builds(lambda path, methods: Route(path, endpoint, methods=methods), paths, methods),
    st.builds(lambda path, methods: Route(path, endpoint, methods=methods), paths, methods),
    st.builds(lambda path: WebSocketRoute(path, endpoint), paths),
    st.builds(lambda path: Mount(path, app), st.one_of(paths, st.just(""), st.just("/"))),
    st.builds(lambda host: Host(host, app), hosts),
    st.builds(Other, st.integers(0, 4), st.sampled_from([Match.PARTIAL, Match.FULL])),
)
headers = st.sampled_from(
    [
        [],
        [(b"host", b"Example.ORG")],
        [(b"x", b""), (b"host", b"example.org:8000")],  # a second one names no host here
        [(b"host", b"ab.org")],
        [(b"host", b"12.org")],
        [(b"host", b"[::1]:80")],
        [(b"host", b"example.org/")],
        [(b"host", b"[::g]")],
        [(b"host", b"")],
        [(b"host", b"example.org:")],
        [(b"host", b"user@example.org")],
        [(b"host", b"\xe9.org")],
    ]
)
scopes = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["http", "http", "websocket", "other"]),
        "path": st.lists(texts, min_size=0, max_size=4).map(lambda parts: "".join("/" + part for part in parts)),
        "method": st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
        "headers": headers,
    },
    optional={
        "root_path": st.sampled_from(["", "/a", "/a/b", "/ab", "/"]),
        "app_root_path": st.just("/root"),
        "path_params": st.sampled_from([{}, {"p0": "above", "q": 1}]),
    },
)


TAKEN = {"int": ["1", "12"], "float": ["1", "1.5"], "path": ["", "a/b"], "even": ["1", "2"], "word": ["ab", "b/a"]}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Any], list[dict[str, Any]]]:
    """Routes, and requests of which most have a path that one of the routes takes."""
    routes = draw(st.lists(route_objects, min_size=1, max_size=12))
    requests = draw(st.lists(scopes, min_size=1, max_size=5))
    sources = [route.path for route in routes if isinstance(route, (Route, WebSocketRoute))] or ["/a"]
    for request in requests:
        if draw(st.integers(0, 3)):
            source = draw(st.sampled_from(sources))
            parts = re.split(r"\{\w+(?::(\w+))?\}", source)
            parts[1::2] = [draw(st.sampled_from(TAKEN.get(kind, ["a", "ab", "1"]))) for kind in parts[1::2]]
            prefix: str = draw(st.sampled_from(["", str(request.get("root_path", ""))]))
            request["path"] = prefix + "".join(parts)
    return routes, requests


def entry_of(route: Any) -> tuple[RouteKind, Any, PathPattern | None, Any, bool]:
    if isinstance(route, Route):
        return RouteKind.HTTP, route, PathPattern(route.path, ALL), route.methods, True
    if isinstance(route, WebSocketRoute):
        return RouteKind.WEBSOCKET, route, PathPattern(route.path, ALL), None, True
    if isinstance(route, Mount):
        return RouteKind.MOUNT, route, PathPattern(route.path + "/{path:path}", ALL), None, False
    if isinstance(route, Host):
        return RouteKind.HOST, route, PathPattern(route.host, ALL), None, True
    return RouteKind.OPAQUE, route, None, None, False


def scan(routes: list[Any], scope: dict[str, Any]) -> tuple[Any, bool] | None:
    """The route that wins, and whether in full; `scope` is filled as by Starlette's router."""
    winner: tuple[Any, Any, bool] | None = None
    for route in routes:
        for name in ("path_regex", "host_regex"):
            if regex := getattr(route, name, None):
                setattr(route, name, re.compile(re.sub(r"\$\Z", r"\\Z", regex.pattern), regex.flags))
        try:
            match, child = route.matches(scope)
        except ValueError:
            continue
        if match is Match.FULL or (match is Match.PARTIAL and winner is None):
            winner = route, child, match is Match.FULL
            if match is Match.FULL:
                break
    if winner is None:
        return None
    scope["route"] = winner[0]
    scope.update(winner[1])
    return winner[0], winner[2]


@given(tables())
def test_match_any_table_equals_linear_scan(drawn: tuple[list[Any], list[dict[str, Any]]]) -> None:
    routes, requests = drawn
    table = RouteTable([entry_of(route) for route in routes])
    for request in requests:
        ours, theirs = dict(request), dict(request)
        calls.clear()
        answer = table.match(ours)
        our_calls = calls.copy()
        calls.clear()
        winner = scan(routes, theirs)
        assert our_calls == calls
        # Only the table tells which methods the other routes with this path take.
        allowed = ours.pop(scope_keys.ALLOWED_METHODS, set())
        assert ours == theirs
        assert not allowed or request["method"] not in allowed
        if winner is None:
            assert answer is None
            continue
        route, is_full = winner
        assert ours["route"] is route
        assert ours["endpoint"] is theirs["endpoint"]
        if is_full and entry_of(route)[4]:
            assert answer is route.app
        else:
            assert answer == route.handle


@given(st.one_of(paths, hosts), st.lists(texts, max_size=4).map(lambda parts: "".join("/" + part for part in parts)))
def test_pattern_any_source_equals_compile_path(source: str, text: str) -> None:
    from starlette.routing import compile_path

    regex, path_format, convertors = compile_path(source)
    pattern = PathPattern(source, ALL)
    assert pattern.regex == regex.pattern.removesuffix("$") + r"\Z"
    assert pattern.format == path_format
    assert list(pattern.convertors) == list(convertors)
    assert pattern.is_host is not source.startswith("/")
    if pattern.is_host:
        text = text.replace("/", "").upper()
    found = re.compile(pattern.regex, regex.flags).match(text)
    try:
        expected = found and {
            name: pattern.convertors[name].convert(value) for name, value in found.groupdict().items()
        }
    except ValueError:
        expected = None
    assert pattern.match(text) == expected


@given(tables())
def test_unreachable_any_table_names_no_winner(drawn: tuple[list[Any], list[dict[str, Any]]]) -> None:
    routes, requests = drawn
    entries = [entry_of(route) for route in routes]
    table = RouteTable(entries)
    report = dict(table.unreachable())
    for request in requests:
        if "\n" in request["path"]:
            continue
        scope = dict(request)
        if table.match(scope) is not None:
            # Routes compare by value, but one object must win.
            index = next(index for index, route in enumerate(routes) if route is scope["route"])
            assert index not in report
    for index, earlier in report.items():
        pair = RouteTable([entries[earlier], entries[index]])
        assert earlier < index
        assert pair.unreachable() == [(1, 0)]
