"""Routing: mounts, hosts, and routers within them."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import (
    Host,
    Match,
    Mount,
    Route,
    Router,
)
from tests.routing.endpoints import show

pytestmark = pytest.mark.anyio


# Mounts and hosts.


def test_mount_moves_its_prefix_into_root_path(test_client_factory: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        keys = ("path", "root_path", "app_root_path", "path_params")
        await JSONResponse({key: scope[key] for key in keys})(scope, receive, send)

    router = Router([Mount("/{team}/files", routes=[Mount("/{year:int}", app)])])
    response = test_client_factory(router, root_path="/proxy").get("/proxy/red/files/2026/a/b")
    assert response.json() == {
        "path": "/proxy/red/files/2026/a/b",
        "root_path": "/proxy/red/files/2026",
        "app_root_path": "/proxy",
        "path_params": {"team": "red", "year": 2026},
    }


def test_mount_needs_the_slash_and_redirects_to_it(test_client_factory: Any) -> None:
    client = test_client_factory(Router([Mount("/m", routes=[Route("/", show), Route("/x", show)])]))
    assert client.get("/m", follow_redirects=False).status_code == 307
    assert client.get("/m/").status_code == 200
    assert client.get("/m/x").status_code == 200
    assert client.get("/mx").status_code == 404


def test_nested_routers_keep_the_outermost_router_and_innermost_route(test_client_factory: Any) -> None:
    seen: dict[str, Any] = {}

    async def endpoint(request: Request) -> Response:
        seen.update(request.scope)
        return PlainTextResponse("")

    route = Route("/c", endpoint)
    outer = Router([Mount("/a", routes=[Mount("/b", routes=[route])])])
    test_client_factory(outer).get("/a/b/c")
    assert seen["router"] is outer
    assert seen["route"] is route


def test_failed_match_inside_a_mount_does_not_come_back_out(test_client_factory: Any) -> None:
    client = test_client_factory(Router([Mount("/a", routes=[]), Route("/a/b", show)]))
    assert client.get("/a/b").status_code == 404


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.example.org", "api"),
        ("API.Example.ORG:8000", "api"),
        ("red.teams.example.org", "team red"),
        ("[::1]:80", "six"),
        ("example.org", "rest"),
        ("api.example.org.evil", "rest"),
        ("api.example.org/x", "rest"),
        ("a b", "rest"),
        ("", "rest"),
    ],
)
def test_host_routes_look_at_the_host_only(host: str, expected: str, test_client_factory: Any) -> None:
    def answer(text: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            team = scope["path_params"].get("team", "")
            await PlainTextResponse(f"{text} {team}".strip())(scope, receive, send)

        return app

    router = Router(
        [
            Host("api.example.org", answer("api")),
            Host("{team}.teams.example.org", answer("team")),
            Host("[::1]", answer("six")),
            Mount("/", answer("rest")),
        ]
    )
    assert test_client_factory(router).get("/", headers={"host": host}).text == expected


async def test_mount_handles_by_calling_its_application() -> None:
    calls: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope)

    await Mount("/m", app).handle({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert calls == [{"type": "http"}]


def test_host_with_a_replaced_regex_is_asked_with_it() -> None:
    host = Host("{name}.example.org", Router(), name="h")
    scope = {"type": "http", "path": "/", "headers": [(b"host", b"a.example.org")]}
    assert host.matches(scope)[1]["path_params"] == {"name": "a"}
    assert host.matches({**scope, "headers": [(b"host", b"other")]}) == (Match.NONE, {})
