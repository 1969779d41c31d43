"""Routing: a list of routes is a list, and every change of it counts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from pallasite.convertors import CONVERTOR_TYPES
from pallasite.responses import PlainTextResponse
from pallasite.routing import (
    BaseRoute,
    Host,
    Match,
    Route,
    Router,
    compile_path,
)
from pallasite.types import Scope
from tests.routing.endpoints import names, show
from tests.support.asgi import scope_of

pytestmark = pytest.mark.anyio


def test_every_way_to_change_the_list_is_seen() -> None:
    def route(name: str) -> Route:
        return Route("/x", show, name=name)

    router = Router([route("a")])
    assert names(router, "/x") == "a"
    steps: list[tuple[str | None, Any]] = [
        ("b", lambda r: r.insert(0, route("b"))),
        ("a", lambda r: r.pop(0)),
        (None, lambda r: r.clear()),
        ("c", lambda r: r.append(route("c"))),
        ("c", lambda r: r.extend([route("d"), route("e")])),
        ("e", lambda r: r.reverse()),
        ("c", lambda r: r.sort(key=lambda item: item.name)),
        ("f", lambda r: r.__setitem__(0, route("f"))),
        ("g", lambda r: r.__setitem__(slice(0, 1), [route("g")])),
        ("d", lambda r: r.__delitem__(0)),
        ("e", lambda r: r.remove(r[0])),
        ("e", lambda r: r.__iadd__([route("h")])),
        ("e", lambda r: r.__imul__(2)),
    ]
    for expected, change in steps:
        change(router.routes)
        assert names(router, "/x") == expected
    router.routes = [route("z")]
    assert names(router, "/x") == "z"
    assert router.routes == [route("z")]
    assert isinstance(router.routes, list)


def test_changed_route_is_matched_anew() -> None:
    route = Route("/x", show, name="a")
    router = Router([route])
    assert names(router, "/x") == "a"
    route.path_regex, route.path_format, route.param_convertors = compile_path("/y/{n:int}")
    assert names(router, "/x") is None
    assert names(router, "/y/5") == "a"
    assert router.url_path_for("a", n=6) == "/y/6"


def test_replaced_convertors_convert_immediately() -> None:
    route = Route("/{n}", show, name="a")
    router = Router([route])
    assert names(router, "/5") == "a"
    route.param_convertors = {"n": CONVERTOR_TYPES["int"]}
    scope = scope_of("/5")
    assert router._route_list().built_table().match(scope) is not None
    assert scope["path_params"] == {"n": 5}


def test_route_added_while_the_table_is_built_is_found() -> None:
    class Late(BaseRoute):
        @property
        def _kind(self) -> int:  # asked in the middle of building
            if len(router.routes) == 1:
                router.routes.insert(0, Route("/late", show, name="late"))
            return 4

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return Match.NONE, {}

    router = Router([Late()])
    router._route_list().built_table()
    assert names(router, "/late") == "late"


def test_copied_route_is_independent() -> None:
    route = Route("/x", show, name="a")
    router = Router([route])
    assert names(router, "/x") == "a"
    twin = copy.copy(route)
    twin.path_regex, twin.path_format, twin.param_convertors = compile_path("/y")
    twin.name = "b"
    assert names(router, "/x") == "a"
    assert names(router, "/y") is None
    router.routes.append(twin)
    assert names(router, "/y") == "b"


def test_changed_host_is_matched_anew(test_client_factory: Any) -> None:
    host = Host("a.example.org", PlainTextResponse("host"))
    client = test_client_factory(Router([host]))
    assert client.get("/", headers={"host": "a.example.org"}).text == "host"
    host.host_regex, host.host_format, host.param_convertors = compile_path("b.example.org")
    assert client.get("/", headers={"host": "a.example.org"}).status_code == 404
    assert client.get("/", headers={"host": "b.example.org"}).text == "host"


def test_route_list_is_pickled_as_its_routes() -> None:
    router = Router([Route("/x", PlainTextResponse, name="a")])
    assert names(router, "/x") == "a"
    loaded = pickle.loads(pickle.dumps(router.routes))
    assert loaded == router.routes
    loaded.append(Route("/y", PlainTextResponse))
    assert len(router.routes) == 1


def test_computed_routes_of_a_subclass_are_asked_each_time(test_client_factory: Any) -> None:
    class Switching(Router):
        current: list[BaseRoute] = [Route("/a", show)]

        @property
        def routes(self) -> list[BaseRoute]:
            return self.current

        @routes.setter
        def routes(self, routes: Any) -> None:
            pass

    router = Switching()
    client = test_client_factory(router)
    assert client.get("/a").status_code == 200
    router.current = [Route("/b", show)]
    assert client.get("/a").status_code == 404
    assert client.get("/b").status_code == 200


def test_unreachable_routes_are_named_with_what_hides_them() -> None:
    anything, hidden = Route("/users/{name}", show, name="any"), Route("/users/me", show, name="me")
    apart = Route("/users/me", show, methods=["POST"], name="post")
    assert Router([anything, hidden, apart]).unreachable_routes() == [(hidden, anything)]
    assert Router([hidden, anything, apart]).unreachable_routes() == []


def test_routes_that_change_while_their_index_is_made_are_indexed_again() -> None:
    router = Router([Route("/a", show, name="a")])

    class Busy(Route):
        @property
        def name(self) -> str:
            if len(router.routes) < 4:
                router.routes.append(Route("/late", show, name="late"))
            return "busy"

        @name.setter
        def name(self, value: str) -> None:
            pass

    router.routes.append(Busy("/busy", show))
    assert router.url_path_for("busy") == "/busy"
    assert router.url_path_for("late") == "/late"
