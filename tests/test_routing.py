"""Routes and routers: which route answers, what it puts into the scope, and the paths that names give."""

from __future__ import annotations

import copy
import functools
import pickle
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.convertors import CONVERTOR_TYPES, Convertor, StringConvertor, register_url_convertor
from pallasite.endpoints import HTTPEndpoint
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    NoMatchFound,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
    replace_params,
    request_response,
)
from pallasite.types import Scope
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.asgi import Sent, scope_of

pytestmark = pytest.mark.anyio


async def show(request: Request) -> Response:
    """The name of the route that answered, and its parameters."""
    route = request.scope["route"]
    params = {key: f"{type(value).__name__}:{value}" for key, value in request.path_params.items()}
    return JSONResponse({"route": getattr(route, "name", None) or route.path, "params": params})


async def other(request: Request) -> Response:
    return PlainTextResponse("other")


# Which path goes where.


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {}),
        ("/text/abc", {"x": "str:abc"}),
        ("/text/a%20b", {"x": "str:a b"}),
        ("/text/é", {"x": "str:é"}),
        ("/int/42", {"x": "int:42"}),
        ("/int/007", {"x": "int:7"}),
        ("/float/1.5", {"x": "float:1.5"}),
        ("/float/3", {"x": "float:3.0"}),
        ("/uuid/c0ffee00-0000-4000-8000-000000000001", {"x": "UUID:c0ffee00-0000-4000-8000-000000000001"}),
        ("/path/a/b/c", {"x": "str:a/b/c"}),
        ("/path/", {"x": "str:"}),
        ("/mid/a-b.json", {"a": "str:a", "b": "str:b"}),
        ("/mid/a-b-c.json", {"a": "str:a-b", "b": "str:c"}),
        ("/around/a/b/edit", {"x": "str:a/b"}),
    ],
)
def test_path_language_converts_parameters(path: str, expected: dict[str, str], test_client_factory: Any) -> None:
    patterns = [
        "/", "/text/{x}", "/int/{x:int}", "/float/{x:float}", "/uuid/{x:uuid}", "/path/{x:path}", "/mid/{a}-{b}.json",
        "/around/{x:path}/edit",
    ]  # fmt: skip
    client = test_client_factory(Pallasite(routes=[Route(pattern, show) for pattern in patterns]))
    response = client.get(path)
    assert (response.status_code, response.json().get("params")) == (200, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/int/x", "/int/", "/int/-1", "/int/1.0", "/int/٣", "/int/1%0A", "/float/1.", "/float/.5", "/float/1e5",
        "/uuid/xyz", "/static%0A", "/static/", "/Static", "/int/" + "9" * 5000, "//static", "/static%00", "/text/a/b",
    ],
)  # fmt: skip
def test_path_that_does_not_fit_is_404(path: str, test_client_factory: Any) -> None:
    patterns = ["/static", "/int/{x:int}", "/float/{x:float}", "/uuid/{x:uuid}", "/text/{x}"]
    app = Pallasite(routes=[Route(pattern, show) for pattern in patterns])
    app.router.redirect_slashes = False
    assert test_client_factory(app).get("http://testserver" + path).status_code == 404


@pytest.mark.parametrize("path", ["/a/\ud800", "/\x00", "/a//b", "/", "", "no-slash", "/a/" + "x/" * 5000])
async def test_odd_paths_match_like_the_regular_expressions(path: str) -> None:
    routes = [Route("/a/{x}", show), Route("/a/{x:path}", show), Route("/{y}", show)]
    expected = [route.path for route in routes if route.path_regex.match(path)]
    scope = scope_of(path)
    handler = Router(routes)._route_list().built_table().match(scope)
    assert (scope["route"].path if handler else None) == (expected[0] if expected else None)


def test_first_declared_route_wins_whatever_its_shape(test_client_factory: Any) -> None:
    forwards = [Route("/users/{name}", show, name="any"), Route("/users/me", show, name="me")]
    assert test_client_factory(Router(forwards)).get("/users/me").json()["route"] == "any"
    assert test_client_factory(Router(forwards[::-1])).get("/users/me").json()["route"] == "me"
    assert test_client_factory(Router(forwards[::-1])).get("/users/you").json()["route"] == "any"


