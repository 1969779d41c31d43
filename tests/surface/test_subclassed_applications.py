"""Subclasses of applications, routers, routes and middleware."""

from __future__ import annotations

from typing import Any

# Applications and routers, as FastAPI makes them.


def make_application(lib: Any) -> Any:
    """An application class that sets everything itself, as FastAPI's does."""

    class Own(lib("applications").Starlette):  # type: ignore[misc]
        def __init__(self, routes: list[Any]) -> None:
            self.debug = False
            self.max_body_size = None
            self.state = lib("datastructures").State()
            self.router = lib("routing").Router(routes)
            self.exception_handlers: dict[Any, Any] = {}
            self.user_middleware: list[Any] = []
            self.middleware_stack = None
            self.built = 0
            self.setup()

        def setup(self) -> None:
            async def schema(request: Any) -> Any:
                return lib("responses").JSONResponse({"schema": True})

            self.add_route("/schema", schema)

        def build_middleware_stack(self) -> Any:
            self.built += 1
            return super().build_middleware_stack()

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["root_path"] = "/behind"
            await super().__call__(scope, receive, send)

    return Own


def test_application_subclass_without_base_init_serves(lib: Any, test_client_factory: Any) -> None:
    async def where(request: Any) -> Any:
        return lib("responses").PlainTextResponse(str(request.base_url))

    app = make_application(lib)([lib("routing").Route("/", where)])
    client = test_client_factory(app)
    assert client.get("/").text == "http://testserver/behind/"
    assert client.get("/schema").json() == {"schema": True}
    assert client.get("/none").text == "Not Found"
    assert app.built == 1


def test_application_subclass_with_base_init_serves(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("applications").Starlette):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.requests = 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.requests += 1
            await super().__call__(scope, receive, send)

    app = Own(routes=[lib("routing").Mount("/", app=lib("responses").PlainTextResponse("mounted"))])
    client = test_client_factory(app)
    assert client.get("/").text == client.get("/x").text == "mounted"
    assert app.requests == 2


