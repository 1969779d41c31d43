"""Cases about finding the route: nested mounts, and tables of 10 to 100,000 routes."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from benches.app import small_routes
from benches.case import Framework, case
from benches.exchange import Reply, get


@case("mounts, three deep", group="core", request=get("/api/v1/shop/items/42"))
def mounts(web: Framework) -> Any:
    Mount = web.routing.Mount
    shop = Mount("/shop", routes=small_routes(web))
    return web.applications.Starlette(routes=[Mount("/api", routes=[Mount("/v1", routes=[shop])])])


@case("method not allowed", group="core", request=get("/only-post"))
def method_not_allowed(web: Framework) -> Any:
    async def create(request: Any) -> Any:
        raise NotImplementedError("answers POST only")

    return web.applications.Starlette(routes=[web.routing.Route("/only-post", create, methods=["POST"])])


def without_host(reply: Reply) -> Reply:
    """Starlette repeats the request's host in the Location, Pallasite names the path alone."""
    headers = tuple((name, value.removeprefix(b"http://www.example.org")) for name, value in reply.headers)
    return replace(reply, headers=headers).joined()


@case("slash redirect", group="core", request=get("/items/42/"), same=without_host)
def slash_redirect(web: Framework) -> Any:
    return web.applications.Starlette(routes=small_routes(web))


def resource_routes(web: Framework, count: int) -> list[Any]:
    PlainTextResponse, Route = web.responses.PlainTextResponse, web.routing.Route

    async def show(request: Any) -> Any:
        return PlainTextResponse(request.path_params["name"])

    return [Route(f"/api/resource{i}/{{name}}", show) for i in range(count)]


@lru_cache(maxsize=2)  # one table for each side: 100,000 routes take a while and much memory
def table(side: str, count: int) -> Any:
    web = Framework(side)
    return web.applications.Starlette(routes=resource_routes(web, count))


@case("first of 10 routes", group="routes", request=get("/api/resource0/olivine"))
def first_of_10(web: Framework) -> Any:
    return table(web.name, 10)


@case("last of 10 routes", group="routes", request=get("/api/resource9/olivine"))
def last_of_10(web: Framework) -> Any:
    return table(web.name, 10)


@case("first of 1,000 routes", group="routes", request=get("/api/resource0/olivine"))
def first_of_1000(web: Framework) -> Any:
    return table(web.name, 1_000)


@case("last of 1,000 routes", group="routes", request=get("/api/resource999/olivine"), target=0.006)
def last_of_1000(web: Framework) -> Any:
    return table(web.name, 1_000)


@case("404 after 1,000 routes", group="routes", request=get("/api/resource1000/olivine"))
def none_of_1000(web: Framework) -> Any:
    return table(web.name, 1_000)


@case("first of 100,000 routes", group="routes", request=get("/api/resource0/olivine"), slow=True)
def first_of_100000(web: Framework) -> Any:
    return table(web.name, 100_000)


@case("last of 100,000 routes", group="routes", request=get("/api/resource99999/olivine"), slow=True)
def last_of_100000(web: Framework) -> Any:
    return table(web.name, 100_000)


@case("building 1,000 routes and answering once", group="routes")
def build_1000(web: Framework) -> Any:
    from benches.driver import AppSubject

    def build() -> Reply:
        re.purge()  # `re` would remember half of the patterns from the call before
        app = web.applications.Starlette(routes=resource_routes(web, 1_000))
        return AppSubject(app, get("/api/resource500/olivine")).observe()

    return build
