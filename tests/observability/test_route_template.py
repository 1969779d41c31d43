"""The template of the route that responded, with what is around it."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite._observability.route_template import route_template
from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Host, Mount, Route, Router
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi import ask

pytestmark = pytest.mark.anyio


async def endpoint(request: Request) -> Response:
    return Response()


def opaque(app: ASGIApp) -> ASGIApp:
    """Hide the routes of an application, as a function that wraps it does."""

    async def wrapper(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return wrapper


INNER = [Route("/", endpoint), Route("/r/{y:int}", endpoint), Route("/r/{y:int}/{tenant}", endpoint)]
ROUTES: list[Any] = [
    Route("/", endpoint),
    Route("/users/{id}", endpoint),
    Mount("/static", routes=[Mount("/deep", routes=INNER)]),
    Mount("/t/{tenant}", routes=[Mount("/in/{part:int}", routes=INNER), Mount("/other", routes=INNER)]),
    Mount("/hidden", app=opaque(Router(INNER))),
    Mount("/hidden-{secret}", app=opaque(Router(INNER))),
    Mount("/veiled", app=opaque(Router([Mount("/{secret}", routes=INNER)]))),
    Mount("/app/{tenant}", app=Pallasite(routes=INNER)),
    Host("{sub}.example.test", app=Router([Mount("/m/{x}", routes=INNER), Mount("/plain", routes=INNER)])),
]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/users/7", "/users/{id}"),
        ("/none", None),
        ("/static/deep/", "/static/deep/"),
        ("/static/deep/r/7", "/static/deep/r/{y}"),
        ("/t/acme/in/007/r/7", "/t/{tenant}/in/{part}/r/{y}"),
        ("/t/acme/in/1/r/7/9", "/t/{tenant}/in/{part}/r/{y}/{tenant}"),
        ("/t/acme/other/r/7", "/t/{tenant}/other/r/{y}"),
        ("/hidden/r/7", "/hidden/r/{y}"),
        ("/hidden-abc/r/7", "/hidden-{secret}/r/{y}"),
        ("/veiled/abc/r/7", None),
        ("/app/acme/r/7", "/app/{tenant}/r/{y}"),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/proxy"])
async def test_template(path: str, template: str | None, root_path: str) -> None:
    found = await template_of(Pallasite(routes=ROUTES), root_path + path, root_path=root_path)
    assert found == (None if template is None else root_path + template)


@pytest.mark.parametrize(
    ("path", "template"),
    [("/m/1/r/7", "/m/{x}/r/{y}"), ("/plain/r/7", "/plain/r/{y}")],
)
async def test_template_below_a_host(path: str, template: str) -> None:
    headers = [(b"host", b"a.example.test")]
    assert await template_of(Pallasite(routes=ROUTES), path, headers=headers) == template


async def template_of(app: Any, path: str, **scope: Any) -> str | None:
    found = []

    async def noted(inner: Scope, receive: Receive, send: Send) -> None:
        await app(inner, receive, send)
        found.append(route_template(inner))

    await ask(noted, path, **scope)
    return found[0]
