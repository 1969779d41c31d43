"""Subclasses as other packages write them: methods overridden, with and without a call of the base's `__init__`."""

from __future__ import annotations

import io
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from pallasite.websockets import WebSocketDisconnect  # the test client's
from tests.support.asgi import never, scope_of


async def home(request: Any) -> None:
    """Stands for an endpoint that is never called."""


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Stands for an application that is never called."""


def make_arguments(lib: Any, name: str, folder: Path) -> dict[str, Any]:
    """What the `__init__` of a class needs."""
    return {
        "Route": {"path": "/", "endpoint": home},
        "WebSocketRoute": {"path": "/", "endpoint": home},
        "Mount": {"path": "/m", "app": asgi},
        "Host": {"host": "example.org", "app": asgi},
        "HTTPConnection": {"scope": scope_of()},
        "Request": {"scope": scope_of()},
        "WebSocket": {"scope": scope_of(type="websocket"), "receive": asgi, "send": asgi},
        "JSONResponse": {"content": 1},
        "StreamingResponse": {"content": iter(())},
        "FileResponse": {"path": folder},
        "RedirectResponse": {"url": "/"},
        "BaseHTTPMiddleware": {"app": asgi, "dispatch": home},
        "ServerErrorMiddleware": {"app": asgi},
        "ExceptionMiddleware": {"app": asgi},
        "GZipMiddleware": {"app": asgi},
        "CORSMiddleware": {"app": asgi},
        "SessionMiddleware": {"app": asgi, "secret_key": "a secret of more than 32 characters"},
        "TrustedHostMiddleware": {"app": asgi},
        "HTTPSRedirectMiddleware": {"app": asgi},
        "AuthenticationMiddleware": {"app": asgi, "backend": object()},
        "RequestBodyLimitMiddleware": {"app": asgi, "max_body_size": 1},
        "StaticFiles": {"directory": folder},
        "Jinja2Templates": {"directory": folder},
        "UploadFile": {"file": io.BytesIO()},
        "BackgroundTask": {"func": print},
        "HTTPException": {"status_code": 400},
        "WebSocketException": {"code": 1008},
        "TestClient": {"app": asgi},
        "Middleware": {"cls": asgi},
        "SimpleUser": {"username": "u"},
        "HTTPEndpoint": {"scope": scope_of(), "receive": asgi, "send": asgi},
        "WebSocketEndpoint": {"scope": scope_of(type="websocket"), "receive": asgi, "send": asgi},
        "URL": {"url": "/"},
        "Secret": {"value": "s"},
    }.get(name, {})


CLASSES = {
    "Starlette": "applications",
    "Router": "routing",
    "BaseRoute": "routing",
    "Route": "routing",
    "WebSocketRoute": "routing",
    "Mount": "routing",
    "Host": "routing",
    "HTTPConnection": "requests",
    "Request": "requests",
    "WebSocket": "websockets",
    "Response": "responses",
    "HTMLResponse": "responses",
    "PlainTextResponse": "responses",
    "JSONResponse": "responses",
    "RedirectResponse": "responses",
    "StreamingResponse": "responses",
    "FileResponse": "responses",
    "Middleware": "middleware",
    "BaseHTTPMiddleware": "middleware.base",
    "ServerErrorMiddleware": "middleware.errors",
    "ExceptionMiddleware": "middleware.exceptions",
    "GZipMiddleware": "middleware.gzip",
    "CORSMiddleware": "middleware.cors",
    "SessionMiddleware": "middleware.sessions",
    "TrustedHostMiddleware": "middleware.trustedhost",
    "HTTPSRedirectMiddleware": "middleware.httpsredirect",
    "AuthenticationMiddleware": "middleware.authentication",
    "RequestBodyLimitMiddleware": "middleware.body_limit",
    "StaticFiles": "staticfiles",
    "Jinja2Templates": "templating",
    "UploadFile": "datastructures",
    "URL": "datastructures",
    "Headers": "datastructures",
    "MutableHeaders": "datastructures",
    "QueryParams": "datastructures",
    "FormData": "datastructures",
    "State": "datastructures",
    "Secret": "datastructures",
    "BackgroundTask": "background",
    "BackgroundTasks": "background",
    "HTTPException": "exceptions",
    "WebSocketException": "exceptions",
    "TestClient": "testclient",
    "Convertor": "convertors",
    "StringConvertor": "convertors",
    "PathConvertor": "convertors",
    "IntegerConvertor": "convertors",
    "FloatConvertor": "convertors",
    "UUIDConvertor": "convertors",
    "HTTPEndpoint": "endpoints",
    "WebSocketEndpoint": "endpoints",
    "AuthenticationBackend": "authentication",
    "AuthCredentials": "authentication",
    "BaseUser": "authentication",
    "SimpleUser": "authentication",
    "UnauthenticatedUser": "authentication",
    "BaseSchemaGenerator": "schemas",
    "SchemaGenerator": "schemas",
}


@pytest.mark.parametrize("name", CLASSES)
def test_subclass_instances_take_attributes_and_weak_references(lib: Any, name: str, tmp_path: Path) -> None:
    base = getattr(lib(CLASSES[name]), name)

    class Own(base):  # type: ignore[misc]
        shared = "class"

    options = make_arguments(lib, name, tmp_path)
    if name == "SchemaGenerator":
        options = {"base_schema": {}}
    made = Own(**options)
    assert isinstance(made, base)
    # State keeps its attributes elsewhere.
    made.anything = name
    assert made.anything == name
    assert made.shared == "class"
    assert isinstance(vars(made), dict)
    assert weakref.ref(made)() is made


@pytest.mark.parametrize("name", CLASSES)
def test_subclass_may_leave_out_the_base_init(lib: Any, name: str) -> None:
    base = getattr(lib(CLASSES[name]), name)

    class Own(base):  # type: ignore[misc]
        def __init__(self, *, told: str) -> None:
            self.__dict__["told"] = told

    made = Own(told="this")
    assert isinstance(made, base)
    assert vars(made) == {"told": "this"}


# Applications and routers, as FastAPI makes them.


def make_application(lib: Any) -> Any:
    """An application class that sets everything itself, as FastAPI's does."""

    class Own(lib("applications").Starlette):  # type: ignore[misc]
        def __init__(self, routes: list[Any]) -> None:
            self.debug = False
            self.max_body_size = None
            self.state = lib("datastructures").State()
            self.router = lib("routing").Router(routes)
            self.exception_handlers = {}
            self.user_middleware = []
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
    """As FastAPI's router does: a loop of its own over `matches` and `handle`."""
    routing = lib("routing")
    seen: list[str] = []

    class Own(routing.Router):  # type: ignore[misc]
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

    class Own(routing.Route):  # type: ignore[misc]
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
    """As FastAPI's routes do: the triple from `compile_path`, and an application of their own."""
    routing = lib("routing")

    class Own(routing.Route):  # type: ignore[misc]
        def __init__(self, path: str, endpoint: Any) -> None:
            self.path, self.endpoint, self.name = path, endpoint, "own"
            self.methods = {"GET"}
            self.path_regex, self.path_format, self.param_convertors = routing.compile_path(path)
            self.app = routing.request_response(endpoint)

    class OwnSocket(routing.WebSocketRoute):  # type: ignore[misc]
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

    class ByHeader(routing.BaseRoute):  # type: ignore[misc]
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


