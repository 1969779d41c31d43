"""Lifespans of mounted applications: started in order, each with its own state, and ended in the opposite order."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from pallasite._compat import mode
from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse
from pallasite.routing import Host, Mount, Route, Router, WebSocketRoute
from pallasite.staticfiles import StaticFiles
from pallasite.websockets import WebSocket


class Lives:
    """Makes lifespans that write down what happens to them."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.apps: dict[str, Any] = {}

    def __call__(
        self, name: str, state: dict[str, Any] | None = None, *, fails: str = "", error: type[Exception] = LookupError
    ) -> Callable[[Any], Any]:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            self.apps[name] = app
            if fails == "start":
                raise error(name)
            self.events.append(f"+{name}")
            yield state
            # No `finally`: an exception of another lifespan must not keep this from running.
            self.events.append(f"-{name}")
            if fails == "stop":
                raise error(name)

        return lifespan


@pytest.fixture
def lives() -> Lives:
    return Lives()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "pallasite.lifespan")
    return caplog


async def show(request: Request) -> JSONResponse:
    return JSONResponse({name: value for name, value in request.scope.get("state", {}).items() if name != "seen"})


def app_of(lifespan: Any = None, *routes: Any, **options: Any) -> Pallasite:
    return Pallasite(routes=[Route("/", show), *routes], lifespan=lifespan, **options)


def test_lifespans_run_outer_first_in_the_order_of_routes(test_client_factory: Any, lives: Lives) -> None:
    inner = app_of(lives("inner"))
    first = app_of(lives("first"), Mount("/inner", inner))
    third = Router([Route("/", show)], lifespan=lives("third"))
    app = app_of(
        lives("outer"),
        Mount("/first", first),
        Host("second.example", app_of(lives("second"))),
        Mount("/group", routes=[Mount("/third", third)]),
        Mount("/static", StaticFiles(directory=".")),
        Mount("/plain", app_of()),
    )
    order = ["outer", "first", "inner", "second", "third"]
    with test_client_factory(app) as client:
        assert client.get("/first/inner/").status_code == 200
        assert lives.events == [f"+{name}" for name in order]
    assert lives.events[5:] == [f"-{name}" for name in reversed(order)]
    assert lives.apps["first"] is first
    assert lives.apps["inner"] is inner
    assert lives.apps["third"] is app  # a router's lifespan gets the application around it


def test_lifespan_is_found_inside_layers(test_client_factory: Any, lives: Lives) -> None:
    layered = CORSMiddleware(CORSMiddleware(app_of(lives("layered"))))
    mount = Mount("/b", app_of(lives("in a mount's own")), middleware=[Middleware(CORSMiddleware)])
    with test_client_factory(app_of(None, Mount("/a", layered), mount)):
        assert lives.events == ["+layered", "+in a mount's own"]


def test_state_is_the_mounted_applications_own(test_client_factory: Any, lives: Lives) -> None:
    inner = app_of(lives("inner", {"name": "inner"}))
    app = app_of(
        lives("outer", {"name": "outer", "pool": 1}),
        Mount("/first", app_of(lives("first", {"name": "first", "cache": 2}), Mount("/inner", inner))),
        Mount("/second", app_of(lives("second", {"other": 3}))),
        Mount("/third", app_of(lives("third"))),
        Mount("/fourth", app_of(lives("fourth", {}))),
    )
    mounted = [route.app for route in app.routes[1:]]  # type: ignore[attr-defined]
    with test_client_factory(app) as client:
        assert client.get("/").json() == {"name": "outer", "pool": 1}
        assert client.get("/first/").json() == {"name": "first", "pool": 1, "cache": 2}
        assert client.get("/first/inner/").json() == {"name": "inner", "pool": 1, "cache": 2}
        assert client.get("/second/").json() == {"name": "outer", "pool": 1, "other": 3}
        assert client.get("/third/").json() == {"name": "outer", "pool": 1}
        assert client.get("/").json() == {"name": "outer", "pool": 1}
        # Only an application with state is wrapped, and the wrapper looks like the application.
        assert [route.app for route in app.routes[3:]] == mounted[2:]  # type: ignore[attr-defined]
        assert app.routes[1].app.router is mounted[0].router  # type: ignore[attr-defined]
    assert [route.app for route in app.routes[1:]] == mounted  # type: ignore[attr-defined]


def test_state_of_a_host_leaves_its_routes_to_be_found(test_client_factory: Any, lives: Lives) -> None:
    app = app_of(None, Host("a.example", app_of(lives("a", {"x": 1})), name="a"))
    with test_client_factory(app, base_url="http://a.example"):
        assert str(app.url_path_for("a:show")) == "/"


def test_state_reaches_websockets(test_client_factory: Any, lives: Lives) -> None:
    router = Router([WebSocketRoute("/", tell)], lifespan=lives("router", {"x": 1}))
    with (
        test_client_factory(app_of(None, Mount("/ws", router))) as client,
        client.websocket_connect("/ws/") as websocket,
    ):
        assert websocket.receive_json() == {"x": 1}


