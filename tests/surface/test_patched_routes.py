"""Patches of routes, convertors and URLs reach every request, whenever they are made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.surface.patching import WHENEVER, application, client_of_patched, spy_on_call

# Routes.


@WHENEVER
@pytest.mark.parametrize("method", ["matches", "handle"])
@pytest.mark.parametrize("kind", ["Route", "Mount", "Host"])
def test_route_method_patched_on_the_class_is_reached(
    lib: Any, kind: str, method: str, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing = lib("routing")
    calls: list[Any] = []

    async def home(request: Any) -> Any:
        return lib("responses").PlainTextResponse("home")

    makers = {
        "Route": lambda: routing.Route("/", home),
        "Mount": lambda: routing.Mount("", routes=[routing.Route("/", home)]),
        "Host": lambda: routing.Host("testserver", routing.Router([routing.Route("/", home)])),
    }
    cls = getattr(routing, kind)
    old = getattr(cls, method)

    def traced(self: Any, *args: Any) -> Any:
        calls.append(self)
        return old(self, *args)

    routes: list[Any] = []

    def make() -> Any:
        routes.append(makers[kind]())
        return lib("applications").Starlette(routes=routes)

    client = client_of_patched(when, make, lambda: monkeypatch.setattr(cls, method, traced), test_client_factory)
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == routes
    monkeypatch.undo()
    assert client.get("/").text == "home"
    assert calls == routes


@WHENEVER
def test_route_method_patched_on_a_subclass_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing = lib("routing")

    class Own(routing.Route):  # type: ignore[misc, name-defined]
        pass

    async def home(request: Any) -> Any:
        return lib("responses").PlainTextResponse("home")

    async def other(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await lib("responses").PlainTextResponse("patched")(scope, receive, send)

    routes = [Own("/", home), routing.Route("/stock", home)]
    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=routes),
        lambda: monkeypatch.setattr(Own, "handle", other, raising=False),
        test_client_factory,
    )
    assert client.get("/").text == "patched"
    assert client.get("/stock").text == "home"
    monkeypatch.undo()
    assert client.get("/").text == "home"


@WHENEVER
@pytest.mark.parametrize("method", ["matches", "handle"])
def test_route_method_patched_on_the_instance_is_reached(
    lib: Any, method: str, when: str, test_client_factory: Any
) -> None:
    routing = lib("routing")

    async def home(request: Any) -> Any:
        return lib("responses").PlainTextResponse("home")

    route = routing.Route("/", home)
    old = getattr(route, method)
    calls: list[Any] = []

    def traced(*args: Any) -> Any:
        calls.append(args[0]["path"])
        return old(*args)

    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[route]),
        lambda: setattr(route, method, traced),
        test_client_factory,
    )
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == ["/"]
    delattr(route, method)
    assert client.get("/").text == "home"
    assert calls == ["/"]


@WHENEVER
def test_url_path_for_patched_on_a_route_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing, URLPath = lib("routing"), lib("datastructures").URLPath

    def other(self: Any, name: str, /, **path_params: Any) -> Any:
        if name != "special":
            raise routing.NoMatchFound(name, path_params)
        return URLPath("/patched")

    async def home(request: Any) -> Any:
        return lib("responses").PlainTextResponse(str(request.app.url_path_for(request.query_params["name"])))

    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[routing.Route("/", home)]),
        lambda: monkeypatch.setattr(routing.Route, "url_path_for", other),
        test_client_factory,
    )
    if when != "before-construction":
        monkeypatch.undo()
        assert client.get("/?name=home").text == "/"
        monkeypatch.setattr(routing.Route, "url_path_for", other)
    assert client.get("/?name=special").text == "/patched"
    monkeypatch.undo()
    assert client.get("/?name=home").text == "/"


@WHENEVER
def test_websocket_route_patched_on_the_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing = lib("routing")
    calls: list[str] = []

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.close()

    for method in ("matches", "handle"):
        old = getattr(routing.WebSocketRoute, method)

        def traced(self: Any, *args: Any, old: Any = old, method: str = method) -> Any:
            calls.append(method)
            return old(self, *args)

        client = client_of_patched(
            when,
            lambda: lib("applications").Starlette(routes=[routing.WebSocketRoute("/chat", chat)]),
            lambda method=method, traced=traced: monkeypatch.setattr(routing.WebSocketRoute, method, traced),  # type: ignore[misc]
            test_client_factory,
        )
        with client.websocket_connect("/chat"):
            pass
    assert set(calls) == {"matches", "handle"}


def test_router_methods_patched_before_construction_are_reached(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Router.app` and `Router.not_found` are bound when a router is made, as in Starlette."""
    router = lib("routing").Router
    calls: list[str] = []
    for method in ("app", "not_found"):
        old = getattr(router, method)

        async def traced(self: Any, *args: Any, old: Any = old, method: str = method) -> None:
            calls.append(method)
            await old(self, *args)

        monkeypatch.setattr(router, method, traced)
    client = test_client_factory(application(lib))
    assert client.get("/").text == "home"
    assert client.get("/nowhere").status_code == 404
    assert calls == ["app", "app", "not_found"]