def test_router_subclass_can_bring_its_own_dispatch(lib: Any, test_client_factory: Any) -> None:
    """As FastAPI's router does: its own loop over `matches` and `handle`."""
    routing = lib("routing")
    seen: list[str] = []

    class Own(routing.Router):  # type: ignore[misc, name-defined]
        async def app(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await self.lifespan(scope, receive, send)
                return
            scope.setdefault("router", self)
            for route in self.routes:
                match, child_scope = route.matches(scope)
                seen.append(match.name)
                if match == routing.Match.FULL:
                    scope.update(child_scope)
                    scope["route"] = route
                    await route.handle(scope, receive, send)
                    return
            await self.default(scope, receive, send)

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

        def matches(self, scope: Any) -> Any:
            return routing.Match.FULL, {}

        def add_route(self, path: str, endpoint: Any, **options: Any) -> None:
            super().add_route("/prefix" + path, endpoint, **options)

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(request.url_for("show", id=7).path)

    router = Own()
    router.add_route("/other", show, name="other")
    router.add_route("/{id:int}", show, name="show")
    app = lib("applications").Starlette()
    app.router = router
    assert test_client_factory(app).get("/prefix/1").text == "/prefix/7"
    assert seen == ["NONE", "FULL"]
    assert test_client_factory(app).get("/x").text == "Not Found"
    # A router that answers `matches` and `handle` can stand among the routes of another.
    assert test_client_factory(routing.Router([router])).get("/prefix/1").text == "/prefix/7"


def test_router_subclass_that_fills_its_routes_serves(lib: Any, test_client_factory: Any) -> None:
    class Crud(lib("routing").Router):  # type: ignore[misc]
        def __init__(self, what: str) -> None:
            self.what = what
            super().__init__(routes=[lib("routing").Route("/", self.list, methods=["GET"])])

        async def list(self, request: Any) -> Any:
            return lib("responses").JSONResponse([self.what])

    outer = lib("routing").Router([lib("routing").Mount("/things", Crud("thing"))])
    assert test_client_factory(outer).get("/things/").json() == ["thing"]


# Routes.


def test_route_subclass_can_override_matches_and_handle(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")

    class Own(routing.Route):  # type: ignore[misc, name-defined]
        def matches(self, scope: Any) -> Any:
            match, child_scope = super().matches(scope)
            if match is routing.Match.FULL:
                child_scope["path_params"] = {"by": "matches", **child_scope["path_params"]}
                child_scope["more"] = "and this"
            return match, child_scope

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            scope["path_params"]["also"] = "handle"
            await super().handle(scope, receive, send)

    async def show(request: Any) -> Any:
        return lib("responses").JSONResponse([request.path_params, request.scope["more"]])

    client = test_client_factory(lib("applications").Starlette(routes=[Own("/{x}", show, methods=["GET"])]))
    assert client.get("/a").json() == [{"by": "matches", "x": "a", "also": "handle"}, "and this"]
    assert client.post("/a").status_code == 405
    assert client.get("/a/b").status_code == 404


def test_route_subclass_without_base_init_serves(lib: Any, test_client_factory: Any) -> None:
    """As FastAPI's routes do: the triple from `compile_path`, and their own application."""
    routing = lib("routing")

    class Own(routing.Route):  # type: ignore[misc, name-defined]
        def __init__(self, path: str, endpoint: Any) -> None:
            self.path, self.endpoint, self.name = path, endpoint, "own"
            self.methods = {"GET"}
            self.path_regex, self.path_format, self.param_convertors = routing.compile_path(path)
            self.app = routing.request_response(endpoint)

    class OwnSocket(routing.WebSocketRoute):  # type: ignore[misc, name-defined]
        def __init__(self, path: str, endpoint: Any) -> None:
            self.path, self.endpoint, self.name = path, endpoint, "socket"
            self.path_regex, self.path_format, self.param_convertors = routing.compile_path(path)
            self.app = routing.websocket_session(endpoint)

    async def show(request: Any) -> Any:
        return lib("responses").JSONResponse(request.path_params)

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.path_params)
        await websocket.close()

    router = routing.Router([Own("/{id:int}", show), OwnSocket("/ws/{room}", chat)])
    client = test_client_factory(router)
    assert client.get("/5").json() == {"id": 5}
    assert client.get("/x").status_code == 404
    assert client.post("/5").status_code == 405
    assert router.url_path_for("own", id=3) == "/3"
    with client.websocket_connect("/ws/a") as session:
        assert session.receive_json() == {"room": "a"}


def test_base_route_subclass_stands_among_the_others(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")

    class ByHeader(routing.BaseRoute):  # type: ignore[misc, name-defined]
        def __init__(self, value: str) -> None:
            self.value = value

        def matches(self, scope: Any) -> Any:
            found = scope["type"] == "http" and lib("datastructures").Headers(scope=scope).get("x-host") == self.value
            return (routing.Match.FULL if found else routing.Match.NONE), {"endpoint": self, "path_params": {}}

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await lib("responses").PlainTextResponse(self.value)(scope, receive, send)

        def url_path_for(self, name: str, /, **path_params: Any) -> Any:
            if name == self.value:
                return lib("datastructures").URLPath("/by-header")
            raise routing.NoMatchFound(name, path_params)

    async def other(request: Any) -> Any:
        return lib("responses").PlainTextResponse(request.app.url_path_for("pick"))

    client = test_client_factory(
        lib("applications").Starlette(routes=[ByHeader("pick"), routing.Route("/{rest:path}", other)])
    )
    assert client.get("/x", headers={"x-host": "pick"}).text == "pick"
    assert client.get("/x").text == "/by-header"


# Middleware.


def test_function_middleware_subclass_dispatches(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("middleware.base").BaseHTTPMiddleware):  # type: ignore[misc]
        def __init__(self, app: Any, tag: str) -> None:
            super().__init__(app)
            self.tag = tag

        async def dispatch(self, request: Any, call_next: Any) -> Any:
            if request.url.path == "/stop":
                return lib("responses").PlainTextResponse("stopped")
            response = await call_next(request)
            response.headers["x-tag"] = self.tag
            return response

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse("shown")

    app = lib("applications").Starlette(routes=[lib("routing").Route("/", show)])
    app.add_middleware(Own, tag="t")
    client = test_client_factory(app)
    assert client.get("/").headers["x-tag"] == "t"
    assert client.get("/stop").text == "stopped"


def test_server_error_middleware_subclass_answers(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("middleware.errors").ServerErrorMiddleware):  # type: ignore[misc]
        def error_response(self, request: Any, exc: Exception) -> Any:
            return lib("responses").PlainTextResponse(f"own {exc}", status_code=500)

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("answer")

    client = test_client_factory(Own(failing), raise_server_exceptions=False)
    assert client.get("/").text == "own answer"


def test_exception_middleware_subclass_answers(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("middleware.exceptions").ExceptionMiddleware):  # type: ignore[misc]
        def __init__(self, app: Any) -> None:
            super().__init__(app)
            self.add_exception_handler(LookupError, self.lookup_error)

        def add_exception_handler(self, key: Any, handler: Any) -> None:
            self.added = [*getattr(self, "added", []), key]
            super().add_exception_handler(key, handler)

        def http_exception(self, request: Any, exc: Any) -> Any:
            return lib("responses").PlainTextResponse(f"own {exc.status_code}", status_code=exc.status_code)

        async def lookup_error(self, request: Any, exc: Exception) -> Any:
            return lib("responses").PlainTextResponse("own lookup", status_code=410)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["called"] = True
            await super().__call__(scope, receive, send)

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        assert scope["called"]
        if scope["path"] == "/lookup":
            raise LookupError
        raise lib("exceptions").HTTPException(418)

    layer = Own(failing)
    client = test_client_factory(layer)
    assert client.get("/").text == "own 418"
    assert client.get("/lookup").text == "own lookup"
    assert LookupError in layer.added
