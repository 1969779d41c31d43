"""starsessions: sessions in a cookie or on the server, loaded on demand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from starsessions import (
    CookieStore,
    InMemoryStore,
    SessionAutoloadMiddleware,
    SessionMiddleware,
    SessionNotLoaded,
    load_session,
)
from starsessions.session import get_session_id, regenerate_session_id


async def add(request: Request) -> Response:
    await load_session(request)
    request.session["basket"] = [*request.session.get("basket", []), request.path_params["item"]]
    return JSONResponse(request.session["basket"])


async def log_in(request: Request) -> Response:
    await load_session(request)
    before = get_session_id(request)
    request.session["user"] = "ann"
    return JSONResponse([before, regenerate_session_id(request)])


async def clear(request: Request) -> Response:
    await load_session(request)
    request.session.clear()
    return JSONResponse({})


async def not_loaded(request: Request) -> Response:
    return JSONResponse(request.session["basket"])


async def over_websocket(websocket: WebSocket) -> None:
    await websocket.accept()
    await load_session(websocket)
    await websocket.send_json(dict(websocket.session))
    await websocket.close()


def make_client(store: Any, *more: Middleware, **settings: Any) -> TestClient:
    routes = [
        Route("/add/{item}", add),
        Route("/log-in", log_in),
        Route("/clear", clear),
        Route("/not-loaded", not_loaded),
        WebSocketRoute("/socket", over_websocket),
    ]
    middleware = [Middleware(SessionMiddleware, store=store, lifetime=3600, **settings), *more]
    return TestClient(Starlette(routes=routes, middleware=middleware), base_url="https://shop.example")


@pytest.fixture(
    params=[lambda: CookieStore(secret_key="a long and secret key"), InMemoryStore], ids=["cookie", "memory"]
)
def store(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_session_is_kept_between_requests_and_clients_have_their_own(store: Any) -> None:
    client = make_client(store)
    assert client.get("/add/tea").json() == ["tea"]
    assert client.get("/add/milk").json() == ["tea", "milk"]
    assert make_client(store).get("/add/salt").json() == ["salt"]
    with client.websocket_connect("wss://shop.example/socket") as session:
        assert session.receive_json() == {"basket": ["tea", "milk"]}


def test_cookie_is_for_browsers_over_tls_only(store: Any) -> None:
    cookie = make_client(store).get("/add/tea").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "secure" in cookie
    assert "samesite=lax" in cookie
    assert re.search(r"max-age=(3600|3599)\b", cookie)


def test_cleared_session_takes_cookie_back(store: Any) -> None:
    client = make_client(store)
    client.get("/add/tea")
    assert "01 Jan 1970" in client.get("/clear").headers["set-cookie"]
    assert client.get("/add/milk").json() == ["milk"]


def test_session_gets_new_number_on_login() -> None:
    store = InMemoryStore()
    client = make_client(store)
    client.get("/add/tea")
    before, after = client.get("/log-in").json()
    assert before != after
    assert client.cookies["session"] == after
    assert client.get("/add/milk").json() == ["tea", "milk"]


def test_forged_cookie_is_an_empty_session() -> None:
    client = make_client(CookieStore(secret_key="a long and secret key"))
    client.cookies.set("session", "eyJiYXNrZXQiOiBbInRlYSJdfQ==.forged.forged")
    assert client.get("/add/milk").json() == ["milk"]


def test_session_is_loaded_by_hand_or_by_middleware(store: Any) -> None:
    with pytest.raises(SessionNotLoaded):
        make_client(store).get("/not-loaded")
    client = make_client(store, Middleware(SessionAutoloadMiddleware, paths=["/not-loaded"]))
    client.get("/add/tea")
    assert client.get("/not-loaded").json() == ["tea"]
