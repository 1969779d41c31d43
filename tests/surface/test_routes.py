"""Routes that other packages walk, read, copy and change, and lists of routes that they replace, sort and cut."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from tests.support.asgi import scope_of


def showing(lib: Any, text: str) -> Any:
    async def endpoint(request: Any) -> Any:
        return lib("responses").PlainTextResponse(f"{text} {dict(request.path_params)}")

    endpoint.__name__ = text
    return endpoint


# Walking.


def test_routes_are_walked_and_matched_again_by_middleware(lib: Any, test_client_factory: Any) -> None:
    """As metrics and tracers do to learn the path template of a request."""
    routing = lib("routing")
    found: list[str] = []

    def template_of(routes: Any, scope: Any) -> str | None:
        for route in routes:
            match, child_scope = route.matches(scope)
            if match is routing.Match.FULL:
                try:
                    path = route.path
                except AttributeError:  # a host
                    return template_of(route.routes, scope)
                inner = getattr(route, "routes", None)
                if inner:
                    return f"{path}{template_of(inner, {**scope, **child_scope})}"
                return str(path)
        return None

    class Walking:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            # The scope is what the application left: the innermost mount has moved the root path.
            fresh = {**scope, "root_path": scope.get("app_root_path", scope["root_path"])}
            fresh.pop("path_params", None)
            found.append(str(template_of(scope["router"].routes, fresh)))

    api = [routing.Route("/items/{id:int}", showing(lib, "item"))]
    app = lib("applications").Starlette(
        routes=[
            routing.Route("/", showing(lib, "home")),
            routing.Mount("/api/{version}", routes=api),
            routing.Host("sub.example.org", routing.Router([routing.Route("/at", showing(lib, "host"))])),
        ],
        middleware=[lib("middleware").Middleware(Walking)],
    )
    client = test_client_factory(app)
    for path, host in (("/", "a"), ("/api/v1/items/5", "a"), ("/at", "sub.example.org"), ("/none", "a")):
        client.get(path, headers={"host": host})
    assert found == ["/", "/api/{version}/items/{id:int}", "/at", "None"]


def test_matches_again_returns_the_same_and_leaves_the_scope_alone(lib: Any) -> None:
    routing = lib("routing")
    endpoint = showing(lib, "x")
    route = routing.Route("/items/{id:int}", endpoint, methods=["GET"])
    scope = scope_of("/items/5", path_params={"outer": 1})
    before = dict(scope)
    for _ in range(2):
        assert route.matches(scope) == (
            routing.Match.FULL,
            {"endpoint": endpoint, "path_params": {"outer": 1, "id": 5}},
        )
    assert scope == before
    assert route.matches({**scope, "method": "POST"})[0] is routing.Match.PARTIAL
    assert route.matches({**scope, "path": "/other"}) == (routing.Match.NONE, {})
    assert route.matches({**scope, "type": "websocket"}) == (routing.Match.NONE, {})
    assert routing.Route.matches(route, scope)[0] is routing.Match.FULL


def test_routes_show_what_they_are(lib: Any) -> None:
    routing = lib("routing")
    endpoint, chat = showing(lib, "show"), showing(lib, "chat")
    route = routing.Route("/items/{id:int}", endpoint, methods=["POST", "get"], include_in_schema=False)
    assert (route.path, route.endpoint, route.name) == ("/items/{id:int}", endpoint, "show")
    assert route.methods == {"POST", "GET", "HEAD"}
    assert route.include_in_schema is False
    socket = routing.WebSocketRoute("/ws", chat)
    assert (socket.path, socket.endpoint, socket.name) == ("/ws", chat, "chat")
    assert not hasattr(socket, "methods")
    mount = routing.Mount("/m/", routes=[route], name="m")
    assert (mount.path, mount.name, list(mount.routes)) == ("/m", "m", [route])
    assert isinstance(mount.app, routing.Router)
    assert list(routing.Mount("/x", app=chat).routes) == []
    host = routing.Host("{sub}.example.org", routing.Router([route]), name="h")
    assert (host.host, host.name, list(host.routes)) == ("{sub}.example.org", "h", [route])


def test_host_has_no_path_and_callers_see_an_attribute_error(lib: Any) -> None:
    host = lib("routing").Host("example.org", lib("routing").Router())
    with pytest.raises(AttributeError):
        host.path  # noqa: B018
    assert getattr(host, "path", "default") == "default"


# Regular expressions.


@pytest.mark.parametrize("kind", ["route", "websocket", "mount"])
def test_path_regex_is_a_pattern(lib: Any, kind: str) -> None:
    routing = lib("routing")
    endpoint = showing(lib, "x")
    route, path = {
        "route": (routing.Route("/a/{id:int}/{rest}", endpoint), "/a/5/b"),
        "websocket": (routing.WebSocketRoute("/a/{id:int}/{rest}", endpoint), "/a/5/b"),
        "mount": (routing.Mount("/a/{id:int}", app=endpoint), "/a/5/b"),
    }[kind]
    regex = route.path_regex
    assert isinstance(regex, re.Pattern)
    assert isinstance(regex.pattern, str)
    assert "id" in regex.groupindex
    found = regex.match(path)
    assert found is not None
    assert found.groupdict()["id"] == "5"
    assert regex.match("/b") is None
    assert regex.fullmatch(path)
    assert re.compile(regex) is regex
    assert route.path_regex is regex


def test_path_format_and_convertors_are_readable(lib: Any) -> None:
    routing, convertors = lib("routing"), lib("convertors")
    route = routing.Route("/a/{id:int}/{rest:path}", showing(lib, "x"))
    assert route.path_format == "/a/{id}/{rest}"
    assert type(route.param_convertors) is dict
    assert list(route.param_convertors) == ["id", "rest"]
    assert isinstance(route.param_convertors["id"], convertors.IntegerConvertor)
    mount = routing.Mount("/m/{x}", app=route)
    assert (mount.path_format, list(mount.param_convertors)) == ("/m/{x}/{path}", ["x", "path"])
    host = routing.Host("{sub}.example.org", app=route)
    assert host.host_format == "{sub}.example.org"
    assert isinstance(host.host_regex, re.Pattern)
    assert list(host.param_convertors) == ["sub"]


def test_compile_path_returns_pattern_format_and_convertors(lib: Any) -> None:
    regex, path_format, convertors = lib("routing").compile_path("/a/{id:int}.{kind}")
    found = regex.match("/a/5.json")
    assert isinstance(regex, re.Pattern)
    assert found.groupdict() == {"id": "5", "kind": "json"}
    assert path_format == "/a/{id}.{kind}"
    assert {name: type(value).__name__ for name, value in convertors.items()} == {
        "id": "IntegerConvertor",
        "kind": "StringConvertor",
    }
    assert regex.match("/a/x.json") is None


def test_custom_path_regex_decides(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    route = routing.Route("/x", showing(lib, "x"))
    client = test_client_factory(routing.Router([route]))
    assert client.get("/x").status_code == 200
    route.path_regex = re.compile("^/(?P<word>[a-z]+)$", re.IGNORECASE)
    route.param_convertors = {"word": lib("convertors").StringConvertor()}
    assert client.get("/HeLLo").text == "x {'word': 'HeLLo'}"
    assert client.get("/5").status_code == 404


# Copying.


def make(lib: Any, kind: str, path: str, text: str) -> Any:
    routing = lib("routing")
    if kind == "Route":
        return routing.Route(path, showing(lib, text))
    return routing.Mount(path, routes=[routing.Route("/in", showing(lib, text))])


@pytest.mark.parametrize("kind", ["Route", "Mount"])
@pytest.mark.parametrize("served_before", [False, True], ids=["fresh", "served"])
def test_copied_route_with_another_path_leaves_the_original_alone(
    lib: Any, kind: str, served_before: bool, test_client_factory: Any
) -> None:
    """As FastAPI's included routers do: `copy.copy`, then path and triple anew."""
    routing = lib("routing")
    original = make(lib, kind, "/a/{x}", "text")
    end = "" if kind == "Route" else "/in"
    router = routing.Router([original])
    client = test_client_factory(router)
    if served_before:
        assert client.get("/a/1" + end).status_code == 200
    twin = copy.copy(original)
    assert type(twin) is type(original)
    twin.path = "/b/{y:int}"
    full = twin.path if kind == "Route" else twin.path + "/{path:path}"
    twin.path_regex, twin.path_format, twin.param_convertors = routing.compile_path(full)
    router.routes.append(twin)
    assert client.get("/a/1" + end).text == "text {'x': '1'}"
    assert client.get("/b/1" + end).text == "text {'y': 1}"
    assert client.get("/b/x" + end).status_code == 404
    assert original.path_format.startswith("/a/")
    assert original.path_regex.match("/a/1" + end)
    assert not original.path_regex.match("/b/1" + end)


