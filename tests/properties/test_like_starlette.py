"""The same application on Starlette and on Pallasite responds to the same requests alike.

Routes, mounts, hosts, middleware, handlers and endpoints are drawn at random and built twice, from the two packages'
modules. The results are compared (status, headers, body, exception), the order of calls, and the scope
afterwards.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import takewhile
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._compat import mode
from tests.support.asgi import STALL_SECONDS

PATHS = ["", "/", "/a", "/a/", "/b", "/b/7", "/a/b", "/a/b/", "/a/7", "/7", "/x/y/z", "//", "/a//", "/a/b/c/d", "/é"]
TEMPLATES = [
    "/",
    "/a",
    "/a/",
    "/b",
    "/a/b",
    "/{x}",
    "/{x}/",
    "/{x:int}",
    "/{x:path}",
    "/a/{y}",
    "/{x}/{y}",
    "/b/{y:int}",
]
PREFIXES = ["", "/a", "/b", "/{z}", "/a/b"]
HOSTS = ["one.example", "two.example", "{sub}.example", "one.example:8000"]
METHODS = ["GET", "HEAD", "POST", "DELETE", "get"]

FUNCTION_ENDPOINTS = [
    "info",
    "text",
    "cookie",
    "empty",
    "redirect",
    "echo",
    "stream",
    "stream fails",
    "stream fails at once",
    "background",
    "background fails",
    "returns none",
    "raises 404",
    "raises 418",
    "raises 204",
    "raises value",
    "raises index",
    "raises bare",
    "disconnect",
]
ENDPOINTS = [*FUNCTION_ENDPOINTS, "sends twice"]
HANDLERS = ["answer", "answer in thread", "raise http", "raise value", "reraise", "none", "stream fails"]
SOCKETS = ["echo", "closes", "refuses", "raises ws", "raises 404", "raises value", "denies"]


class Kit:
    """One package's classes, and the applications built from them. `log` records the calls."""

    def __init__(self, package: str, limited: bool) -> None:
        # Below function middleware and a task group Starlette makes a group, and a 500, of what the limit raises.
        self.limited = limited
        self.has_functions = False
        for module in ("applications", "background", "endpoints", "exceptions", "middleware", "responses", "routing"):
            setattr(self, module, importlib.import_module(f"{package}.{module}"))
        self.base = importlib.import_module(f"{package}.middleware.base")
        self.log: list[Any] = []

    applications: Any
    background: Any
    endpoints: Any
    exceptions: Any
    middleware: Any
    responses: Any
    routing: Any

    def endpoint(self, spec: tuple[str, str]) -> Any:
        shape, kind = spec
        log, answer = self.log, self.answer

        async def function(request: Any) -> Any:
            log.append(("endpoint", kind, request.path_params))
            return await answer(kind, request)

        def in_thread(request: Any) -> Any:
            log.append(("thread", kind))
            if kind.startswith("raises"):
                self.fail(kind)
            return self.responses.JSONResponse({"url": str(request.url), "params": request.path_params})

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                response = await answer(kind, self.request(scope, receive, send))
                await response(scope, receive, send)

        if shape == "function":
            return function
        if shape == "thread":
            return in_thread
        if shape == "class":
            methods = {"get": lambda self, request: function(request), "post": lambda self, request: function(request)}
            for name, method in methods.items():
                methods[name] = _as_method(method)
            return type("Endpoint", (self.endpoints.HTTPEndpoint,), methods)
        return type("Application", (), {"__call__": staticmethod(application)})()

    def request(self, *channel: Any) -> Any:
        return importlib.import_module(self.responses.__name__.replace("responses", "requests")).Request(*channel)

    def fail(self, kind: str) -> None:
        http = self.exceptions.HTTPException
        if kind == "raises 404":
            raise http(404, detail="not here")
        if kind == "raises 418":
            raise http(418, headers={"x-tea": "pot"})
        if kind == "raises 204":
            raise http(204)
        if kind == "raises value":
            raise ValueError("bad")
        if kind == "raises index":
            raise IndexError("none")
        if kind == "raises bare":
            raise _Bare

    async def answer(self, kind: str, request: Any) -> Any:
        make = self.responses
        self.fail(kind)
        if kind == "info":
            seen = {name: str(request.scope.get(name)) for name in ("root_path", "app_root_path", "path_params")}
            return make.JSONResponse({"url": str(request.url), "base": str(request.base_url), **seen})
        if kind == "cookie":
            response = make.HTMLResponse("<p>", headers={"x-a": "b"})
            response.set_cookie("a", "b c", max_age=5)
            return response
        if kind == "empty":
            return make.Response(status_code=204)
        if kind == "redirect":
            return make.RedirectResponse("/ä?b=c d", status_code=303)
        if kind == "echo":
            return make.Response(await request.body(), media_type="text/plain")
        if kind.startswith("stream"):
            return make.StreamingResponse(self.chunks(kind), media_type="text/plain")
        if kind.startswith("background"):
            return make.PlainTextResponse("ok", background=self.background.BackgroundTask(self.task, kind))
        if kind == "returns none":
            return None
        if kind == "sends twice":
            await make.PlainTextResponse("first")(request.scope, request.receive, request._send)
            raise ValueError("after the first")
        if kind == "disconnect":
            return make.JSONResponse(await request.is_disconnected())
        return make.PlainTextResponse("téxt", status_code=201)

    async def chunks(self, kind: str) -> Any:
        if kind != "stream fails at once":
            yield b"one"
            yield "twö"
        if kind != "stream":
            raise ValueError("stream")

    async def task(self, kind: str) -> None:
        self.log.append(kind)
        if kind == "background fails":
            raise IndexError("background")

    def socket(self, kind: str) -> Any:
        async def session(websocket: Any) -> None:
            self.log.append(("socket", kind, websocket.path_params))
            self.fail(kind)
            if kind == "raises ws":
                raise self.exceptions.WebSocketException(4000, "why")
            if kind == "refuses":
                await websocket.close(4001)
            elif kind == "denies":
                await websocket.send_denial_response(self.responses.PlainTextResponse("no", status_code=401))
            else:
                await websocket.accept()
                if kind == "closes":
                    await websocket.close()
                else:
                    async for text in websocket.iter_text():
                        await websocket.send_text(text)

        return session

    def handler(self, kind: str) -> Any:
        make = self.responses

        async def in_loop(conn: Any, exc: Exception) -> Any:
            self.log.append(("handler", kind, type(exc).__name__, str(exc)))
            if kind == "raise http":
                raise self.exceptions.HTTPException(409)
            if kind == "raise value":
                raise ValueError("from handler")
            if kind == "reraise":
                raise exc
            if kind == "none":
                return None
            if kind == "stream fails":
                return make.StreamingResponse(self.chunks(kind))
            if conn.scope["type"] == "websocket":
                await conn.close(4002)
                return None
            return make.JSONResponse({"why": str(exc)}, status_code=getattr(exc, "status_code", 500))

        def in_thread(conn: Any, exc: Exception) -> Any:
            self.log.append(("handler", kind, type(exc).__name__))
            return make.PlainTextResponse(str(exc), status_code=getattr(exc, "status_code", 503))

        return in_thread if kind == "answer in thread" else in_loop

    def layer(self, kind: str) -> Any:
        if kind == "function" and not self.limited:
            self.has_functions = True

            async def dispatch(request: Any, call_next: Any) -> Any:
                response = await call_next(request)
                response.headers["x-function"] = "1"
                return response

            return self.middleware.Middleware(self.base.BaseHTTPMiddleware, dispatch=dispatch)
        return self.middleware.Middleware(Layer, kind=kind, kit=self)

    def route(self, spec: Any) -> Any:
        kind, path, *rest = spec
        routing = self.routing
        if kind == "route":
            endpoint, methods, layers = rest
            middleware = [self.layer(layer) for layer in layers]
            return routing.Route(path, self.endpoint(endpoint), methods=methods, name="r", middleware=middleware)
        if kind == "websocket":
            return routing.WebSocketRoute(path, self.socket(rest[0]))
        below = self.app(rest[0])
        return routing.Host(path, below) if kind == "host" else routing.Mount(path, below)

    def app(self, spec: dict[str, Any]) -> Any:
        routes = [self.route(route) for route in spec["routes"]]
        layers = [self.layer(layer) for layer in spec["layers"]]
        if spec["router"]:
            default = self.endpoint(("application", spec["default"])) if spec["default"] else None
            return self.routing.Router(routes, spec["slashes"], default, middleware=layers, max_body_size=spec["limit"])
        handlers = {_HANDLED[key]: self.handler(kind) for key, kind in spec["handlers"].items() if key != "http"}
        if "http" in spec["handlers"]:
            handlers[self.exceptions.HTTPException] = self.handler(spec["handlers"]["http"])
        app = self.applications.Starlette(
            routes=routes, middleware=layers, exception_handlers=handlers, max_body_size=spec["limit"]
        )
        app.router.redirect_slashes = spec["slashes"]
        return app


