"""Let FastAPI's matching loop skip routes that certainly do not match.

FastAPI's router asks its routes one by one, in Python, and an included router does the same: 1.9 us for each that does
not match. The loop is FastAPI's, but it is called by our router. So it runs on a view of the router whose `routes`
leaves out those that do not match by the regular expression that the loop would use. All other attributes are the
router's. FastAPI still decides which of the remaining routes is taken, and how it responds.

The loop is recognised by what it does with its routes (`_compat.fastapi_loop`), not by its release. Another loop, a
subclass of FastAPI's router, and a patch of anything the loop calls all get every route.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Awaitable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from pallasite._compat import mode
from pallasite._compat.fastapi_index import Index, Leaf, build_index
from pallasite._compat.fastapi_loop import why_unknown
from pallasite._core import Guard, RouteKind
from pallasite._routing import route_list
from pallasite._utils import get_route_path
from pallasite.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from pallasite.routing import Router


# What runs when an included router is asked for a match, and when it handles one.
INCLUDING = ("matches", "_match", "effective_candidates", "handle", "_handle_selected")


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
        self.kinds = {
            self.api_matches: RouteKind.HTTP,
            self.api_websocket_matches: RouteKind.WEBSOCKET,
            routing.Route.matches: RouteKind.HTTP,
            routing.WebSocketRoute.matches: RouteKind.WEBSOCKET,
            routing.Mount.matches: RouteKind.OPAQUE,
            routing.Host.matches: RouteKind.OPAQUE,
        }
        self.api_handle = fastapi.APIRoute.handle
        self.patchable = frozenset(("matches", "handle", "routes", "_get_routes_version"))
        if mode.compiles_fastapi:
            from pallasite._fastapi.handler import compiled

            # The index of routes looks for it.
            fastapi.APIRoute._compile_app = staticmethod(compiled)
        self.functions = self.current_functions()
        self.including = self.current_including()
        # A patch of any of them must see every request.
        self.untouched = Guard(
            [
                (fastapi, "get_route_path"),
                (fastapi, "_update_scope"),
                (fastapi, "_route_selected"),
                (routing, "get_route_path"),
                (fastapi.APIRoute, "matches"),
                (fastapi.APIRoute, "handle"),
                (fastapi.APIWebSocketRoute, "matches"),
                (routing.Route, "matches"),
                (routing.Route, "handle"),
                (routing.WebSocketRoute, "matches"),
                (routing.Mount, "matches"),
                (routing.Host, "matches"),
                *((self.router_class, name) for name in ("matches", "handle", "routes", "_get_routes_version")),
                *((self.included_class, name) for name in INCLUDING),
                (self.context_class, "matches"),
            ]
        )
        self.scope_key: str = fastapi._FASTAPI_SCOPE_KEY
        self.included_key: str = fastapi._FASTAPI_INCLUDED_ROUTER_KEY
        self.apply_form_limits: Any = getattr(fastapi, "_apply_router_form_limits", None)
        self.context_key: str = fastapi._FASTAPI_EFFECTIVE_ROUTE_CONTEXT_KEY

    def is_patched(self, included: Any) -> bool:
        """Return True if an included router has attributes of its own, besides the mark of the list that it is in."""
        attributes = included.__dict__
        return len(attributes) - ("_indexed" in attributes) != self.included_fields

    def is_api(self, route: Any) -> bool:
        """Return True if the route is an `APIRoute` that matches and is handled as such."""
        cls = type(route)
        if getattr(cls, "matches", None) is not self.api_matches:
            return False
        return cls.handle in (self.api_handle, getattr(cls, "_compiled_handle", None))

    def selected(self, leaf: Leaf, scope: Scope) -> ASGIApp:
        """Fill the scope as FastAPI does on its way to an API route. Return the route's application."""
        scope["route"] = leaf.route
        for holder in leaf.limiting:
            if holder.form_limits:
                self.apply_form_limits(scope, holder.form_limits)
        if leaf.context is None:
            app: ASGIApp = leaf.route.app
        else:
            own = scope[self.scope_key]
            own[self.included_key] = leaf.included[-1]
            own[self.context_key] = leaf.context
            app = leaf.context.app
        return app

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
            included.matches,
            included._match,
            included.effective_candidates,
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
                scope.setdefault(self.scope_key, {})  # as its `matches` does
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
        if self.is_patched(included) or "matches" in router or "_get_routes_version" in router:
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


