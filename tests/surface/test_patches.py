"""What tracers and test suites replace: attributes of classes, of modules and of instances, whenever they do it."""

from __future__ import annotations

import contextlib
import inspect
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

WHENEVER = pytest.mark.parametrize("when", ["before-construction", "after-construction", "after-the-first-request"])


def client_of_patched(when: str, make: Callable[[], Any], patch: Callable[[], None], client_factory: Any) -> Any:
    """A client of the application that `make` gives, with `patch` called at that moment."""
    if when == "before-construction":
        patch()
    app = make()
    if when == "after-construction":
        patch()
    client = client_factory(app, raise_server_exceptions=False)
    if when == "after-the-first-request":
        client.get("/")
        patch()
    return client


def application(lib: Any, **options: Any) -> Any:
    async def home(request: Any) -> Any:
        return lib("responses").PlainTextResponse("home")

    return lib("applications").Starlette(routes=[lib("routing").Route("/", home)], **options)


def spy_on_call(monkeypatch: pytest.MonkeyPatch, cls: type[Any], calls: list[str]) -> None:
    """Replaces the class's `__call__` as a tracer does: its own notes, then the old one."""
    old_call = cls.__call__

    async def traced(self: Any, scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        await old_call(self, scope, receive, send)

    monkeypatch.setattr(cls, "__call__", traced)


# Applications and middleware classes.


@WHENEVER
def test_application_call_patched_on_the_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    cls = lib("applications").Starlette
    client = client_of_patched(
        when, lambda: application(lib), lambda: spy_on_call(monkeypatch, cls, calls), test_client_factory
    )
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == ["/"]


MIDDLEWARE: dict[str, tuple[str, dict[str, Any]]] = {
    "AuthenticationMiddleware": ("authentication", {}),
    "BaseHTTPMiddleware": ("base", {}),
    "CORSMiddleware": ("cors", {}),
    "ExceptionMiddleware": ("exceptions", {}),
    "GZipMiddleware": ("gzip", {}),
    "HTTPSRedirectMiddleware": ("httpsredirect", {}),
    "RequestBodyLimitMiddleware": ("body_limit", {"max_body_size": 10}),
    "ServerErrorMiddleware": ("errors", {}),
    "SessionMiddleware": ("sessions", {"secret_key": "a secret of more than 32 characters"}),
    "TrustedHostMiddleware": ("trustedhost", {}),
}


def middleware_of(lib: Any, name: str) -> Any:
    """A `Middleware` entry of that class, with what its `__init__` needs."""
    module, options = MIDDLEWARE[name]
    if name == "AuthenticationMiddleware":

        class Nobody(lib("authentication").AuthenticationBackend):  # type: ignore[misc]
            async def authenticate(self, conn: Any) -> Any:
                return None

        options = {"backend": Nobody()}
    elif name == "BaseHTTPMiddleware":

        async def dispatch(request: Any, call_next: Any) -> Any:
            return await call_next(request)

        options = {"dispatch": dispatch}
    return lib("middleware").Middleware(getattr(lib("middleware." + module), name), **options)


@WHENEVER
@pytest.mark.parametrize("name", MIDDLEWARE)
def test_middleware_call_patched_on_the_class_is_reached(
    lib: Any, name: str, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    entry = middleware_of(lib, name)
    client = client_of_patched(
        when,
        lambda: application(lib, middleware=[entry]),
        lambda: spy_on_call(monkeypatch, entry.cls, calls),
        test_client_factory,
    )
    calls.clear()
    client.get("/", follow_redirects=False)
    # Two of them stand in every application besides.
    assert calls == ["/"] * (2 if name in ("ExceptionMiddleware", "ServerErrorMiddleware") else 1)


@pytest.mark.parametrize("name", MIDDLEWARE)
def test_middleware_methods_are_python_functions(lib: Any, name: str) -> None:
    cls = middleware_of(lib, name).cls
    assert inspect.isfunction(cls.__call__)
    assert inspect.isfunction(cls.__init__)
    assert cls.__call__.__name__ == "__call__"
    assert str(cls.__init__).startswith(f"<function {name}.__init__ at ")


@pytest.mark.parametrize("when", ["before-construction", "after-construction"])
def test_exception_middleware_init_patched_sees_its_handlers(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stack is built with the first request, so a patch counts until then."""
    cls = lib("middleware.exceptions").ExceptionMiddleware
    seen: list[Any] = []
    old_init = cls.__init__

    def traced(self: Any, *args: Any, **kwargs: Any) -> None:
        old_init(self, *args, **kwargs)
        seen.append(self._exception_handlers)

    client = client_of_patched(
        when,
        lambda: application(lib, exception_handlers={LookupError: print}),
        lambda: monkeypatch.setattr(cls, "__init__", traced),
        test_client_factory,
    )
    client.get("/")
    assert len(seen) == 1
    assert seen[0][LookupError] is print


def test_every_built_in_layer_is_made_through_middleware(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = lib("middleware").Middleware
    made: list[str] = []
    old_init = cls.__init__

    def traced(self: Any, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        made.append(middleware_class.__name__)
        old_init(self, middleware_class, *args, **kwargs)

    monkeypatch.setattr(cls, "__init__", traced)
    app = application(lib, max_body_size=10)
    app.add_middleware(lib("middleware.gzip").GZipMiddleware)
    test_client_factory(app).get("/")
    assert sorted(made) == [
        "ExceptionMiddleware",
        "GZipMiddleware",
        "RequestBodyLimitMiddleware",
        "ServerErrorMiddleware",
    ]


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

    class Own(routing.Route):  # type: ignore[misc]
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
        monkeypatch.setattr(convertors.StringConvertor, "to_string", lambda self, value: f"<{value}>")

    if when == "before-construction":
        patch()
    route = routing.Route("/{name}", print, name="show")
    router = routing.Router([routing.Mount("/{place}", routes=[route], name="in"), route])
    if when == "after-construction":
        assert router.url_path_for("show", name="a") == "/a"
        patch()
    assert router.url_path_for("show", name="a") == "/<a>"
    assert router.url_path_for("in:show", place="x", name="a") == "/<x>/<a>"


def test_convertor_types_patched_reach_paths_compiled_later(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing, convertors = lib("routing"), lib("convertors")

    class Upper(convertors.Convertor):  # type: ignore[misc]
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


# Applications, instance by instance.


def test_build_middleware_stack_is_called_through_the_instance(lib: Any, test_client_factory: Any) -> None:
    app = application(lib, exception_handlers={500: print})
    original, built = app.build_middleware_stack, []

    class Outer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["path"] = "/"
            await self.app(scope, receive, send)

    def build() -> Any:
        stack = original()
        assert isinstance(stack, lib("middleware.errors").ServerErrorMiddleware)
        assert (stack.handler, stack.debug) == (print, False)
        stack.app = Outer(stack.app)
        built.append(stack)
        return stack

    app.build_middleware_stack = build
    client = test_client_factory(app)
    assert client.get("/somewhere").text == client.get("/else").text == "home"
    assert built == [app.middleware_stack]


def test_middleware_stack_can_be_read_and_assigned(lib: Any, test_client_factory: Any) -> None:
    app = application(lib)
    assert app.middleware_stack is None
    client = test_client_factory(app)
    client.get("/")
    assert isinstance(app.middleware_stack, lib("middleware.errors").ServerErrorMiddleware)
    app.middleware_stack = lib("responses").PlainTextResponse("another stack")
    assert client.get("/").text == "another stack"
    app.middleware_stack = None
    assert client.get("/").text == "home"


def test_user_middleware_is_a_list_of_entries_that_can_be_changed(lib: Any, test_client_factory: Any) -> None:
    app = application(lib, middleware=[middleware_of(lib, "GZipMiddleware")])
    assert [entry.cls.__name__ for entry in app.user_middleware] == ["GZipMiddleware"]
    entry = middleware_of(lib, "CORSMiddleware")
    entry.kwargs["allow_origins"] = ["*"]
    app.user_middleware.insert(0, entry)
    response = test_client_factory(app).get("/", headers={"origin": "https://example.org"})
    assert response.headers["access-control-allow-origin"] == "*"


def test_stack_is_rebuilt_where_its_entries_were_changed_later(lib: Any, test_client_factory: Any) -> None:
    app = application(lib)
    client = test_client_factory(app)
    client.get("/")
    entry = middleware_of(lib, "CORSMiddleware")
    entry.kwargs["allow_origins"] = ["*"]
    app.user_middleware.insert(0, entry)
    app.middleware_stack = app.build_middleware_stack()
    response = client.get("/", headers={"origin": "https://example.org"})
    assert response.headers["access-control-allow-origin"] == "*"


def test_lifespan_context_assigned_is_read_at_the_start(lib: Any, test_client_factory: Any) -> None:
    app, events = application(lib), []
    before = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def wrapped(app: Any) -> Any:
        async with before(app) as state:
            events.append("start")
            yield {"from": "lifespan", **(state or {})}
            events.append("stop")

    app.router.lifespan_context = wrapped
    with test_client_factory(app) as client:
        assert events == ["start"]
        assert client.app_state == {"from": "lifespan"}
    assert events == ["start", "stop"]


def test_application_class_replaced_in_its_module_is_what_is_made(lib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    applications = lib("applications")

    class Instrumented(applications.Starlette):  # type: ignore[misc]
        instances: list[Any] = []

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.instances.append(self)

    monkeypatch.setattr(applications, "Starlette", Instrumented)
    app = applications.Starlette(debug=True)
    assert Instrumented.instances == [app]
    assert app.debug is True


# Single methods.


def test_templates_init_patched_can_add_context_processors(
    lib: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = lib("templating").Jinja2Templates
    (tmp_path / "page.html").write_text("{{ added }}")
    old_init = templates.__init__

    def patched(self: Any, *args: Any, **kwargs: Any) -> None:
        kwargs["context_processors"] = [*kwargs.get("context_processors", ()), lambda request: {"added": "by tracer"}]
        old_init(self, *args, **kwargs)

    monkeypatch.setattr(templates, "__init__", patched)
    request = lib("requests").Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    assert templates(tmp_path).TemplateResponse(request, "page.html").body == b"by tracer"


@WHENEVER
def test_background_task_call_patched_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    background = lib("background")
    cls, calls = background.BackgroundTask, []
    old_call = cls.__call__

    async def traced(self: Any) -> None:
        calls.append(self.func)
        await old_call(self)

    def note() -> None:
        pass

    async def home(request: Any) -> Any:
        tasks = background.BackgroundTasks()
        tasks.add_task(note)
        return lib("responses").PlainTextResponse("home", background=tasks)

    def single(request: Any) -> Any:
        return lib("responses").PlainTextResponse("one", background=cls(note))

    def patch() -> None:
        monkeypatch.setattr(cls, "__call__", traced)
        monkeypatch.setattr(cls, "_otel_original_call", old_call, raising=False)

    Route = lib("routing").Route
    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[Route("/", home), Route("/single", single)]),
        patch,
        test_client_factory,
    )
    calls.clear()
    client.get("/")
    client.get("/single")
    assert calls == [note, note]
    assert cls._otel_original_call is old_call


@WHENEVER
def test_response_call_patched_on_the_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    cls = lib("responses").Response
    client = client_of_patched(
        when, lambda: application(lib), lambda: spy_on_call(monkeypatch, cls, calls), test_client_factory
    )
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == ["/"]


def test_debug_response_set_on_the_class_or_instance_is_used(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = lib("middleware.errors").ServerErrorMiddleware

    class Pretty:
        def respond(self, request: Any, exc: Exception) -> Any:
            return lib("responses").PlainTextResponse(f"pretty {exc}", status_code=500)

    async def failing(request: Any) -> Any:
        raise RuntimeError("mess")

    app = lib("applications").Starlette(debug=True, routes=[lib("routing").Route("/", failing)])
    client = test_client_factory(app, raise_server_exceptions=False)
    assert "pretty" not in client.get("/").text
    monkeypatch.setattr(app.middleware_stack, "debug_response", Pretty().respond)
    assert client.get("/").text == "pretty mess"
    monkeypatch.undo()
    monkeypatch.setattr(errors, "debug_response", Pretty().respond)
    assert client.get("/").text == "pretty mess"


def test_upload_file_takes_a_new_method(
    lib: Any, tmp_path: Path, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def save(self: Any, path: Path) -> int:
        return path.write_bytes(await self.read())  # noqa: ASYNC240

    async def upload(request: Any) -> Any:
        async with request.form() as form:
            size = await form["file"].save(target)
        return lib("responses").PlainTextResponse(str(size))

    target = tmp_path / "saved"
    monkeypatch.setattr(lib("datastructures").UploadFile, "save", save, raising=False)
    client = test_client_factory(lib("routing").Router([lib("routing").Route("/", upload, methods=["POST"])]))
    assert client.post("/", files={"file": ("a.txt", b"four")}).text == "4"
    assert target.read_bytes() == b"four"


# Globals that test suites replace in a module.


def test_spooled_file_replaced_in_formparsers_is_what_holds_uploads(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    formparsers = lib("formparsers")
    made: list[Any] = []
    original = formparsers.SpooledTemporaryFile

    class Watched(original):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    async def upload(request: Any) -> Any:
        async with request.form() as form:
            return lib("responses").PlainTextResponse(str(form["file"].file in made))

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Watched)
    client = test_client_factory(lib("routing").Router([lib("routing").Route("/", upload, methods=["POST"])]))
    assert client.post("/", files={"file": ("a.txt", b"four")}).text == "True"


@WHENEVER
def test_lookup_path_patched_on_static_files_is_reached(
    lib: Any, when: str, tmp_path: Path, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = lib("staticfiles").StaticFiles
    other = tmp_path / "other.txt"
    other.write_text("other")
    (tmp_path / "one.txt").write_text("one")

    def lookup(self: Any, path: str) -> Any:
        return str(other), other.stat()

    client = client_of_patched(
        when,
        lambda: cls(directory=tmp_path),
        lambda: monkeypatch.setattr(cls, "lookup_path", lookup),
        test_client_factory,
    )
    assert client.get("/one.txt").text == "other"
    monkeypatch.undo()
    assert client.get("/one.txt").text == "one"


@WHENEVER
def test_json_dumps_replaced_is_what_encodes(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def home(request: Any) -> Any:
        return lib("responses").JSONResponse({"a": 1})

    old_dumps = json.dumps

    def dumps(value: Any, **options: Any) -> str:
        return old_dumps([value], **options)

    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[lib("routing").Route("/", home)]),
        lambda: monkeypatch.setattr(lib("responses").json, "dumps", dumps),
        test_client_factory,
    )
    assert client.get("/").text == '[{"a":1}]'


def test_clock_replaced_decides_when_a_session_is_over(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(request: Any) -> Any:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return lib("responses").PlainTextResponse(str(request.session["visits"]))

    session = lib("middleware").Middleware(
        lib("middleware.sessions").SessionMiddleware, secret_key="a secret of more than 32 characters", max_age=60
    )
    app = lib("applications").Starlette(routes=[lib("routing").Route("/", count)], middleware=[session])
    client = test_client_factory(app)
    now = time.time()
    assert client.get("/").text == "1"
    cookie = {"cookie": f"session={client.cookies['session']}"}
    client.cookies.clear()
    monkeypatch.setattr(time, "time", lambda: now + 50)
    assert client.get("/", headers=cookie).text == "2"
    client.cookies.clear()
    monkeypatch.setattr(time, "time", lambda: now + 70)
    assert client.get("/", headers=cookie).text == "1"


def test_open_file_of_anyio_replaced_is_what_file_responses_open_with(
    lib: Any, tmp_path: Path, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("content")
    opened: list[Any] = []
    open_file = anyio.open_file

    async def watched(file: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(file)
        return await open_file(file, *args, **kwargs)

    monkeypatch.setattr(anyio, "open_file", watched)
    assert test_client_factory(lib("responses").FileResponse(path)).get("/").text == "content"
    assert [Path(file) for file in opened] == [path]


# FastAPI's own functions, which run inside endpoints.


def test_fastapi_functions_patched_are_called_in_handlers(lib: Any) -> None:
    """On Pallasite through the alias, on Starlette as it is: the same program in a process of its own."""
    program = """
    import sys
    if sys.argv[1] == "pallasite":
        import pallasite
        pallasite.install_as_starlette()
    import fastapi, fastapi.routing
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    calls = []
    def spy(name):
        old = getattr(fastapi.routing, name)
        def traced(*args, **kwargs):
            calls.append(name)
            return old(*args, **kwargs)
        setattr(fastapi.routing, name, traced)
    for name in ("get_request_handler", "run_endpoint_function", "solve_dependencies"):
        spy(name)

    class Instrumented(fastapi.FastAPI):
        pass
    fastapi.FastAPI = Instrumented
    app = fastapi.FastAPI()
    @app.get("/{x}")
    async def show(x: int):
        return x
    assert isinstance(app, Starlette)
    assert TestClient(app).get("/5").json() == 5
    print(*sorted(set(calls)))
    """
    package = lib("routing").__package__
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), package],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "get_request_handler run_endpoint_function solve_dependencies\n", result.stderr


def test_fastapi_route_methods_patched_whenever_are_asked_as_on_starlette() -> None:
    """Which routes are asked, in which order, on class and instance, with included routers: the same on both."""
    program = """
    import sys
    if sys.argv[1] == "pallasite":
        import pallasite
        pallasite.install_as_starlette()
    import fastapi, fastapi.routing
    from starlette import routing
    from starlette.testclient import TestClient
    from unittest import mock

    calls = []
    def spy(target, name):
        old = getattr(target, name)
        def traced(*args, **kwargs):
            route = args[0] if isinstance(target, type) else target
            calls.append((name, getattr(route, "path", type(route).__name__)))
            return old(*args, **kwargs)
        return mock.patch.object(target, name, traced)

    def make():
        app, router = fastapi.FastAPI(), fastapi.APIRouter()
        async def show():
            return 1
        for path in ("/a", "/b/{x}"):
            router.add_api_route(path, show)
            app.add_api_route(path, show)
        app.include_router(router, prefix="/in")
        return app

    def ask(client):
        for path in ("/b/1", "/in/b/1", "/none", "/a/"):
            print(path, client.get(path).status_code, calls)
            calls.clear()

    for cls in (fastapi.routing.APIRoute, routing.Route, routing.Router):
        for name in ("matches", "handle"):
            if not hasattr(cls, name):
                continue
            for when in range(3):
                print(cls.__name__, name, when)
                patch = spy(cls, name)
                if when == 0:
                    patch.start()
                app = make()
                if when == 1:
                    patch.start()
                client = TestClient(app)
                if when == 2:
                    client.get("/b/1")
                    calls.clear()
                    patch.start()
                ask(client)
                patch.stop()
                ask(client)
    for index in (-3, -2):
        app = make()
        client = TestClient(app)
        ask(client)
        with spy(app.routes[index], "matches"), spy(app.routes[index], "handle"):
            ask(client)
        ask(client)
    """
    said = {}
    for package in ("pallasite", "starlette"):
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), package],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        said[package] = result.stdout.splitlines()
    assert said["pallasite"] == said["starlette"]
    assert any("('matches', '/a')" in line for line in said["starlette"])
    assert any("('handle', '/b/{x}')" in line for line in said["starlette"])