# Requests and responses.


def test_request_subclass_can_change_the_body(lib: Any, test_client_factory: Any) -> None:
    class Upper(lib("requests").Request):  # type: ignore[misc]
        async def body(self) -> bytes:
            if not hasattr(self, "_body"):
                self._body = (await super().body()).upper()
            return self._body

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Upper(scope, receive)
        await request.body()
        body = b"".join([chunk async for chunk in request.stream()])
        await lib("responses").Response(body)(scope, receive, send)

    assert test_client_factory(app).post("/", content=b"text").text == "TEXT"


def test_response_subclass_without_base_init_is_sent(lib: Any, test_client_factory: Any) -> None:
    """As sse-starlette's does: `init_headers`, `raw_headers` and a `__call__` of its own."""

    class Events(lib("responses").Response):  # type: ignore[misc]
        def __init__(self, events: list[str], headers: dict[str, str] | None = None) -> None:
            self.body_iterator = iter(events)
            self.status_code = 200
            self.media_type = "text/event-stream"
            self.background = None
            self.init_headers({"Cache-Control": "no-store", **(headers or {})})

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            for event in self.body_iterator:
                body = f"data: {event}\r\n\r\n".encode(self.charset)
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def events(request: Any) -> Any:
        return Events(["a", "b"], {"x-own": "1"})

    response = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/", events)])).get("/")
    assert response.text == "data: a\r\n\r\ndata: b\r\n\r\n"
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-own"] == "1"
    assert "content-length" not in response.headers


