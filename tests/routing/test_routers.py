"""Routing: lifespans of routers, and paths that no route matches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import (
    Route,
    Router,
)
from tests.routing.endpoints import show
from tests.support.asgi import Sent, always

pytestmark = pytest.mark.anyio


def test_older_lifespan_forms_still_run_with_a_warning(test_client_factory: Any) -> None:
    events: list[str] = []

    async def asynchronous(app: Any) -> AsyncIterator[None]:
        events.append("async start")
        yield
        events.append("async stop")

    def plain(app: Any) -> Iterator[None]:
        events.append("start")
        yield
        events.append("stop")

    for lifespan in (asynchronous, plain):
        with pytest.warns(StarletteDeprecationWarning, match="lifespans are deprecated"):
            router = Router(lifespan=lifespan)  # type: ignore[arg-type]
        with test_client_factory(router):
            pass
    assert events == ["async start", "async stop", "start", "stop"]


def test_lifespan_replaced_after_construction_is_used(test_client_factory: Any) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        events.append("replaced")
        yield

    app = Pallasite()
    app.router.lifespan_context = lifespan
    with test_client_factory(app):
        pass
    assert events == ["replaced"]


async def test_lifespan_state_without_server_support_is_reported() -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"a": 1}

    sent = Sent()

    with pytest.raises(RuntimeError, match='"state"'):
        await Router(lifespan=lifespan)({"type": "lifespan"}, always({"type": "lifespan.startup"}), sent)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "RuntimeError" in sent[0]["message"]


def test_router_has_methods_to_add_routes(test_client_factory: Any) -> None:
    router = Router()
    router.add_route("/x", show, methods=["PUT"], name="put")
    router.add_websocket_route("/ws", show, name="ws")  # type: ignore[arg-type]
    router.mount("/m", Router([Route("/", show)]), name="m")
    router.host("h.example.org", Router(), name="h")
    assert [type(route).__name__ for route in router.routes] == ["Route", "WebSocketRoute", "Mount", "Host"]
    assert test_client_factory(router).put("/x").json()["route"] == "put"


def test_default_answers_what_no_route_does(test_client_factory: Any) -> None:
    router = Router(default=PlainTextResponse("default", status_code=299))
    assert test_client_factory(router).get("/x").status_code == 299


def test_route_body_limit_holds_for_that_route(test_client_factory: Any) -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    routes = [Route("/small", echo, methods=["POST"], max_body_size=2), Route("/any", echo, methods=["POST"])]
    client = test_client_factory(Pallasite(routes=routes))
    assert client.post("/small", content=b"123").status_code == 413
    assert client.post("/any", content=b"123").text == "123"
    limited = Router([Route("/", echo, methods=["POST"])], max_body_size=2)
    assert test_client_factory(limited).post("/", content=b"123").status_code == 413