class _Bare(Exception):
    pass


_HANDLED = {"404": 404, "405": 405, "500": 500, "any": Exception, "value": ValueError, "lookup": LookupError}


class Layer:
    """Middleware that does one thing around the application."""

    def __init__(self, app: Any, kind: str, kit: Kit) -> None:
        self.app, self.kind, self.kit = app, kind, kit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind, log = self.kind, self.kit.log
        started = False

        async def watched(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                log.append(("start", kind, message["status"]))
                message = {**message, "headers": [*message["headers"], (b"x-layer", kind.encode())]}
            await send(message)

        log.append(("layer", kind))
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            if kind == "raises":
                raise ValueError("layer")
            await self.app(dict(scope) if kind == "copies" else scope, receive, watched)
        except ValueError as error:
            log.append(("caught", kind))
            if kind != "catches" or scope["type"] != "http" or started:
                raise
            await self.kit.responses.PlainTextResponse(f"caught {error}")(scope, receive, send)
        finally:
            log.append(("after", kind))


def _as_method(method: Callable[[Any, Any], Any]) -> Any:
    async def call(self: Any, request: Any) -> Any:
        return await method(self, request)

    return call


LAYERS = st.lists(st.sampled_from(["watches", "catches", "copies", "raises", "function"]), max_size=2)
# A function that sends by itself and then fails is answered a second time by Starlette; Pallasite sees what was sent.
ENDPOINT = (
    st.tuples(st.just("function"), st.sampled_from(FUNCTION_ENDPOINTS))
    | st.tuples(st.sampled_from(["thread", "class"]), st.sampled_from(FUNCTION_ENDPOINTS))
    | st.tuples(st.just("application"), st.sampled_from(ENDPOINTS))
)


def application(routes: Any, router: Any) -> Any:
    return st.fixed_dictionaries(
        {
            "routes": st.lists(routes, max_size=5),
            "layers": st.just([]) | LAYERS,
            "router": router,
            "slashes": st.booleans(),
            "limit": st.sampled_from([None, None, 3, 0]),
            "default": st.none() | st.sampled_from(["text", "raises value"]),
            "handlers": st.dictionaries(st.sampled_from([*_HANDLED, "http"]), st.sampled_from(HANDLERS), max_size=4),
        }
    )


LEAF = st.tuples(
    st.just("route"),
    st.sampled_from(TEMPLATES),
    ENDPOINT,
    st.none() | st.lists(st.sampled_from(["GET", "POST", "delete"]), max_size=2),
    st.just([]) | LAYERS,
) | st.tuples(st.just("websocket"), st.sampled_from(TEMPLATES), st.sampled_from(SOCKETS))
INNER = application(LEAF, st.booleans())
NESTED = st.tuples(st.just("mount"), st.sampled_from(PREFIXES), INNER) | (
    st.tuples(st.just("host"), st.sampled_from(HOSTS), INNER)
)
APPLICATION = application(LEAF | NESTED, st.just(False) | st.booleans())

REQUEST = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["http", "http", "http", "websocket"]),
        "path": st.sampled_from(PATHS),
        "method": st.sampled_from(METHODS),
        "root_path": st.sampled_from(["", "", "/a", "/root"]),
        "host": st.sampled_from([None, b"one.example", b"TWO.example:80", b"x.example", b"[", b"one.example:8000"]),
        "query": st.sampled_from([b"", b"x=1&y=%20"]),
        "spec": st.sampled_from(["2.0", "2.4"]),
        "body": st.lists(st.sampled_from([b"", b"ab", b"cd"]), max_size=2),
        "denial": st.booleans(),
        "length": st.sampled_from([None, None, b"2", b"4", b"x"]),
        "sends": st.sampled_from([None, None, 0, 1]),
    }
)