def test_copied_host_with_another_name_leaves_the_original_alone(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    original = routing.Host("a.example.org", routing.Router([routing.Route("/", showing(lib, "text"))]))
    router = routing.Router([original])
    client = test_client_factory(router)
    assert client.get("/", headers={"host": "a.example.org"}).status_code == 200
    twin = copy.copy(original)
    twin.host = "{sub}.example.net"
    twin.host_regex, twin.host_format, twin.param_convertors = routing.compile_path(twin.host)
    router.routes.append(twin)
    assert client.get("/", headers={"host": "b.example.net"}).text == "text {'sub': 'b'}"
    assert client.get("/", headers={"host": "a.example.org"}).text == "text {}"
    assert client.get("/", headers={"host": "b.example.org"}).status_code == 404


def test_copied_websocket_route_with_another_path_serves(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.path_params)
        await websocket.close()

    original = routing.WebSocketRoute("/a", chat)
    twin = copy.copy(original)
    twin.path = "/b/{room}"
    twin.path_regex, twin.path_format, twin.param_convertors = routing.compile_path(twin.path)
    client = test_client_factory(routing.Router([original, twin]))
    for path, expected in (("/a", {}), ("/b/x", {"room": "x"})):
        with client.websocket_connect(path) as session:
            assert session.receive_json() == expected


def test_deeply_copied_routes_serve(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    routes = [routing.Route("/a/{x:int}", showing(lib, "a")), make(lib, "Mount", "/m", "m")]
    client = test_client_factory(routing.Router(copy.deepcopy(routes)))
    assert client.get("/a/5").text == "a {'x': 5}"
    assert client.get("/m/in").text == "m {}"


def test_replaced_app_endpoint_and_methods_of_a_route_count_immediately(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    route = routing.Route("/x", showing(lib, "old"))
    seen: list[Any] = []
    client = test_client_factory(routing.Router([route]))
    assert client.get("/x").text == "old {}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["endpoint"])
        await lib("responses").PlainTextResponse("new")(scope, receive, send)

    route.app = app
    route.endpoint = other = showing(lib, "other")
    route.methods = {"POST"}
    assert client.post("/x").text == "new"
    assert client.get("/x").status_code == 405
    assert seen == [other]


# Lists.


def answers(client: Any, *paths: str) -> list[str]:
    return [client.get(path).text.split()[0] for path in paths]


def test_route_list_replaced_and_sorted_is_what_serves(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    broad, narrow = routing.Route("/{x}", showing(lib, "broad")), routing.Route("/a", showing(lib, "narrow"))
    app = lib("applications").Starlette(routes=[broad, narrow])
    client = test_client_factory(app)
    assert answers(client, "/a", "/b") == ["broad", "broad"]
    app.router.routes.sort(key=lambda route: len(route.path))
    assert answers(client, "/a", "/b") == ["narrow", "broad"]
    app.router.routes = [route for route in app.router.routes if route is not narrow]
    assert answers(client, "/a") == ["broad"]
    app.router.routes = [narrow]
    assert client.get("/b").status_code == 404
    assert app.routes == app.router.routes == [narrow]
    assert isinstance(app.routes, list)


def test_route_list_changed_in_place_is_what_serves(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    a, b, c = (routing.Route("/x", showing(lib, name)) for name in "abc")
    app = lib("applications").Starlette(routes=[a])
    client = test_client_factory(app)
    routes = app.routes
    assert answers(client, "/x") == ["a"]
    routes.insert(0, b)
    assert answers(client, "/x") == ["b"]
    routes[0] = c
    assert answers(client, "/x") == ["c"]
    routes[:] = [a, c]
    assert answers(client, "/x") == ["a"]
    del routes[0]
    assert answers(client, "/x") == ["c"]
    routes += [a]
    routes.reverse()
    assert answers(client, "/x") == ["a"]
    assert routes.pop(0) is a
    routes.remove(c)
    assert client.get("/x").status_code == 404
    routes.extend([b])
    assert answers(client, "/x") == ["b"]
    routes.clear()
    routes.append(c)
    assert answers(client, "/x") == ["c"]


def test_route_list_sliced_and_joined_is_an_ordinary_list(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    a, b = routing.Route("/a", showing(lib, "a")), routing.Route("/b", showing(lib, "b"))
    app = lib("applications").Starlette(routes=[a, b])
    assert app.routes[0] is a
    assert app.routes[:1] == [a]
    assert app.routes + [b] == [a, b, b]  # noqa: RUF005
    assert list(reversed(app.routes)) == [b, a]
    assert app.routes.index(b) == 1
    assert b in app.routes
    taken = app.routes[1:]
    taken.clear()
    client = test_client_factory(app)
    assert answers(client, "/a", "/b") == ["a", "b"]
    other = lib("applications").Starlette(routes=app.routes)
    other.routes.clear()
    assert answers(client, "/a") == ["a"]


def test_route_added_by_an_endpoint_is_there_for_the_next_request(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")

    async def grow(request: Any) -> Any:
        request.app.router.add_route("/late", showing(lib, "late"))
        return lib("responses").PlainTextResponse("grown")

    client = test_client_factory(lib("applications").Starlette(routes=[routing.Route("/grow", grow)]))
    assert client.get("/late").status_code == 404
    assert client.get("/grow").text == "grown"
    assert answers(client, "/late") == ["late"]


def test_routes_of_a_mount_changed_later_are_what_serves(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    mount = routing.Mount("/m", routes=[routing.Route("/a", showing(lib, "a"))])
    client = test_client_factory(lib("applications").Starlette(routes=[mount]))
    assert answers(client, "/m/a") == ["a"]
    mount.routes.append(routing.Route("/b", showing(lib, "b")))
    assert answers(client, "/m/b") == ["b"]
    mount.app.routes = [routing.Route("/c", showing(lib, "c"))]
    assert client.get("/m/a").status_code == 404
    assert answers(client, "/m/c") == ["c"]


def test_custom_attributes_can_be_set_on_a_route_and_deleted(lib: Any, test_client_factory: Any) -> None:
    route = lib("routing").Route("/a", showing(lib, "a"))
    client = test_client_factory(lib("routing").Router([route]))
    assert answers(client, "/a") == ["a"]
    route.tags = ["mine"]
    assert vars(route)["tags"] == ["mine"]
    del route.tags
    assert not hasattr(route, "tags")
    with pytest.raises(AttributeError):
        del route.tags
    assert answers(client, "/a") == ["a"]
