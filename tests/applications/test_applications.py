"""The application: middleware, handlers, state, the lifespan, and changes from outside."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import pallasite
from pallasite.applications import Pallasite, Starlette
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.errors import ServerErrorMiddleware
from pallasite.middleware.exceptions import ExceptionMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Host, Mount, Route, Router, WebSocketRoute
from pallasite.testclient import TestClient
from pallasite.types import ASGIApp, Receive, Scope, Send
from pallasite.websockets import WebSocket


async def home(request: Request) -> Response:
    return PlainTextResponse("home")


class Tagging:
    """Adds a field to each response; the innermost one's comes first."""

    def __init__(self, app: ASGIApp, tag: str = "tag") -> None:
        self.app = app
        self.tag = tag

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tagged(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-tag", self.tag.encode())]}
            await send(message)

        await self.app(scope, receive, tagged)


def test_starlette_is_another_name_for_it() -> None:
    assert Starlette is Pallasite
    assert pallasite.__version__


def test_hello_world_answers(test_client_factory: Any) -> None:
    assert test_client_factory(Pallasite(routes=[Route("/", home)])).get("/").text == "home"


def test_default_of_the_router_may_be_replaced(test_client_factory: Any) -> None:
    app = Pallasite(routes=[Route("/", home)])
    app.router.default = PlainTextResponse("default", status_code=299)
    client = test_client_factory(app)
    assert [client.get(path).status_code for path in ("/", "/missing")] == [200, 299]


def test_sync_endpoint_runs_in_a_worker_thread(test_client_factory: Any) -> None:
    import threading

    threads: list[int] = []

    async def on_loop(request: Request) -> Response:
        threads.append(threading.get_ident())
        return PlainTextResponse("")

    def in_thread(request: Request) -> Response:
        threads.append(threading.get_ident())
        return PlainTextResponse("")

    app = Pallasite(routes=[Route("/a", on_loop), Route("/b", in_thread)])
    with test_client_factory(app) as client:
        client.get("/a")
        client.get("/b")
    assert threads[0] != threads[1]


def test_middleware_order_is_as_declared_and_added_goes_outermost(test_client_factory: Any) -> None:
    app = Pallasite(
        routes=[Route("/", home)], middleware=[Middleware(Tagging, tag="first"), Middleware(Tagging, tag="second")]
    )
    app.add_middleware(Tagging, tag="added")
    response = test_client_factory(app).get("/")
    assert response.headers["x-tag"] == "second, first, added"


def test_middleware_sees_handled_exceptions_as_responses(test_client_factory: Any) -> None:
    response = test_client_factory(Pallasite(middleware=[Middleware(Tagging)])).get("/nowhere")
    assert (response.status_code, response.headers["x-tag"]) == (404, "tag")


def test_middleware_cannot_be_added_to_a_running_application(test_client_factory: Any) -> None:
    app = Pallasite(routes=[Route("/", home)])
    test_client_factory(app).get("/")
    with pytest.raises(RuntimeError, match="Cannot add middleware"):
        app.add_middleware(Tagging)


def test_route_and_mount_middleware_see_their_own_requests_only(test_client_factory: Any) -> None:
    app = Pallasite(
        routes=[
            Route("/tagged", home, middleware=[Middleware(Tagging, tag="route")]),
            Mount("/mount", routes=[Route("/", home)], middleware=[Middleware(Tagging, tag="mount")]),
            Mount("/router", app=Router([Route("/", home)], middleware=[Middleware(Tagging, tag="router")])),
            Route("/plain", home),
        ]
    )
    client = test_client_factory(app)
    assert client.get("/tagged").headers["x-tag"] == "route"
    assert client.get("/mount/").headers["x-tag"] == "mount"
    assert client.get("/router/").headers["x-tag"] == "router"
    assert "x-tag" not in client.get("/plain").headers


def test_route_middleware_sees_a_handled_exception_as_a_response(test_client_factory: Any) -> None:
    async def forbidden(request: Request) -> Response:
        raise HTTPException(403)

    app = Pallasite(routes=[Route("/", forbidden, middleware=[Middleware(Tagging)])])
    response = test_client_factory(app).get("/")
    assert (response.status_code, response.headers["x-tag"]) == (403, "tag")


def test_stack_is_built_through_the_instance_and_can_be_replaced(test_client_factory: Any) -> None:
    app = Pallasite(routes=[Route("/", home)])
    original = app.build_middleware_stack

    def build() -> ASGIApp:
        stack = original()
        assert isinstance(stack, ServerErrorMiddleware)
        stack.app = Tagging(stack.app, tag="traced")
        return stack

    app.build_middleware_stack = build  # type: ignore[method-assign]
    assert test_client_factory(app).get("/").headers["x-tag"] == "traced"


def test_layers_are_linked_by_app_down_to_the_router() -> None:
    app = Pallasite(middleware=[Middleware(Tagging)])
    layer: Any = app.build_middleware_stack()
    chain = []
    while not isinstance(layer, Router):
        chain.append(type(layer))
        layer = layer.app
    assert chain == [ServerErrorMiddleware, Tagging, ExceptionMiddleware]
    assert layer is app.router


@pytest.mark.parametrize("cls", [Pallasite, ServerErrorMiddleware, ExceptionMiddleware])
def test_class_level_call_patches_are_honoured(
    cls: type[Any], test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    original = cls.__call__

    async def patched(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope["path"])
        await original(self, scope, receive, send)

    app = Pallasite(routes=[Route("/", home)])
    client = test_client_factory(app)
    client.get("/")
    monkeypatch.setattr(cls, "__call__", patched)
    client.get("/")
    assert calls == ["/"]


def test_instances_take_attributes_and_weak_references() -> None:
    app = Pallasite()
    app._is_instrumented_by_something = True  # type: ignore[attr-defined]
    assert weakref.ref(app)() is app


def test_subclass_that_never_calls_init_works(test_client_factory: Any) -> None:
    class Own(Pallasite):
        def __init__(self) -> None:
            self.debug = False
            self.state = pallasite.datastructures.State()
            self.router = Router([Route("/", home)])
            self.exception_handlers = {}
            self.user_middleware = []
            self.middleware_stack = None
            self.max_body_size = None

    assert test_client_factory(Own()).get("/").text == "home"


def test_endpoint_finds_app_router_route_and_endpoint_in_the_scope(test_client_factory: Any) -> None:
    seen: dict[str, Any] = {}

    async def endpoint(request: Request) -> Response:
        seen.update(request.scope)
        return PlainTextResponse("")

    route = Route("/items/{id:int}", endpoint)
    app = Pallasite(routes=[route])
    test_client_factory(app).get("/items/3")
    assert seen["app"] is app
    assert seen["router"] is app.router
    assert seen["route"] is route
    assert seen["endpoint"] is endpoint
    assert seen["path_params"] == {"id": 3}


def test_routes_can_be_added_after_the_first_request(test_client_factory: Any) -> None:
    app = Pallasite()
    client = test_client_factory(app)
    assert client.get("/late").status_code == 404
    app.add_route("/late", home)
    assert client.get("/late").text == "home"
    app.mount("/sub", Router([Route("/x", home)]))
    assert client.get("/sub/x").text == "home"
    app.host("api.example.org", Router([Route("/y", home)]))
    assert client.get("/y", headers={"host": "api.example.org"}).text == "home"
    assert [type(route) for route in app.routes] == [Route, Mount, Host]


def test_exception_handler_added_before_the_first_request_is_used(test_client_factory: Any) -> None:
    app = Pallasite()
    app.add_exception_handler(404, lambda request, exc: JSONResponse({"lost": True}, status_code=404))
    assert test_client_factory(app).get("/").json() == {"lost": True}


def test_max_body_size_is_enforced(test_client_factory: Any) -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    client = test_client_factory(Pallasite(routes=[Route("/", echo, methods=["POST"])], max_body_size=4))
    assert client.post("/", content=b"1234").text == "1234"
    assert client.post("/", content=b"12345").status_code == 413


def test_lifespan_runs_around_requests_and_fills_the_state(test_client_factory: Any) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Pallasite) -> AsyncIterator[dict[str, Any]]:
        events.append("start")
        yield {"pool": "open"}
        events.append("stop")

    async def endpoint(request: Request) -> Response:
        events.append("request")
        return PlainTextResponse(request.state.pool)

    app = Pallasite(routes=[Route("/", endpoint)], lifespan=lifespan)
    with test_client_factory(app) as client:
        assert client.get("/").text == "open"
    assert events == ["start", "request", "stop"]


def test_failing_startup_and_shutdown_are_raised(test_client_factory: Any) -> None:
    @asynccontextmanager
    async def no_start(app: Pallasite) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    @asynccontextmanager
    async def no_stop(app: Pallasite) -> AsyncIterator[None]:
        yield
        raise RuntimeError("cannot close")

    with pytest.raises(RuntimeError, match="no database"), test_client_factory(Pallasite(lifespan=no_start)):
        pass
    with pytest.raises(RuntimeError, match="cannot close"), test_client_factory(Pallasite(lifespan=no_stop)):
        pass


def test_app_without_lifespan_starts_and_stops(test_client_factory: Any) -> None:
    with test_client_factory(Pallasite(routes=[Route("/", home)])) as client:
        assert client.get("/").text == "home"


def test_websocket_reaches_its_route_and_unknown_one_is_closed(test_client_factory: Any) -> None:
    from pallasite.websockets import WebSocketDisconnect

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    client = test_client_factory(Pallasite(routes=[WebSocketRoute("/ws", echo)]))
    with client.websocket_connect("/ws") as session:
        session.send_text("hi")
        assert session.receive_text() == "hi"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/nowhere"):
        pass


@pytest.mark.parametrize("handled", [500, 503, 404])
def test_handler_of_a_status_answers_an_http_exception_with_it(
    handled: int, test_client_factory: Callable[..., TestClient]
) -> None:
    async def endpoint(request: Request) -> Response:
        raise HTTPException(handled, detail="the queue is full")

    async def handler(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        return JSONResponse({"error": exc.detail}, status_code=exc.status_code)

    app = Pallasite(routes=[Route("/", endpoint)], exception_handlers={handled: handler})
    response = test_client_factory(app).get("/")
    assert (response.status_code, response.json()) == (handled, {"error": "the queue is full"})


def test_handler_of_500_still_answers_what_nothing_else_does(test_client_factory: Callable[..., TestClient]) -> None:
    async def endpoint(request: Request) -> Response:
        raise KeyError("secret")

    async def handler(request: Request, exc: Exception) -> Response:
        return JSONResponse({"error": type(exc).__name__}, status_code=500)

    app = Pallasite(routes=[Route("/", endpoint)], exception_handlers={500: handler})
    response = test_client_factory(app, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.json()) == (500, {"error": "KeyError"})