@WHENEVER
def test_router_call_patched_on_the_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    cls = lib("routing").Router
    client = client_of_patched(
        when, lambda: application(lib), lambda: spy_on_call(monkeypatch, cls, calls), test_client_factory
    )
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == ["/"]


def test_request_response_patched_in_the_module_makes_every_new_route(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing = lib("routing")
    old, wrapped = routing.request_response, []

    def tracing(func: Any) -> Any:
        wrapped.append(func)
        app = old(func)

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            scope["path_params"]["traced"] = "yes"
            await app(scope, receive, send)

        return traced

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(request.path_params.get("traced", "no"))

    before = routing.Route("/before", show)
    monkeypatch.setattr(routing, "request_response", tracing)
    client = test_client_factory(lib("applications").Starlette(routes=[before, routing.Route("/after", show)]))
    assert wrapped == [show]
    assert client.get("/before").text == "no"
    assert client.get("/after").text == "yes"


# Convertors and URLs.


def test_convertor_regex_patched_reaches_paths_compiled_later(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing, convertors = lib("routing"), lib("convertors")

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(request.path_params["name"])

    monkeypatch.setattr(convertors.StringConvertor, "regex", "[^/.]+")
    assert not routing.compile_path("/{name}")[0].match("/a.b")
    client = test_client_factory(routing.Router([routing.Route("/{name}.{kind}", show)]))
    assert client.get("/page.html").text == "page"
    assert client.get("/two.dots.html").status_code == 404


@pytest.mark.parametrize("when", ["before-construction", "after-construction"])
def test_convertor_to_string_patched_reaches_url_building(lib: Any, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    routing, convertors = lib("routing"), lib("convertors")

    def patch() -> None:
        monkeypatch.setattr(convertors.StringConvertor, "to_string", lambda self, value: f"({value})")

    if when == "before-construction":
        patch()
    route = routing.Route("/{name}", print, name="show")
    router = routing.Router([routing.Mount("/{place}", routes=[route], name="in"), route])
    if when == "after-construction":
        assert router.url_path_for("show", name="a") == "/a"
        patch()
    assert router.url_path_for("show", name="a") == "/(a)"
    assert router.url_path_for("in:show", place="x", name="a") == "/(x)/(a)"


def test_convertor_types_patched_reach_paths_compiled_later(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing, convertors = lib("routing"), lib("convertors")

    class Upper(convertors.Convertor):  # type: ignore[misc, name-defined]
        regex = "[a-z]+"

        def convert(self, value: str) -> str:
            return value.upper()

        def to_string(self, value: str) -> str:
            return value.lower()

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(request.path_params["name"])

    monkeypatch.setitem(convertors.CONVERTOR_TYPES, "upper", Upper())
    client = test_client_factory(routing.Router([routing.Route("/{name:upper}", show)]))
    assert client.get("/page").text == "PAGE"


def test_convertors_replaced_inside_the_dictionary_of_a_route_convert(lib: Any, test_client_factory: Any) -> None:
    routing, convertors = lib("routing"), lib("convertors")

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(repr(request.path_params["n"]))

    route = routing.Route("/{n}", show)
    client = test_client_factory(routing.Router([route]))
    assert client.get("/5").text == "'5'"
    route.param_convertors["n"] = convertors.CONVERTOR_TYPES["int"]
    assert client.get("/5").text == "5"


@WHENEVER
def test_url_path_for_patched_on_the_connection_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = lib("requests").HTTPConnection

    async def show(request: Any) -> Any:
        maker = getattr(request, "url_path_for", None)
        return lib("responses").PlainTextResponse(maker("show") if maker else "none")

    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[lib("routing").Route("/", show)]),
        lambda: monkeypatch.setattr(connection, "url_path_for", lambda self, name: f"own {name}", raising=False),
        test_client_factory,
    )
    assert client.get("/").text == "own show"