async def tell(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(websocket.scope["state"])
    await websocket.close()


def test_state_outside_sees_what_endpoints_put_into_it_and_its_own_values(
    test_client_factory: Any, lives: Lives
) -> None:
    async def note(request: Request) -> PlainTextResponse:
        assert request.state.name == "inner"
        request.state.user = "ada"
        if "rename" in request.query_params:
            request.state.name = "renamed"
        return PlainTextResponse("ok")

    seen: list[Any] = []

    class Outside:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                seen.append(dict(scope["state"]))

    inner = Pallasite(routes=[Route("/", note)], lifespan=lives("inner", {"name": "inner"}))
    app = app_of(lives("outer", {"name": "outer"}), Mount("/inner", inner), middleware=[Middleware(Outside)])
    with test_client_factory(app) as client:
        client.get("/inner/")
        client.get("/inner/?rename")
    assert seen == [{"name": "outer", "user": "ada"}, {"name": "renamed", "user": "ada"}]


@pytest.mark.anyio
async def test_state_needs_no_server_that_knows_it(lives: Lives) -> None:
    app = app_of(None, Mount("/a", app_of(lives("a", {"x": 1}))))
    begun, sent = anyio.Event(), []

    async def receive() -> Any:
        if begun.is_set():
            return {"type": "lifespan.shutdown"}
        begun.set()
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "lifespan.startup.complete":
            scope = {"type": "http", "method": "GET", "path": "/a/", "headers": [], "query_string": b""}
            await app(scope, receive, send)

    await app({"type": "lifespan"}, receive, send)
    assert [message["type"].split(".")[0] for message in sent] == ["lifespan", "http", "http", "lifespan"]
    assert sent[2]["body"] == b'{"x":1}'


def test_application_mounted_twice_runs_once_with_its_state_at_both(test_client_factory: Any, lives: Lives) -> None:
    twice = app_of(lives("twice", {"x": 1}))
    with test_client_factory(app_of(None, Mount("/a", twice), Mount("/b", twice))) as client:
        assert client.get("/a/").json() == client.get("/b/").json() == {"x": 1}
        assert lives.events == ["+twice"]


def test_application_mounted_in_itself_runs_once(test_client_factory: Any, lives: Lives) -> None:
    app = app_of(lives("it"))
    app.mount("/again", app)
    with test_client_factory(app):
        assert lives.events == ["+it"]


def test_application_mounted_by_the_lifespan_runs(test_client_factory: Any, lives: Lives) -> None:
    @asynccontextmanager
    async def lifespan(app: Pallasite) -> AsyncIterator[None]:
        app.mount("/late", app_of(lives("late", {"x": 1})))
        yield

    with test_client_factory(app_of(lifespan)) as client:
        assert client.get("/late/").json() == {"x": 1}
    assert lives.events == ["+late", "-late"]


def test_middleware_that_other_code_put_around_stays(test_client_factory: Any, lives: Lives) -> None:
    route = Mount("/a", app_of(lives("a", {"x": 1})))
    with test_client_factory(app_of(None, route)):
        route.app = in_front = CORSMiddleware(route.app)
    assert route.app is in_front


def test_startup_that_fails_ends_what_has_started(test_client_factory: Any, lives: Lives) -> None:
    third = app_of(lives("third", fails="start"))
    app = app_of(
        lives("outer"),
        Mount("/first", app_of(lives("first", {"x": 1}))),
        Mount("/second", app_of(lives("second"))),
        Mount("/third", third),
        Mount("/fourth", app_of(lives("fourth"))),
    )
    route = app.routes[1]
    first = route.app  # type: ignore[attr-defined]
    with pytest.raises(LookupError, match="third") as failure, test_client_factory(app):
        pass
    assert lives.events == ["+outer", "+first", "+second", "-second", "-first", "-outer"]
    assert "mounted at /third" in failure.value.__notes__[0]
    assert route.app is first  # type: ignore[attr-defined]
    assert third.router.lifespan_context(None).__class__.__name__ == "_AsyncGeneratorContextManager"


def test_shutdown_that_fails_lets_the_others_end(test_client_factory: Any, lives: Lives) -> None:
    app = app_of(
        lives("outer"),
        Mount("/first", app_of(lives("first"))),
        Mount("/second", app_of(lives("second", fails="stop"))),
        Mount("/third", app_of(lives("third"))),
    )
    with pytest.raises(LookupError, match="second"), test_client_factory(app):
        pass
    assert lives.events[4:] == ["-third", "-second", "-first", "-outer"]


def test_several_that_fail_to_end_are_all_raised(test_client_factory: Any, lives: Lives) -> None:
    app = app_of(
        lives("outer", fails="stop", error=OSError),
        Mount("/first", app_of(lives("first", fails="stop"))),
        Mount("/second", app_of(lives("second", fails="start", error=ValueError))),
    )
    with pytest.raises(ExceptionGroup, match="several lifespans failed") as failure, test_client_factory(app):
        pass
    assert [type(error) for error in failure.value.exceptions] == [LookupError, OSError]
    assert isinstance(failure.value.__context__, ValueError)


@pytest.mark.anyio
async def test_cancellation_reaches_all(lives: Lives) -> None:
    told: list[str] = []

    def noting(name: str) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            try:
                yield
            except BaseException as error:
                told.append(f"{name} {isinstance(error, anyio.get_cancelled_exc_class())}")
                raise

        return lifespan

    app = app_of(noting("outer"), Mount("/inner", app_of(noting("inner"))))
    sent: list[Any] = []

    async def receive() -> Any:
        if sent:
            group.cancel_scope.cancel()
            await anyio.sleep_forever()
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async with anyio.create_task_group() as group:
        group.start_soon(app, {"type": "lifespan"}, receive, send)
    assert told == ["inner True", "outer True"]


def entered_by_attribute(child: Pallasite, other: Any) -> Any:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(child.router.lifespan_context(child))
            yield

    return lifespan


@pytest.mark.parametrize(
    "outer", [lambda child, lifespan: lifespan, entered_by_attribute], ids=["the same", "entered by hand"]
)
@pytest.mark.parametrize("setting", [None, True, False])
def test_lifespan_that_the_outer_one_starts_itself_runs_once(
    outer: Any, setting: bool | None, test_client_factory: Any, lives: Lives, log: pytest.LogCaptureFixture
) -> None:
    lifespan = lives("child")
    child = app_of(lifespan)
    app = app_of(outer(child, lifespan), Mount("/child", child), mounted_lifespans=setting)
    for _ in range(2):
        with test_client_factory(app):
            pass
    assert lives.events == ["+child", "-child"] * 2
    assert log.text == ""
    assert child.router.lifespan_context is lifespan


def test_lifespan_replaced_while_it_starts_stays_replaced(test_client_factory: Any, lives: Lives) -> None:
    child = app_of(lives("child"))
    other = lives("other")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        child.router.lifespan_context = other
        yield

    with test_client_factory(app_of(lifespan, Mount("/child", child))):
        pass
    assert child.router.lifespan_context is other


@pytest.mark.parametrize("by", ["setting", "stand-in"])
def test_lifespans_not_run_are_warned_of(
    by: str,
    test_client_factory: Any,
    lives: Lives,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if by == "stand-in":
        monkeypatch.setattr(mode, "current", mode.STARLETTE)
    host = Host("b.example", app_of(lives("b")))
    app = app_of(lives("outer"), Mount("/a", app_of(lives("a"), host)), Mount("/c", app_of()))
    app.mounted_lifespans = None if by == "stand-in" else False
    with test_client_factory(app) as client:
        assert client.get("/a/").status_code == 200
    assert lives.events == ["+outer", "-outer"]
    assert [record.message for record in log.records] == [
        f"The lifespan of the application mounted at {path} is not run: mounted_lifespans is off"
        for path in ("/a", "b.example/a")
    ]


def test_inner_setting_holds_for_what_is_mounted_there(
    test_client_factory: Any, lives: Lives, log: pytest.LogCaptureFixture
) -> None:
    off = app_of(lives("off"), Mount("/x", app_of(lives("x"))), mounted_lifespans=False)
    on = app_of(lives("on"), Mount("/y", app_of(lives("y"))))
    with test_client_factory(app_of(None, Mount("/off", off), Mount("/on", on))):
        assert lives.events == ["+off", "+on", "+y"]
    assert [record.args for record in log.records] == [("/off/x",)]


def test_setting_of_a_class_holds(test_client_factory: Any, lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)

    class Always(Pallasite):
        mounted_lifespans = True

        def __init__(self, **options: Any) -> None:
            inner = Pallasite(**options)
            self.__dict__.update({name: value for name, value in vars(inner).items() if name != "mounted_lifespans"})

    with test_client_factory(Always(routes=[Mount("/a", app_of(lives("a")))])):
        assert lives.events == ["+a"]


class _DefaultLifespan:
    """As FastAPI's: it runs the handlers of its router."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def __call__(self, app: Any) -> _DefaultLifespan:
        return self

    async def __aenter__(self) -> None:
        self.events.append("+handlers")

    async def __aexit__(self, *exc_info: object) -> None:
        self.events.append("-handlers")


@pytest.mark.parametrize("handlers", ["on_startup", "on_shutdown", ""])
def test_default_lifespan_counts_only_with_handlers(handlers: str, test_client_factory: Any, lives: Lives) -> None:
    child = app_of()
    child.router.lifespan_context = _DefaultLifespan(lives.events)
    if handlers:
        setattr(child.router, handlers, [print])
    with test_client_factory(app_of(None, Mount("/child", child))):
        assert lives.events == (["+handlers"] if handlers else [])


def test_endless_layers_are_given_up(test_client_factory: Any) -> None:
    class Endless:
        @property
        def app(self) -> Endless:
            return Endless()

    with test_client_factory(app_of(None, Mount("/a", Endless()))) as client:  # type: ignore[arg-type]
        assert client.get("/").status_code == 200