class View:
    """The router as the loop sees it: all its attributes, but only those `routes` that may match.

    The loop iterates over `routes` once to find the route. If there is none, and the router redirects, it iterates a
    second time, for the path with or without its last slash. Whatever else it calls gets the router itself.
    """

    __slots__ = ("_loop", "_router", "_scope", "_times")

    def __init__(self, loop: Loop, router: Any, scope: Scope) -> None:
        self._loop = loop
        self._router = router
        self._scope = scope
        self._times = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)

    @property
    def form_limits(self) -> Any:
        # Read for each request, and `__getattr__` is called only after an exception.
        return self._router.form_limits

    @property
    def routes(self) -> Any:
        loop, scope, routes = self._loop, self._scope, self._router.routes
        # A route selected by an included router is matched by what it was selected with.
        is_selected = loop.context_key in scope.get(loop.scope_key, ())
        if is_selected or loop.current_functions() != loop.functions:
            return routes
        self._times += 1
        path = get_route_path(scope)
        if self._times > 1:
            path = get_route_path({**scope, "path": other_path(scope, path)})
        return loop.likely(routes, scope, path)


def other_path(scope: Scope, route_path: str) -> str:
    """Return the scope's path with its last slash added or removed."""
    path: str = scope["path"]
    return path.rstrip("/") if route_path.endswith("/") else path + "/"


class Narrowed(View):
    """The same with an index: the route that it has found, or none, and later those for the other path."""

    __slots__ = ("_found", "_index")

    def __init__(self, loop: Loop, router: Any, scope: Scope, index: Index, found: Leaf | None) -> None:
        super().__init__(loop, router, scope)
        self._index = index
        self._found = found

    @property
    def routes(self) -> Any:
        self._times += 1
        found = self._found
        if self._times > 1:
            scope = self._scope
            other = {**scope, "path": other_path(scope, get_route_path(scope))}
            found, _ = self._index.find(other)
        return () if found is None else (found.top,)

    def _match_low_priority(self, scope: Scope) -> Any:
        if self._index.has_low_priority_routes():
            return self._router._match_low_priority(scope)
        return self._loop.routing.Match.NONE, {}, None, None


class SparedApp:
    """Does what FastAPI's `APIRouter.app` does, with the routes that may match."""

    __slots__ = ("_generation", "_index", "loop", "router")

    def __init__(self, loop: Loop, router: Router) -> None:
        self.loop = loop
        self.router: Any = router
        self._index: Index | None = None
        self._generation = -1

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        loop, router = self.loop, self.router
        if scope["type"] == "lifespan":
            return loop.app(router, scope, receive, send)  # type: ignore[no-any-return]
        if "router" not in scope:
            scope["router"] = router  # the loop would set it to the view
        # The coroutine is returned directly, without a frame in between.
        index = self._index
        if index is None or index.generation != route_list.generation:
            index = self._renewed()
        own = scope.get(loop.scope_key)
        if index is None or (own and loop.context_key in own) or not loop.untouched.holds():
            return loop.app(View(loop, router, scope), scope, receive, send)  # type: ignore[no-any-return]
        leaf, is_full = index.find(scope)
        if index.has_included and (leaf is None or leaf.is_after_included):
            scope.setdefault(loop.scope_key, {})  # as the `matches` of an included router does
        if leaf is None or not is_full or "fastapi.telemetry" in scope:
            view = Narrowed(loop, router, scope, index, leaf)
            return loop.app(view, scope, receive, send)  # type: ignore[no-any-return]
        return loop.selected(leaf, scope)(scope, receive, send)

    def _renewed(self) -> Index | None:
        """Return the index of the routes as they are now."""
        if self._generation == route_list.generation:
            return None  # known to have none
        self._generation = route_list.generation
        self._index = build_index(self.loop, self.router)
        return self._index

    def __reduce__(self) -> tuple[Any, ...]:
        return router_app, (self.router,)


def router_app(router: Router) -> ASGIApp:
    """Return `router.app`, wrapped if it is FastAPI's loop and recognised."""
    app: ASGIApp = router.app
    if type(router).__module__ != "fastapi.routing":
        return app
    loop = recognised(sys.modules["fastapi.routing"])
    if loop is None or type(router) is not loop.router_class or getattr(app, "__func__", None) is not loop.app:
        return app
    return SparedApp(loop, router)


@cache
def recognised(fastapi: Any) -> Loop | None:
    """Return FastAPI's loop if it works as expected, else None."""
    if why_unknown(fastapi) is not None:
        return None
    return Loop(fastapi, sys.modules["pallasite.routing"])
