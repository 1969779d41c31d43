"""Endpoints that respond with the route that was found."""

from __future__ import annotations

from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import (
    Router,
)
from tests.support.asgi import scope_of


async def show(request: Request) -> Response:
    """The name of the route that answered, and its parameters."""
    route = request.scope["route"]
    params = {key: f"{type(value).__name__}:{value}" for key, value in request.path_params.items()}
    return JSONResponse({"route": getattr(route, "name", None) or route.path, "params": params})


async def other(request: Request) -> Response:
    return PlainTextResponse("other")


def names(router: Router, path: str) -> str | None:
    scope = scope_of(path)
    return scope["route"].name if router._route_list().built_table().match(scope) else None