def test_full_match_later_goes_before_partial_match_earlier(test_client_factory: Any) -> None:
    app = Router([Route("/x", show, methods=["POST"], name="post"), Route("/{any}", show, name="any")])
    assert test_client_factory(app).get("/x").json()["route"] == "any"


def test_custom_convertor_and_its_refusal(test_client_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pallasite.convertors import CONVERTOR_TYPES

    class Even(Convertor[int]):
        regex = r"\d+"

        def convert(self, value: str) -> int:
            if int(value) % 2:
                raise ValueError(value)
            return int(value)

        def to_string(self, value: int) -> str:
            return str(value)

    monkeypatch.setattr("pallasite.convertors.CONVERTOR_TYPES", CONVERTOR_TYPES)
    register_url_convertor("even", Even())
    try:
        router = Router([Route("/n/{x:even}", show, name="even"), Route("/n/{x}", show, name="rest")])
    finally:
        del CONVERTOR_TYPES["even"]
    client = test_client_factory(router)
    assert client.get("/n/4").json() == {"route": "even", "params": {"x": "int:4"}}
    assert client.get("/n/5").json() == {"route": "rest", "params": {"x": "str:5"}}
    assert router.url_path_for("even", x=6) == "/n/6"
    assert router.routes[0].matches(scope_of("/n/5"))[0] is Match.NONE


def test_patched_convertor_regex_reaches_new_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StringConvertor, "regex", "[^/.]+")
    route = Route("/{x}", show)
    assert route.matches(scope_of("/ab"))[0] is Match.FULL
    assert route.matches(scope_of("/a.b"))[0] is Match.NONE
    assert Router([route])._route_list().built_table().match(scope_of("/a.b")) is None


def test_unknown_convertor_and_repeated_name_are_refused() -> None:
    with pytest.raises(AssertionError, match="Unknown path convertor 'nope'"):
        Route("/{x:nope}", show)
    with pytest.raises(ValueError, match=re.escape("Duplicated param name x at path /{x}/{x}")):
        Route("/{x}/{x}", show)
    with pytest.raises(ValueError, match="Duplicated param names a, b at path"):
        compile_path("/{a}{b}/{b}{a}")


@pytest.mark.parametrize(
    "make", [lambda p: Route(p, show), lambda p: WebSocketRoute(p, show), lambda p: Mount(p, show)]
)
def test_path_without_slash_is_refused(make: Any) -> None:
    with pytest.raises(AssertionError, match="must start with '/'"):
        make("x")


def test_host_with_slash_and_empty_mount_are_refused() -> None:
    with pytest.raises(AssertionError, match="must not start with '/'"):
        Host("/example.org", Router())
    with pytest.raises(AssertionError, match="Either"):
        Mount("/x")


# Methods.


def test_method_that_no_route_takes_is_405_with_allow(test_client_factory: Any) -> None:
    client = test_client_factory(Pallasite(routes=[Route("/x", show, methods=["get", "put"])]))
    response = client.post("/x")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert client.head("/x").status_code == 200


def test_405_outside_an_application_is_plain(test_client_factory: Any) -> None:
    response = test_client_factory(Route("/x", show)).post("/x")
    assert (response.status_code, response.text) == (405, "Method Not Allowed")


def test_methods_changed_in_place_count_at_once(test_client_factory: Any) -> None:
    route = Route("/x", show)
    client = test_client_factory(Pallasite(routes=[route]))
    assert client.post("/x").status_code == 405
    assert route.methods is not None
    route.methods.add("POST")
    assert client.post("/x").status_code == 200
    route.methods = {"DELETE"}
    assert client.post("/x").status_code == 405
    assert client.delete("/x").status_code == 200


