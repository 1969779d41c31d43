"""Routing: paths built from names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pallasite.routing import (
    Host,
    Mount,
    NoMatchFound,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
    replace_params,
)
from tests.routing.endpoints import show

pytestmark = pytest.mark.anyio


# Names.


def nested() -> Router:
    users = [
        Route("/", show, name="list"),
        Route("/{name}", show, name="one"),
        WebSocketRoute("/live", show, name="live"),
    ]
    return Router(
        [
            Route("/", show, name="home"),
            Route("/files/{file:path}", show, name="file"),
            Mount("/users", routes=users, name="users"),
            Mount("/static", app=Router(), name="static"),
            Mount("/plain", routes=[Route("/in", show, name="inside")]),
            Mount("/{team}/board", routes=[Route("/{n:int}", show, name="card")], name="board"),
            Host("{sub}.example.org", Router([Route("/at", show, name="at")]), name="host"),
        ]
    )


@pytest.mark.parametrize(
    ("name", "params", "path"),
    [
        ("home", {}, "/"),
        ("file", {"file": "a/b"}, "/files/a/b"),
        ("users:list", {}, "/users/"),
        ("users:one", {"name": "ann"}, "/users/ann"),
        ("static", {"path": "/a.css"}, "/static/a.css"),
        ("inside", {}, "/plain/in"),
        ("board:card", {"team": "red", "n": 3}, "/red/board/3"),
        ("board:card", {"n": 3}, "/{team}/board/3"),
        ("host:at", {"sub": "www"}, "/at"),
        ("host", {"sub": "www", "path": "/p"}, "/p"),
    ],
)
def test_name_returns_its_path(name: str, params: dict[str, Any], path: str) -> None:
    assert nested().url_path_for(name, **params) == path


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("nowhere", {}),
        ("home", {"extra": 1}),
        ("file", {}),
        ("users:nowhere", {}),
        ("users", {}),
        ("static", {}),
        ("host:nowhere", {"sub": "a"}),
    ],
)
def test_name_without_route_raises_no_match_found(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(NoMatchFound, match=re.escape(f'No route exists for name "{name}"')):
        nested().url_path_for(name, **params)


def test_protocol_and_host_come_with_the_path() -> None:
    assert str(nested().url_path_for("users:live").make_absolute_url("https://x")) == "wss://x/users/live"
    url = nested().url_path_for("host:at", sub="www")
    assert str(url.make_absolute_url("http://x")) == "http://www.example.org/at"


def test_value_that_would_change_the_path_is_refused() -> None:
    with pytest.raises(AssertionError, match="path separators"):
        Router([Route("/{x}", show, name="x")]).url_path_for("x", x="a/b")
    with pytest.raises(AssertionError, match="Must not be empty"):
        Router([Route("/{x}", show, name="x")]).url_path_for("x", x="")


def test_first_route_of_a_name_that_takes_the_parameters_wins() -> None:
    router = Router(
        [Route("/a/{x}", show, name="n"), Mount("", routes=[Route("/b", show, name="n")]), Route("/c", show, name="n")]
    )
    assert router.url_path_for("n") == "/b"
    assert router.url_path_for("n", x="1") == "/a/1"


def test_renamed_route_is_found_by_its_new_name() -> None:
    route = Route("/x", show, name="old")
    router = Router([route])
    assert router.url_path_for("old") == "/x"
    route.name = "new"
    assert router.url_path_for("new") == "/x"
    with pytest.raises(NoMatchFound):
        router.url_path_for("old")


def test_replace_params_leaves_unknown_places_and_returns_the_rest() -> None:
    _, path_format, convertors = compile_path("/{a}/{b:int}")
    assert replace_params(path_format, convertors, {}) == ("/{a}/{b}", {})
    numbers: Any = {"b": 5, "c": 1}
    assert replace_params(path_format, convertors, dict(numbers)) == ("/{a}/5", {"c": numbers["c"]})


def test_compiled_path_ends_at_the_end() -> None:
    regex, path_format, convertors = compile_path("/users/{id:int}.json")
    assert path_format == "/users/{id}.json"
    assert list(convertors) == ["id"]
    found = regex.match("/users/5.json")
    assert found is not None
    assert found.groupdict() == {"id": "5"}
    assert not regex.match("/users/5.json\n")
    assert not regex.match("/users/5xjson")


@pytest.mark.parametrize(
    ("make", "expected"),
    [(lambda app: Mount("/m", app, name="m"), "/m/b/1"), (lambda app: Host("h", app, name="m"), "/b/1")],
    ids=["mount", "host"],
)
def test_url_of_an_application_with_a_plain_list_of_routes(make: Any, expected: str) -> None:
    class Application:
        routes = [Route("/a", show, name="a"), Route("/b/{n}", show, name="b")]

    route = make(Application())
    assert route.url_path_for("m:b", n="1") == expected
    for name, params in (("m:c", {}), ("m:b", {}), ("m", {"path": "/x", "more": "1"}), ("other", {})):
        with pytest.raises(NoMatchFound):
            route.url_path_for(name, **params)
