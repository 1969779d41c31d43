"""Compiled routes for FastAPI: what FastAPI works out for each request is prepared when the route is made.

    from pallasite.fastapi import compile_routes

    app = FastAPI()
    ...
    compile_routes(app)

Which parameters come from where, which dependencies run in which order and how the result is serialised are known when
the route is made. A compiled route uses that. Its responses are FastAPI's, errors included. What it does not know
exactly is left to FastAPI: a route whose handler is not FastAPI's own, streams, dependencies with a concurrency limit,
and requests while there are `dependency_overrides`, telemetry or a patch of a function that it stands in for.

FastAPI must run on Pallasite: see `pallasite.install_as_starlette`.
"""

from __future__ import annotations

from typing import Any

from fastapi import routing as _routing

from pallasite import routing as _ours
from pallasite.types import Receive, Scope, Send

if not issubclass(_routing.APIRoute, _ours.Route):
    raise ImportError(
        "pallasite.fastapi needs FastAPI to run on Pallasite: call pallasite.install_as_starlette() before the first"
        " import of fastapi, or start the program with `python -m pallasite as-starlette <command>`"
    )

from pallasite._fastapi.handler import CompiledApp, compiled

__all__ = ["CompiledRoute", "compile_routes"]


class CompiledRoute(_routing.APIRoute):
    """A route of FastAPI that is prepared when it is made: ``APIRouter(route_class=CompiledRoute)``."""

    # The index of routes calls it for the application that a route has where a router includes it.
    _compile_app = staticmethod(compiled)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = compiled(self.app)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = scope.get(_routing._FASTAPI_SCOPE_KEY, {}).get(_routing._FASTAPI_EFFECTIVE_ROUTE_CONTEXT_KEY)
        if context is not None and context.original_route is self:
            # The route as a router includes it has an application of its own.
            context.app = compiled(context.app)
        await super().handle(scope, receive, send)

    # The index stands in for this method, too, but not for that of a subclass.
    _compiled_handle = handle


def compile_routes(app: Any) -> int:
    """Compile the routes of a FastAPI application or an `APIRouter`, and of the routers that it includes.

    Routes added later are compiled too. Subclasses of `APIRoute` are left alone. Returns the number of routes that are
    compiled.
    """
    count = 0
    router = getattr(app, "router", app)
    if router.route_class is _routing.APIRoute:
        router.route_class = CompiledRoute
    for route in router.routes:
        if isinstance(route, _routing._IncludedRouter):
            count += compile_routes(route.original_router)
        elif type(route) in (_routing.APIRoute, CompiledRoute):
            route.app = compiled(route.app)
            route.__class__ = CompiledRoute
            count += type(route.app) is CompiledApp
    return count