def test_asgi_endpoint_takes_every_method(test_client_factory: Any) -> None:
    class Endpoint(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("get")

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(scope["method"])(scope, receive, send)

    class Callable_:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asgi(scope, receive, send)

    client = test_client_factory(Router([Route("/class", Endpoint), Route("/object", Callable_())]))
    assert client.get("/class").text == "get"
    assert client.post("/class").status_code == 405
    assert client.request("PURGE", "/object").text == "PURGE"


def test_partial_and_method_endpoints_are_functions(test_client_factory: Any) -> None:
    async def endpoint(greeting: str, request: Request) -> Response:
        return PlainTextResponse(greeting)

    class Views:
        async def view(self, request: Request) -> Response:
            return PlainTextResponse("view")

        @classmethod
        def sync_view(cls, request: Request) -> Response:
            return PlainTextResponse("sync")

    routes = [
        Route("/partial", functools.partial(functools.partial(endpoint), "hi")),
        Route("/method", Views().view),
        Route("/classmethod", Views.sync_view),
    ]
    client = test_client_factory(Router(routes))
    assert [client.get(path).text for path in ("/partial", "/method", "/classmethod")] == ["hi", "view", "sync"]
    assert [route.name for route in routes] == ["partial", "view", "sync_view"]


# Slashes.


@pytest.mark.parametrize(
    ("declared", "asked", "location"),
    [
        ("/x", "/x/?a=1", "/x?a=1"),
        ("/x/", "/x?a=1", "/x/?a=1"),
        ("/x/{y:int}/", "/x/5", "/x/5/"),
        ("/x", "/x//", "/x"),
    ],
)
def test_path_that_differs_in_its_last_slash_is_redirected(
    declared: str, asked: str, location: str, test_client_factory: Any
) -> None:
    client = test_client_factory(Pallasite(routes=[Route(declared, show)]), follow_redirects=False)
    response = client.get(asked)
    assert response.status_code == 307
    assert response.headers["location"] == location


def test_slashes_are_not_redirected_when_switched_off_or_useless(test_client_factory: Any) -> None:
    assert test_client_factory(Router([Route("/x", show)], redirect_slashes=False)).get("/x/").status_code == 404
    assert test_client_factory(Router([Route("/x", show)])).get("/y/").status_code == 404
    assert test_client_factory(Router([Mount("/m", Router())])).get("/").status_code == 404


def test_other_method_is_redirected_to_where_the_405_is(test_client_factory: Any) -> None:
    client = test_client_factory(Pallasite(routes=[Route("/x", show)]))
    assert client.post("/x/").status_code == 405


# Mounts and hosts.


def test_mount_moves_its_prefix_into_root_path(test_client_factory: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        keys = ("path", "root_path", "app_root_path", "path_params")
        await JSONResponse({key: scope[key] for key in keys})(scope, receive, send)

    router = Router([Mount("/{team}/files", routes=[Mount("/{year:int}", app)])])
    response = test_client_factory(router, root_path="/proxy").get("/proxy/red/files/2026/a/b")
    assert response.json() == {
        "path": "/proxy/red/files/2026/a/b",
        "root_path": "/proxy/red/files/2026",
        "app_root_path": "/proxy",
        "path_params": {"team": "red", "year": 2026},
    }


def test_mount_needs_the_slash_and_redirects_to_it(test_client_factory: Any) -> None:
    client = test_client_factory(Router([Mount("/m", routes=[Route("/", show), Route("/x", show)])]))
    assert client.get("/m", follow_redirects=False).status_code == 307
    assert client.get("/m/").status_code == 200
    assert client.get("/m/x").status_code == 200
    assert client.get("/mx").status_code == 404


def test_nested_routers_keep_the_outermost_router_and_innermost_route(test_client_factory: Any) -> None:
    seen: dict[str, Any] = {}

    async def endpoint(request: Request) -> Response:
        seen.update(request.scope)
        return PlainTextResponse("")

    route = Route("/c", endpoint)
    outer = Router([Mount("/a", routes=[Mount("/b", routes=[route])])])
    test_client_factory(outer).get("/a/b/c")
    assert seen["router"] is outer
    assert seen["route"] is route


def test_failed_match_inside_a_mount_does_not_come_back_out(test_client_factory: Any) -> None:
    client = test_client_factory(Router([Mount("/a", routes=[]), Route("/a/b", show)]))
    assert client.get("/a/b").status_code == 404


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.example.org", "api"),
        ("API.Example.ORG:8000", "api"),
        ("red.teams.example.org", "team red"),
        ("[::1]:80", "six"),
        ("example.org", "rest"),
        ("api.example.org.evil", "rest"),
        ("api.example.org/x", "rest"),
        ("a b", "rest"),
        ("", "rest"),
    ],
)
def test_host_routes_look_at_the_host_only(host: str, expected: str, test_client_factory: Any) -> None:
    def answer(text: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            team = scope["path_params"].get("team", "")
            await PlainTextResponse(f"{text} {team}".strip())(scope, receive, send)

        return app

    router = Router(
        [
            Host("api.example.org", answer("api")),
            Host("{team}.teams.example.org", answer("team")),
            Host("[::1]", answer("six")),
            Mount("/", answer("rest")),
        ]
    )
    assert test_client_factory(router).get("/", headers={"host": host}).text == expected


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
            Mount("/static", app=show, name="static"),
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
def test_name_gives_its_path(name: str, params: dict[str, Any], path: str) -> None:
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
def test_name_without_route_is_no_match_found(name: str, params: dict[str, Any]) -> None:
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


def test_replace_params_leaves_unknown_places_and_gives_back_the_rest() -> None:
    _, path_format, convertors = compile_path("/{a}/{b:int}")
    assert replace_params(path_format, convertors, {}) == ("/{a}/{b}", {})
    assert replace_params(path_format, convertors, {"b": 5, "c": 1}) == ("/{a}/5", {"c": 1})  # type: ignore[dict-item]


def test_compiled_path_ends_at_the_end() -> None:
    regex, path_format, convertors = compile_path("/users/{id:int}.json")
    assert path_format == "/users/{id}.json"
    assert list(convertors) == ["id"]
    found = regex.match("/users/5.json")
    assert found is not None
    assert found.groupdict() == {"id": "5"}
    assert not regex.match("/users/5.json\n")
    assert not regex.match("/users/5xjson")


# A list of routes is a list.


def names(router: Router, path: str) -> str | None:
    scope = scope_of(path)
    return scope["route"].name if router._route_list().built_table().match(scope) else None


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


def test_replaced_convertors_convert_at_once() -> None:
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


def test_copied_route_is_a_route_of_its_own() -> None:
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


# Routes that decide for themselves.


class HeaderRoute(Route):
    """Matches by a header field, wherever its path says it is."""

    def matches(self, scope: Any) -> Any:
        if dict(scope["headers"]).get(b"x-pick") == self.name.encode():
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {"picked": True}}
        return Match.NONE, {}