def _comparable(header: tuple[bytes, bytes]) -> tuple[bytes, object]:
    """Starlette lists the methods in the order of a set, Pallasite in that of the alphabet. A redirect to a slash more
    or less names the client's Host in Starlette, and no host in Pallasite.
    """
    name, value = header
    if name == b"allow":
        return name, sorted(value.split(b", "))
    if name == b"location":
        location = urlsplit(value)
        return name, (unquote(location.path), location.query)
    return name, value


def _as_closes(sent: list[Any]) -> list[Any]:
    """A server that has no words for a denial response is sent one by Starlette, and a close by Pallasite."""
    close = {"type": "websocket.close", "code": 1000, "reason": ""}
    kept = [message for message in sent if message["type"] != "websocket.http.response.body"]
    return [close if message["type"] == "websocket.http.response.start" else message for message in kept]


def is_limited(spec: dict[str, Any]) -> bool:
    """Return True if any part of an application has a body limit."""
    nested = [route[2] for route in spec["routes"] if route[0] in ("mount", "host")]
    return spec["limit"] is not None or any(map(is_limited, nested))


async def outcome(kit: Kit, app: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Everything that can be seen from the server of one request; `sends` of them work, the next fails."""
    kind = request["type"]
    headers = [(b"accept", b"*/*")] + ([] if request["host"] is None else [(b"host", request["host"])])
    if request["length"] is not None:
        headers.append((b"content-length", request["length"]))
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": request["spec"]},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": request["path"],
        "root_path": request["root_path"],
        "query_string": request["query"],
        "headers": headers,
        "server": ("server", 80),
        "client": ("client", 1),
    }
    if kind == "http":
        scope["method"] = request["method"]
        parts = request["body"] or [b""]
        waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        waiting[-1]["more_body"] = False
    else:
        scope["subprotocols"] = []
        if request["denial"]:
            scope["extensions"] = {"websocket.http.response": {}}
        waiting = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hi"}]
    sent: list[Any] = []

    async def receive() -> Any:
        if not waiting:
            if kind == "http":
                await anyio.sleep_forever()
            return {"type": "websocket.disconnect", "code": 1001}
        return waiting.pop(0)

    async def send(message: Any) -> None:
        if request["sends"] is not None and len(sent) >= request["sends"]:
            raise OSError("gone")
        sent.append(message)

    del kit.log[:]
    failure: BaseException | None = None
    try:
        with anyio.fail_after(STALL_SECONDS):
            await app(scope, receive, send)
    except TimeoutError:
        raise
    except Exception as error:
        # A disconnect of the client is not an error in Pallasite, and no handler is called for it.
        is_gone = type(error).__name__ in ("ClientDisconnect", "WebSocketDisconnect")
        failure = None if is_gone or any("ClientDisconnect" in entry for entry in kit.log) else error
    if kind == "websocket" and not request["denial"]:
        sent = _as_closes(sent)
    starts = [message for message in sent if message["type"].endswith("start")]
    return {
        "types": [message["type"] for message in sent if message["type"] != "http.response.body"],
        "status": [message["status"] for message in starts],
        "headers": [sorted(map(_comparable, message["headers"])) for message in starts],
        "body": b"".join(bytes(message.get("body", b"")) for message in sent),
        # A stream that fails below function middleware is ended by Starlette as if it were complete.
        "complete": failure is None and bool(sent) and not sent[-1].get("more_body", False),
        "frames": [message for message in sent if message["type"].startswith("websocket.") and message not in starts],
        # Starlette has a task of its own for what is below function middleware: of a stream that fails and a client
        # that goes, either may be noticed first, and what is called in what order depends on its buffers.
        "raised": None if failure is None or kit.has_functions else (type(failure).__name__, str(failure)),
        "fails": failure is not None,
        "cause": type(failure.__cause__).__name__ if failure and "already started" in str(failure) else None,
        # Nor has it a handler there. What follows a handler of a disconnect are only its own consequences.
        "log": [] if kit.has_functions else list(takewhile(lambda entry: "ClientDisconnect" not in entry, kit.log)),
        "params": scope.get("path_params"),
        "roots": (scope.get("root_path"), scope.get("app_root_path")),
        "route": repr(getattr(scope.get("route"), "path", None)),
        "keys": sorted(key for key in scope if key != "http.connection" and not key.startswith("pallasite.")),
    }


@given(APPLICATION, st.lists(REQUEST, min_size=1, max_size=4))
def test_same_application_sends_the_same_responses(spec: dict[str, Any], requests: list[dict[str, Any]]) -> None:
    async def both() -> None:
        theirs, ours = Kit("starlette", is_limited(spec)), Kit("pallasite", is_limited(spec))
        their_app, our_app = theirs.app(spec), ours.app(spec)
        for request in requests:
            if is_limited(spec):
                # The listener for a disconnect, which older versions need, reads the body in Starlette alone.
                request["spec"] = "2.4"
            if request["type"] == "websocket" and not request["denial"]:
                request["sends"] = None
            expected = await outcome(theirs, their_app, request)
            found = await outcome(ours, our_app, request)
            if any("ClientDisconnect" in entry for entry in theirs.log):
                # Only Starlette calls a handler for it, and `expected` ends there.
                found["log"] = found["log"][: len(expected["log"])]
            assert found == expected

    with pytest.MonkeyPatch.context() as patch:
        # Pallasite raises the exception itself, but this comparison includes what handlers are called with.
        patch.setattr(mode, "current", mode.PALLASITE._replace(masks_late_exceptions=True))
        anyio.run(both)
