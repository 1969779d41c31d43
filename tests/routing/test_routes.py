"""Routing: routes by themselves, and routes that decide for themselves."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from pallasite.responses import PlainTextResponse
from pallasite.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    Route,
    Router,
    WebSocketRoute,
    request_response,
)
from pallasite.types import ASGIApp, Scope
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.routing.endpoints import names, other, show
from tests.support.asgi import Sent, scope_of

pytestmark = pytest.mark.anyio


# Routes that decide for themselves.


class HeaderRoute(Route):
    """Matches by a header field, whatever the path."""

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


def test_bare_base_route_names_what_is_missing() -> None:
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
    assert repr(Mount("/x", cast(ASGIApp, other), name="m")).startswith("Mount(path='/x', name='m', app=")
    assert repr(Host("a", cast(ASGIApp, other))).startswith("Host(host='a', name='', app=")


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


async def test_route_without_its_own_dict_is_served() -> None:
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
