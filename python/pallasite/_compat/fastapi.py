"""Let FastAPI's matching loop skip routes that certainly do not match.

FastAPI's router asks its routes one by one, in Python, and an included router does the same: 1.9 us for each that does
not match. The loop is FastAPI's, but it is called by our router. So it runs on a view of the router whose `routes`
leaves out those that do not match by the regular expression that the loop would use. All other attributes are the
router's. FastAPI still decides which of the remaining routes is taken, and how it responds.

This relies on code that was reviewed, so the loop is recognised by its source text. An unknown version, a subclass of
FastAPI's router, and a patch of anything the loop calls all get every route.
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

# The functions that make up the loop, in `fastapi.routing`.
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
# SHA-256 of their source text -> the releases that have it.
KNOWN = {"6e45210be25916beff92c4413ec5840edba4a039842985e3900258bf1df46082": "0.165.0"}


class Loop:
    """FastAPI's classes, and the functions that decide what matches, as they were when the loop was recognised."""

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
        self.including = self.current_including()
        self.view_class = view_class(self)

    def current_functions(self) -> tuple[Any, ...]:
        """Return what is called for a route that does not match. A patch of any of them must see every route."""
        fastapi, routing = self.fastapi, self.routing
        return (
            fastapi.get_route_path,
            routing.get_route_path,
            fastapi.APIRoute.matches,
            fastapi.APIWebSocketRoute.matches,
            routing.Route.matches,
            routing.WebSocketRoute.matches,
            routing.Mount.matches,
        )

    def current_including(self) -> tuple[Any, ...]:
        """Return what is called in addition for an included router."""
        router, included = self.router_class, self.included_class
        return (
            router.matches,
            router.routes,
            router._get_routes_version,
            router._iter_low_priority_routes,
            router._match_low_priority,
            included.matches,
            included._match,
            included.effective_candidates,
            included.effective_low_priority_routes,
            self.context_class.matches,
        )

    def likely(self, routes: list[Any], scope: Scope, path: str) -> Iterator[Any]:
        """Yield the routes that may match a scope of that type with that path, found one by one."""
        kind, included_class, route_class = scope["type"], self.included_class, self.routing.Route
        is_patched: bool | None = None
        for route in routes:
            cls = type(route)
            if cls is route_class:  # checked first, for the documentation's routes: 0.15 us each instead of 0.9 us
                pattern = route._pattern
                regex = route.path_regex if pattern is None or pattern.convertors else pattern
                if (kind == "http" and regex.match(path) is not None) or "matches" in route.__dict__:
                    yield route
            elif cls is not included_class:
                if self.may_match(route, kind, path):
                    yield route
            else:
                if is_patched is None:
                    is_patched = self.current_including() != self.including
                scope.setdefault("fastapi", {})  # as its `matches` does
                if is_patched or self.may_include(route, kind, path):
                    yield route

    def may_match(self, route: Any, kind: str, path: str) -> bool:
        """Return False if `route.matches` would certainly reject a scope of that type with that path."""
        cls, routing = type(route), self.routing
        if cls is routing.Route or cls.matches is self.api_matches:
            protocol = "http"
        elif cls is routing.WebSocketRoute or cls.matches is self.api_websocket_matches:
            protocol = "websocket"
        elif cls is routing.Mount:
            protocol = kind
        else:
            return cls is not self.included_class or self.may_include(route, kind, path)
        return "matches" in route.__dict__ or (protocol == kind and route.path_regex.match(path) is not None)

    def may_include(self, included: Any, kind: str, path: str) -> bool:
        """Return the same for an included router: False if none of its routes below its prefix can match."""
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


def view_class(loop: Loop) -> type:
    """Return the class of the router's view. Its attributes are the router's own, except `routes`.

    The loop iterates over `routes` once to find the route. If there is none, it iterates a second time, for the path
    with or without its last slash, if the router redirects, and finally for the low-priority routes of included
    routers.
    """

    class View(loop.router_class):  # type: ignore[name-defined, misc]
        __slots__ = ("of_scope", "times")

        @property
        def routes(self) -> Any:
            scope, routes = self.of_scope, self._routes
            # A route selected by an included router is matched by what it was selected with.
            is_selected = "effective_route_context" in scope.get("fastapi", ())
            if is_selected or loop.current_functions() != loop.functions:
                return routes
            self.times += 1
            path = get_route_path(scope)
            if self.times == 1:
                return loop.likely(routes, scope, path)
            if self.times == 2 and scope["type"] == "http" and self.redirect_slashes and path != "/":
                return loop.likely(routes, scope, get_route_path({**scope, "path": other_path(scope, path)}))
            return [route for route in routes if type(route) is loop.included_class]

    return View


def other_path(scope: Scope, route_path: str) -> str:
    """Return the scope's path with its last slash added or removed."""
    path: str = scope["path"]
    return path.rstrip("/") if route_path.endswith("/") else path + "/"


class SparedApp:
    """Runs FastAPI's `APIRouter.app` on the routes that may match."""

    __slots__ = ("loop", "router")

    def __init__(self, loop: Loop, router: Router) -> None:
        self.loop = loop
        self.router = router

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        loop, router = self.loop, self.router
        if scope["type"] == "lifespan":
            return loop.app(router, scope, receive, send)  # type: ignore[no-any-return]
        if "router" not in scope:
            scope["router"] = router  # the loop would set it to the view
        view: Any = object.__new__(loop.view_class)
        view.__dict__ = router.__dict__
        view.of_scope = scope
        view.times = 0
        # The coroutine is returned directly, without a frame in between.
        return loop.app(view, scope, receive, send)  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return router_app, (self.router,)


def router_app(router: Router) -> ASGIApp:
    """Return `router.app`, wrapped if it is a known version of FastAPI's loop."""
    app: ASGIApp = router.app
    if type(router).__module__ != "fastapi.routing":
        return app
    loop = recognised(sys.modules["fastapi.routing"])
    if loop is None or type(router) is not loop.router_class or getattr(app, "__func__", None) is not loop.app:
        return app
    return SparedApp(loop, router)


@cache
def recognised(fastapi: Any) -> Loop | None:
    """Return FastAPI's loop if its source text is known, else None."""
    try:
        digest = digest_of(fastapi)
    except (AttributeError, OSError, ValueError):  # other parts, or no source text
        return None
    return Loop(fastapi, sys.modules["pallasite.routing"]) if digest in KNOWN else None


def digest_of(fastapi: Any) -> str:
    """Return the SHA-256 of the source text of the loop's parts."""
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