def test_overridden_matches_is_asked_in_order(test_client_factory: Any) -> None:
    router = Router(
        [Route("/first", show, name="first"), HeaderRoute("/h", show, name="pick"), Route("/{x}", show, name="any")]
    )
    client = test_client_factory(router)
    assert client.get("/first", headers={"x-pick": "pick"}).json()["route"] == "first"
    assert client.get("/x", headers={"x-pick": "pick"}).json() == {"route": "pick", "params": {"picked": "bool:True"}}
    assert client.get("/x").json()["route"] == "any"


def test_patched_matches_on_instance_and_class_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route("/x", show, name="a")
    router = Router([route])
    assert names(router, "/x") == "a"
    route.matches = lambda scope: (Match.NONE, {})  # type: ignore[method-assign]
    router.routes = list(router.routes)
    assert names(router, "/x") is None
    fresh = Route("/x", show, name="b")
    monkeypatch.setattr(Route, "matches", lambda self, scope: (Match.NONE, {}))
    assert names(Router([fresh]), "/x") is None


def test_overridden_handle_is_called(test_client_factory: Any) -> None:
    class Own(Route):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("own handle")(scope, receive, send)

    assert test_client_factory(Router([Own("/x", show)])).get("/x").text == "own handle"


def test_bare_base_route_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError):
        BaseRoute().matches({})
    with pytest.raises(NotImplementedError):
        BaseRoute().url_path_for("x")


def test_replaced_app_of_a_route_is_used(test_client_factory: Any) -> None:
    route = Route("/x", show)
    client = test_client_factory(Router([route]))
    assert client.get("/x").status_code == 200
    route.app = PlainTextResponse("wrapped")
    assert client.get("/x").text == "wrapped"