@pytest.mark.anyio
async def test_streaming_response_subclass_can_override_its_steps(lib: Any) -> None:
    """As ariadne's event stream does: `listen_for_disconnect` and `stream_response` are looked up on the instance."""
    steps: list[str] = []

    class Stream(lib("responses").StreamingResponse):  # type: ignore[misc]
        async def listen_for_disconnect(self, receive: Any) -> None:
            steps.append("listen")
            await super().listen_for_disconnect(receive)

        async def stream_response(self, send: Any) -> None:
            steps.append("stream")
            await super().stream_response(send)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(message)

    async def content() -> Any:
        for text in ("a", "b"):
            await anyio.lowlevel.checkpoint()
            yield text

    response = Stream(content(), media_type="text/plain")
    assert hasattr(response, "body_iterator")
    await response(scope_of(asgi={"spec_version": "2.3"}), never, send)
    assert sorted(steps) == ["listen", "stream"]
    assert [message.get("body") for message in sent] == [None, b"a", b"b", b""]
    steps.clear()
    await Stream(content())(scope_of(asgi={"spec_version": "2.4"}), never, send)
    assert steps == ["stream"]


@pytest.mark.parametrize("base", ["Response", "JSONResponse", "HTMLResponse", "PlainTextResponse"])
def test_response_subclass_can_override_render_and_media_type(lib: Any, base: str, test_client_factory: Any) -> None:
    class Own(getattr(lib("responses"), base)):  # type: ignore[misc]
        media_type = "text/x-own"
        charset = "latin-1"

        def render(self, content: Any) -> bytes:
            return repr(content).encode()

    async def show(request: Any) -> Any:
        return Own({"a": 1}, headers={"x-a": "b"})

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/", show)]))
    response = client.get("/")
    assert response.text == "{'a': 1}"
    assert response.headers["content-type"] == "text/x-own; charset=latin-1"
    assert response.headers["content-length"] == "8"
    assert response.headers["x-a"] == "b"


def test_response_subclass_call_is_awaited_by_every_way_in(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("responses").PlainTextResponse):  # type: ignore[misc]
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.headers["x-called"] = "yes"
            await super().__call__(scope, receive, send)

    async def show(request: Any) -> Any:
        if "fail" in request.query_params:
            raise LookupError
        return Own("own")

    async def handler(request: Any, exc: Exception) -> Any:
        return Own("handled", status_code=404)

    app = lib("applications").Starlette(
        routes=[lib("routing").Route("/", show)], exception_handlers={LookupError: handler}
    )
    client = test_client_factory(app)
    assert client.get("/").headers["x-called"] == "yes"
    assert client.get("/?fail=1").headers["x-called"] == "yes"


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


# Files, templates, uploads, background tasks.


def test_static_files_subclass_can_override_its_steps(lib: Any, tmp_path: Path, test_client_factory: Any) -> None:
    steps: list[str] = []
    (tmp_path / "index.html").write_text("index")

    class Frontend(lib("staticfiles").StaticFiles):  # type: ignore[misc]
        def get_path(self, scope: Any) -> str:
            steps.append("get_path")
            return str(super().get_path(scope))

        async def get_response(self, path: str, scope: Any) -> Any:
            steps.append("get_response")
            assert self.config_checked
            try:
                return await super().get_response(path, scope)
            except lib("exceptions").HTTPException:
                full_path, stat_result = self.lookup_path("index.html")
                return self.file_response(full_path, stat_result, scope)

        def lookup_path(self, path: str) -> Any:
            steps.append("lookup_path")
            return super().lookup_path(path)

        def file_response(self, *args: Any, **kwargs: Any) -> Any:
            steps.append("file_response")
            return super().file_response(*args, **kwargs)

        async def check_config(self) -> None:
            steps.append("check_config")
            await super().check_config()

    files = Frontend(directory=tmp_path)
    assert files.config_checked is False
    assert files.all_directories == [tmp_path]
    client = test_client_factory(files)
    assert client.get("/deep/link").text == "index"
    assert steps[:3] == ["check_config", "get_path", "get_response"]
    assert set(steps[3:]) == {"lookup_path", "file_response"}
    client.get("/index.html")
    assert steps.count("check_config") == 1


