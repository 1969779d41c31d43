"""Spares FastAPI's matching loop the routes that certainly do not match.

FastAPI's router asks its routes one by one, in Python, and an included router asks its own in the same way: 1.9 us for
each that does not match. The loop is FastAPI's, but what calls it is our router. So it is run on a view of the router,
the same in everything except that `routes` leaves out those whose regular expression, the one that the loop would ask,
does not match. Which of the others is taken, and how it answers, is left to FastAPI.

This relies on code that was read, so the loop is known by its text. Any other, a subclass of FastAPI's router, and a
patch of what the loop calls, get all of their routes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import sys
from collections.abc import Awaitable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pallasite._utils import get_route_path
from pallasite.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from pallasite.routing import Router

# What the loop consists of, in `fastapi.routing`.
TEXTS = (
    "APIRouter.app",
    "APIRouter.matches",
    "APIRouter._get_routes_version",
    "APIRouter._iter_low_priority_routes",
    "APIRouter._match_low_priority",
    "_IncludedRouter.matches",
    "_IncludedRouter._match",
    "_IncludedRouter.effective_candidates",
    "_IncludedRouter.effective_low_priority_routes",
    "_EffectiveRouteContext.matches",
    "APIRoute.matches",
    "APIWebSocketRoute.matches",
)
# SHA-256 of these texts -> the releases that have them.
KNOWN = {"6e45210be25916beff92c4413ec5840edba4a039842985e3900258bf1df46082": "0.165.0"}


class Loop:
    """FastAPI's classes and the functions that decide what matches, as they were when the loop was recognised."""

    def __init__(self, fastapi: Any, routing: Any) -> None:
        self.fastapi = fastapi
        self.routing = routing
        self.router_class = fastapi.APIRouter
        self.included_class = fastapi._IncludedRouter
        self.included_fields = len(dataclasses.fields(fastapi._IncludedRouter))
        self.context_class = fastapi._EffectiveRouteContext
        self.app = fastapi.APIRouter.app
        self.api_matches = fastapi.APIRoute.matches
        self.api_websocket_matches = fastapi.APIWebSocketRoute.matches
        self.functions = self.current_functions()

    def current_functions(self) -> tuple[Any, ...]:
        """What is called for a route that does not match. A patch of one of them has to see every route."""
        fastapi, routing = self.fastapi, self.routing
        router, included, context = self.router_class, self.included_class, self.context_class
        return (
            fastapi.get_route_path,
            routing.get_route_path,
            fastapi.APIRoute.matches,
            fastapi.APIWebSocketRoute.matches,
            router.matches,
            router.routes,
            router._get_routes_version,
            router._iter_low_priority_routes,
            router._match_low_priority,
            included.matches,
            included._match,
            included.effective_candidates,
            included.effective_low_priority_routes,
            context.matches,
            routing.Route.matches,
            routing.WebSocketRoute.matches,
            routing.Mount.matches,
        )

    def may_match(self, route: Any, kind: str, path: str) -> bool:
        """False if `route.matches` would certainly say no to a scope of that type with that path."""
        cls, routing = type(route), self.routing
        if cls is self.included_class:
            return self.may_include(route, kind, path)
        if cls.matches is self.api_matches or cls is routing.Route:
            protocol = "http"
        elif cls.matches is self.api_websocket_matches or cls is routing.WebSocketRoute:
            protocol = "websocket"
        elif cls is routing.Mount:
            protocol = kind
        else:
            return True
        return "matches" in route.__dict__ or (protocol == kind and route.path_regex.match(path) is not None)

    def may_include(self, included: Any, kind: str, path: str) -> bool:
        """The same for an included router: whether one of its routes under its prefix may match."""
        router = included.original_router.__dict__
        if len(included.__dict__) != self.included_fields or "matches" in router or "_get_routes_version" in router:
            return True
        context_class, api_matches = self.context_class, self.api_matches
        for candidate in included.effective_candidates():
            route = candidate
            if type(candidate) is context_class:
                route = candidate.original_route
                if type(route).matches is api_matches and "matches" not in route.__dict__:  # nearly every time
                    if kind == "http" and candidate.path_regex.match(path) is not None:
                        return True
                    continue
                route = candidate.starlette_route
            if route is None or self.may_match(route, kind, path):
                return True
        return False