def test_request_response_is_looked_up_when_a_route_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def tracing(func: Any) -> Any:
        made.append(func)
        return request_response(func)

    monkeypatch.setattr("pallasite.routing.request_response", tracing)
    Route("/x", show)
    assert made == [show]


@pytest.mark.parametrize("path", ["/x/1", "/x/a", "/y/", "/m/a/b"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_table_and_matches_tell_the_same(path: str, kind: str) -> None:
    routes: list[Any] = [
        Route("/x/{n:int}", show, methods=["POST"]),
        WebSocketRoute("/x/{n:int}", show),
        Route("/x/{s}", show),
        Mount("/m", Router()),
        Route("/y/{rest:path}", show),
    ]
    scope = scope_of(path, type=kind, path_params={"outer": 1}, root_path="")
    best: tuple[Any, Any] | None = None
    for route in routes:
        match, child = route.matches(dict(scope))
        if match is Match.FULL or (match is Match.PARTIAL and best is None):
            best = (route, child)
        if match is Match.FULL:
            break
    found = Router(routes)._route_list().built_table().match(scope)
    if best is None:
        assert found is None
    else:
        assert {key: scope[key] for key in ("route", *best[1])} == {"route": best[0], **best[1]}


# Routes by themselves.


def test_route_is_an_application(test_client_factory: Any) -> None:
    client = test_client_factory(Route("/x", other))
    assert client.get("/x").text == "other"
    assert client.get("/y").status_code == 404

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    with test_client_factory(WebSocketRoute("/ws", echo)).websocket_connect("/ws"):
        pass
    with pytest.raises(WebSocketDisconnect), test_client_factory(WebSocketRoute("/ws", echo)).websocket_connect("/x"):
        pass


def test_equality_and_repr_say_what_routes_are() -> None:
    app = Router()
    assert Route("/x", show) == Route("/x", show) != Route("/x", show, methods=["POST"])
    assert WebSocketRoute("/x", show) == WebSocketRoute("/x", show) != WebSocketRoute("/y", show)
    assert Mount("/x", app) == Mount("/x/", app) != Mount("/y", app)
    assert Host("a", app) == Host("a", app) != Host("b", app)
    assert Router([Route("/x", show)]) == Router([Route("/x", show)]) != Router()
    assert Route("/x", show) != WebSocketRoute("/x", show)
    assert repr(Route("/x", show, methods=["PUT"])) == "Route(path='/x', name='show', methods=['PUT'])"
    assert repr(WebSocketRoute("/x", show)) == "WebSocketRoute(path='/x', name='show')"
    assert repr(Mount("/x", other, name="m")).startswith("Mount(path='/x', name='m', app=")
    assert repr(Host("a", other)).startswith("Host(host='a', name='', app=")


# Lifespans.


def test_older_lifespan_forms_still_run_with_a_warning(test_client_factory: Any) -> None:
    events: list[str] = []

    async def asynchronous(app: Any) -> AsyncIterator[None]:
        events.append("async start")
        yield
        events.append("async stop")

    def plain(app: Any) -> Iterator[None]:
        events.append("start")
        yield
        events.append("stop")

    for lifespan in (asynchronous, plain):
        with pytest.warns(StarletteDeprecationWarning, match="lifespans are deprecated"):
            router = Router(lifespan=lifespan)  # type: ignore[arg-type]
        with test_client_factory(router):
            pass
    assert events == ["async start", "async stop", "start", "stop"]


def test_lifespan_replaced_after_construction_is_used(test_client_factory: Any) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        events.append("replaced")
        yield

    app = Pallasite()
    app.router.lifespan_context = lifespan
    with test_client_factory(app):
        pass
    assert events == ["replaced"]


async def test_lifespan_state_without_server_support_is_reported() -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"a": 1}

    sent = Sent()

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    with pytest.raises(RuntimeError, match='"state"'):
        await Router(lifespan=lifespan)({"type": "lifespan"}, receive, sent)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "RuntimeError" in sent[0]["message"]


def test_router_has_methods_to_add_routes(test_client_factory: Any) -> None:
    router = Router()
    router.add_route("/x", show, methods=["PUT"], name="put")
    router.add_websocket_route("/ws", show, name="ws")  # type: ignore[arg-type]
    router.mount("/m", Router([Route("/", show)]), name="m")
    router.host("h.example.org", Router(), name="h")
    assert [type(route).__name__ for route in router.routes] == ["Route", "WebSocketRoute", "Mount", "Host"]
    assert test_client_factory(router).put("/x").json()["route"] == "put"


def test_default_answers_what_no_route_does(test_client_factory: Any) -> None:
    router = Router(default=PlainTextResponse("default", status_code=299))
    assert test_client_factory(router).get("/x").status_code == 299


def test_route_body_limit_holds_for_that_route(test_client_factory: Any) -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    routes = [Route("/small", echo, methods=["POST"], max_body_size=2), Route("/any", echo, methods=["POST"])]
    client = test_client_factory(Pallasite(routes=routes))
    assert client.post("/small", content=b"123").status_code == 413
    assert client.post("/any", content=b"123").text == "123"
    limited = Router([Route("/", echo, methods=["POST"])], max_body_size=2)
    assert test_client_factory(limited).post("/", content=b"123").status_code == 413


async def test_base_route_leaves_its_methods_to_subclasses() -> None:
    route = BaseRoute()
    with pytest.raises(NotImplementedError):
        route.matches({})
    with pytest.raises(NotImplementedError):
        route.url_path_for("x")
    with pytest.raises(NotImplementedError):
        await route.handle({}, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("route", [Route("/", show), Mount("/m", Router()), Host("h", Router())], ids=repr)
async def test_route_called_with_a_scope_of_another_kind_does_nothing(route: BaseRoute) -> None:
    await route({"type": "lifespan"}, None, None)  # type: ignore[arg-type]


def test_path_regex_can_be_replaced_again() -> None:
    route = Route("/a", show)
    for text in ("/b$", "/c$"):
        route.path_regex = re.compile(text)
        scope = {"type": "http", "path": text[:-1], "method": "GET", "root_path": ""}
        assert route.matches(scope)[0] is Match.FULL


def test_route_of_another_convertor_table_that_refuses_does_not_match() -> None:
    route = Route("/n/{n:int}", show)
    route.path_regex = re.compile("^/n/(?P<n>.+)$")
    scope = {"type": "http", "path": "/n/x", "method": "GET", "root_path": ""}
    assert route.matches(scope) == (Match.NONE, {})


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


async def test_mount_handles_by_calling_its_application() -> None:
    calls: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope)

    await Mount("/m", app).handle({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert calls == [{"type": "http"}]


def test_host_with_a_replaced_regex_is_asked_with_it() -> None:
    host = Host("{name}.example.org", Router(), name="h")
    scope = {"type": "http", "path": "/", "headers": [(b"host", b"a.example.org")]}
    assert host.matches(scope)[1]["path_params"] == {"name": "a"}
    assert host.matches({**scope, "headers": [(b"host", b"other")]}) == (Match.NONE, {})


def test_routes_that_change_while_their_index_is_made_are_indexed_again() -> None:
    router = Router([Route("/a", show, name="a")])

    class Busy(Route):
        @property
        def name(self) -> str:  # type: ignore[override]
            if len(router.routes) < 4:
                router.routes.append(Route("/late", show, name="late"))
            return "busy"

        @name.setter
        def name(self, value: str) -> None:
            pass

    router.routes.append(Busy("/busy", show))
    assert router.url_path_for("busy") == "/busy"
    assert router.url_path_for("late") == "/late"


async def test_route_without_a_dict_of_its_own_is_served() -> None:
    class Bare:
        __slots__ = ()

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return Match.FULL, {"endpoint": self}

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("bare")(scope, receive, send)

    sent = Sent()
    router = Router([Bare()])  # type: ignore[list-item]
    await router({"type": "http", "path": "/", "method": "GET", "headers": []}, None, sent)  # type: ignore[arg-type]
    assert sent[1]["body"] == b"bare"