def test_templates_subclass_can_override_template_response(lib: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<b>{{ name }}</b>{% block part %}part of {{ name }}{% endblock %}")

    class Blocks(lib("templating").Jinja2Templates):  # type: ignore[misc]
        def TemplateResponse(self, request: Any, name: str, context: Any = None, **options: Any) -> Any:
            block = options.pop("block_name", None)
            if block is None:
                return super().TemplateResponse(request, name, context, **options)
            values = {"request": request, **(context or {})}
            for processor in self.context_processors:
                values.update(processor(request))
            template = self.env.get_template(name)
            content = "".join(template.blocks[block](template.new_context(values)))
            return lib("responses").HTMLResponse(content)

    templates = Blocks(directory=tmp_path, context_processors=[lambda request: {"name": "processor"}])
    request = lib("requests").Request(scope_of())
    assert templates.TemplateResponse(request, "page.html").body == b"<b>processor</b>part of processor"
    assert templates.TemplateResponse(request, "page.html", block_name="part").body == b"part of processor"


@pytest.mark.anyio
async def test_upload_file_subclass_can_override_its_methods(lib: Any) -> None:
    class Own(lib("datastructures").UploadFile):  # type: ignore[misc]
        async def write(self, data: bytes) -> None:
            await super().write(data.upper())

        async def read(self, size: int = -1) -> bytes:
            return b"<" + await super().read(size) + b">"

        async def seek(self, offset: int) -> None:
            await super().seek(offset)

        async def close(self) -> None:
            await super().close()

        @classmethod
        def __get_validators__(cls) -> Any:
            yield cls.validate

        @classmethod
        def validate(cls, value: Any) -> Any:
            return value

    file = Own(io.BytesIO(), size=0, filename="a.txt")
    await file.write(b"text")
    await file.seek(1)
    assert await file.read() == b"<EXT>"
    assert file.size == 4
    await file.close()
    assert file.file.closed


@pytest.mark.anyio
async def test_background_tasks_subclass_can_override_its_methods(lib: Any) -> None:
    done: list[str] = []

    class Own(lib("background").BackgroundTasks):  # type: ignore[misc]
        def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
            super().add_task(func, *args, **kwargs)

        async def __call__(self) -> None:
            done.append("before")
            await super().__call__()
            done.append("after")

    tasks = Own()
    tasks.add_task(done.append, "task")
    await lib("responses").PlainTextResponse("", background=tasks)(scope_of(), asgi, ignore)
    assert done == ["before", "task", "after"]


async def ignore(message: Any) -> None:
    pass


# Exceptions, the client, convertors, endpoints, users.


def test_http_exception_subclass_is_answered_as_its_base(lib: Any, test_client_factory: Any) -> None:
    class RateLimited(lib("exceptions").HTTPException):  # type: ignore[misc]
        def __init__(self, limit: int) -> None:
            self.limit = limit
            super().__init__(status_code=429, detail=f"{limit} per hour", headers={"retry-after": "9"})

    class Bare(lib("exceptions").HTTPException):  # type: ignore[misc]
        def __init__(self) -> None:
            self.status_code, self.detail, self.headers = 402, "pay", None

    async def show(request: Any) -> Any:
        raise RateLimited(5) if request.url.path == "/limited" else Bare()

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/{x}", show)]))
    response = client.get("/limited")
    assert (response.status_code, response.text, response.headers["retry-after"]) == (429, "5 per hour", "9")
    assert (client.get("/bare").status_code, client.get("/bare").text) == (402, "pay")


def test_websocket_exception_subclass_closes_as_its_base(lib: Any, test_client_factory: Any) -> None:
    class Refused(lib("exceptions").WebSocketException):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(code=1008, reason="refused")

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        raise Refused

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").WebSocketRoute("/", chat)]))
    with client.websocket_connect("/") as session, pytest.raises(WebSocketDisconnect) as caught:
        session.receive_text()
    assert (caught.value.code, caught.value.reason) == (1008, "refused")


def test_test_client_subclass_can_override_request(lib: Any) -> None:
    class Own(lib("testclient").TestClient):  # type: ignore[misc]
        def __init__(self, app: Any) -> None:
            super().__init__(app, base_url="http://own.example")

        def request(self, method: str, url: Any, **options: Any) -> Any:
            options["headers"] = {"x-own": "1"}
            return super().request(method, url, **options)

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(f"{request.url} {request.headers['x-own']}")

    client = Own(lib("routing").Router([lib("routing").Route("/a", show)]))
    assert client.get("/a").text == "http://own.example/a 1"


@pytest.mark.parametrize(
    ("base", "regex", "path", "value", "refused"),
    [
        ("IntegerConvertor", "-?[0-9]+", "/-5", -5, "/x"),
        ("FloatConvertor", r"-?[0-9]+(\.[0-9]+)?", "/-1.5", -1.5, "/x"),
        ("StringConvertor", "[a-c]+", "/abc", "abc", "/abd"),
    ],
)
def test_convertor_subclass_with_another_regex_matches_by_it(
    lib: Any,
    base: str,
    regex: str,
    path: str,
    value: Any,
    refused: str,
    test_client_factory: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    convertors = lib("convertors")
    own = type("Own", (getattr(convertors, base),), {"regex": regex})
    monkeypatch.setattr(convertors, "CONVERTOR_TYPES", convertors.CONVERTOR_TYPES)
    convertors.register_url_convertor("own_kind", own())
    try:

        async def show(request: Any) -> Any:
            return lib("responses").JSONResponse(request.path_params["x"])

        client = test_client_factory(lib("routing").Router([lib("routing").Route("/{x:own_kind}", show)]))
    finally:
        del convertors.CONVERTOR_TYPES["own_kind"]
    assert client.get(path).json() == value
    assert client.get(refused).status_code == 404


def test_endpoint_subclass_dispatches_by_method(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("endpoints").HTTPEndpoint):  # type: ignore[misc]
        async def get(self, request: Any) -> Any:
            return lib("responses").PlainTextResponse(f"get {self.scope['path']}")

        def post(self, request: Any) -> Any:
            return lib("responses").PlainTextResponse("post")

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/", Own)]))
    assert client.get("/").text == "get /"
    assert client.post("/").text == "post"
    assert client.delete("/").status_code == 405


def test_authentication_subclasses_say_who_it_is(lib: Any, test_client_factory: Any) -> None:
    authentication = lib("authentication")

    class Member(authentication.BaseUser):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.name = name

        @property
        def is_authenticated(self) -> bool:
            return True

        @property
        def display_name(self) -> str:
            return self.name

    class Guest(authentication.SimpleUser):  # type: ignore[misc]
        @property
        def display_name(self) -> str:
            return f"guest {self.username}"

    class Backend(authentication.AuthenticationBackend):  # type: ignore[misc]
        async def authenticate(self, conn: Any) -> Any:
            name = conn.headers.get("x-user")
            if name is None:
                return authentication.AuthCredentials(), Guest("nobody")
            return authentication.AuthCredentials(["member"]), Member(name)

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(f"{request.user.display_name} {request.auth.scopes}")

    layer = lib("middleware").Middleware(lib("middleware.authentication").AuthenticationMiddleware, backend=Backend())
    client = test_client_factory(
        lib("applications").Starlette(routes=[lib("routing").Route("/", show)], middleware=[layer])
    )
    assert client.get("/").text == "guest nobody []"
    assert client.get("/", headers={"x-user": "ada"}).text == "ada ['member']"


def test_state_and_exceptions_can_be_pickled_with_their_attributes(lib: Any) -> None:
    error = lib("exceptions").HTTPException(404, "gone", {"x": "y"})
    again = pickle.loads(pickle.dumps(error))
    assert (again.status_code, again.detail, again.headers) == (404, "gone", {"x": "y"})