class LikelyRoutes:
    """The routes of a router that may match a request, found while the loop iterates over them.

    It does so once to find the route; if there is none, a second time for the path with or without its last slash,
    where the router redirects; and a last time for the routes of low priority in included routers.
    """

    __slots__ = ("loop", "router", "scope", "times")

    def __init__(self, loop: Loop, router: Router, scope: Scope) -> None:
        self.loop = loop
        self.router = router
        self.scope = scope
        self.times = 0

    def __iter__(self) -> Iterator[Any]:
        scope, router = self.scope, self.router
        path = get_route_path(scope)
        self.times += 1
        if self.times == 1:
            return self.likely(path)
        if self.times == 2 and scope["type"] == "http" and router.redirect_slashes and path != "/":
            return self.likely(get_route_path({**scope, "path": other_path(scope, path)}))
        included: Any = self.loop.included_class
        return (route for route in router._routes if type(route) is included and has_low_priority(route))

    def likely(self, path: str) -> Iterator[Any]:
        loop, scope = self.loop, self.scope
        kind, included = scope["type"], loop.included_class
        for route in self.router._routes:
            if type(route) is included:
                scope.setdefault("fastapi", {})  # as its `matches` does
            if loop.may_match(route, kind, path):
                yield route


def has_low_priority(included: Any) -> bool:
    """Whether an included router has routes that are only asked where nothing else matches."""
    return bool(included.effective_low_priority_routes())


def other_path(scope: Scope, route_path: str) -> str:
    """The scope's path with or without its last slash."""
    path: str = scope["path"]
    return path.rstrip("/") if route_path.endswith("/") else path + "/"


class SparedApp:
    """Runs FastAPI's `APIRouter.app` on the routes that may match."""

    __slots__ = ("loop", "router")

    def __init__(self, loop: Loop, router: Router) -> None:
        self.loop = loop
        self.router = router

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        run: Any = self.loop.app  # its coroutine is given back as it is, so that there is no frame in between
        return run(self.view(scope), scope, receive, send)  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return spared, (self.router,)

    def view(self, scope: Scope) -> Any:
        """What the loop takes for its router."""
        loop, router = self.loop, self.router
        # A route that an included router has selected is matched by what it was selected with.
        is_selected = "effective_route_context" in scope.get("fastapi", ())
        if scope["type"] == "lifespan" or is_selected or loop.current_functions() != loop.functions:
            return router
        scope.setdefault("router", router)  # which the loop would set to the view
        view = object.__new__(loop.router_class)
        view.__dict__.update(router.__dict__, _routes=LikelyRoutes(loop, router, scope))
        return view


def spared(router: Router) -> ASGIApp:
    """`router.app`, which is spared of work if it is FastAPI's and known."""
    app: ASGIApp = router.app
    if type(router).__module__ != "fastapi.routing":
        return app
    loop = recognised(sys.modules["fastapi.routing"])
    if loop is None or type(router) is not loop.router_class or getattr(app, "__func__", None) is not loop.app:
        return app
    return SparedApp(loop, router)


@cache
def recognised(fastapi: Any) -> Loop | None:
    """FastAPI's loop, if the texts of its parts are ones that were read; else None."""
    from pallasite import routing

    try:
        digest = digest_of(fastapi)
    except (AttributeError, OSError, ValueError):  # other parts, no source text
        return None
    return Loop(fastapi, routing) if digest in KNOWN else None


def digest_of(fastapi: Any) -> str:
    """SHA-256 of the texts of the loop's parts."""
    file = fastapi.__file__
    lines = Path(file).read_text(encoding="utf-8").splitlines(keepends=True)
    digest = hashlib.sha256()
    for name in TEXTS:
        cls, function = name.split(".")
        code = getattr(getattr(fastapi, cls), function).__code__
        if code.co_filename != file:
            raise ValueError(f"{name} is patched")
        digest.update("".join(inspect.getblock(lines[code.co_firstlineno - 1 :])).encode())
    return digest.hexdigest()
