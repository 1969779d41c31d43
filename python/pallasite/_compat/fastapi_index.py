"""All routes that a router of FastAPI reaches, also through included routers, in one native table.

FastAPI asks an included router, which asks its routes, and does so again to run the one that it found. The first match
in the order of declaration is the same route in a flat list of them all. Such a list is a native table, whose cost does
not depend on its length. It is built on the first request after a change.

An API route that matches fully is run from here: its scope is filled as FastAPI fills it. Anything else, such as a
mount, a partial match and a slash to add, is left to FastAPI's loop, with only those routes that take part in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pallasite._core import PathPattern, RouteKind, RouteTable
from pallasite._http import scope_keys
from pallasite._routing import route_list
from pallasite._routing.match import Match
from pallasite.convertors import CONVERTOR_TYPES
from pallasite.types import Scope

if TYPE_CHECKING:
    from pallasite._compat.fastapi import Loop

__all__ = ["Index", "Leaf", "build_index"]


class Leaf:
    """A route in the table.

    `included` has the included routers on the way to it, outermost first, and `context` is the route as the innermost
    of them includes it. `top` is what the outermost router has for it: the first of these routers, or the route itself.
    `limiting` are those of the routers that may limit the forms of its requests, outermost first. `is_after_included`
    is True if the loop asks an included router before it.
    """

    __slots__ = ("app", "context", "endpoint", "included", "is_after_included", "limiting", "route", "top")

    def __init__(self, router: Any, route: Any, included: tuple[Any, ...] = (), context: Any = None) -> None:
        self.route = route
        self.top = included[0] if included else route
        self.included = included
        self.context = context
        self.endpoint: Any = getattr(route if context is None else context, "endpoint", None)
        self.is_after_included = bool(included)
        holders = (router, *(each.include_context for each in included))
        self.limiting = [holder for holder in holders if hasattr(holder, "form_limits")]  # since FastAPI 0.165
        self.app: Any = self  # what the table returns for a full match of an API route

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the verdict of a mount or host, without what it would add to the scope."""
        match, _ = self.route.matches(scope)
        return match, {}

    def handle(self) -> None:
        """Returned by the table for any other match, not called."""


class Index:
    """The table, as of a generation of all lists of routes."""

    __slots__ = ("_routers", "_table", "generation", "has_included")

    def __init__(self, generation: int, table: RouteTable, routers: list[Any]) -> None:
        self.generation = generation
        self.has_included = len(routers) > 1
        self._table = table
        self._routers = routers

    def find(self, scope: Scope) -> tuple[Leaf | None, bool]:
        """Return the leaf that matches first, if any, and whether FastAPI would run its application next.

        In that case `endpoint` and `path_params` of the scope are those of the leaf.
        """
        route = scope.get("route", scope)
        found = self._table.match(scope)  # type: ignore[arg-type]  # a scope is a dict
        if found is None:
            return None, False
        leaf: Leaf = scope["route"]
        if found is leaf.app:
            return leaf, True
        if route is scope:
            del scope["route"]
        else:
            scope["route"] = route
        scope.pop(scope_keys.ALLOWED_METHODS, None)
        return leaf, False

    def has_low_priority_routes(self) -> bool:
        """Return True if a router has routes that FastAPI tries after all others."""
        return any(router._low_priority_routes for router in self._routers)


class _Unknown(Exception):
    """A route may match by something that the table does not know."""


def build_index(loop: Loop, router: Any) -> Index | None:
    """Return the index of a router's routes, or None if the table cannot stand in for all of them."""
    generation = route_list.generation
    routers = [router]
    try:
        entries = list(_entries(loop, router, routers))
    except _Unknown:
        return None
    return Index(generation, RouteTable(entries, Match.NONE), routers)


def _entries(loop: Loop, router: Any, routers: list[Any]) -> Iterator[Any]:
    _, routes = router.routes.snapshot()  # a list that notices changes, as every router of that class has
    is_after_included = False
    for route in routes:
        if type(route) is loop.included_class:
            is_after_included = True
            yield from _included_entries(loop, route, (route,), routers)
        else:
            leaf = Leaf(router, route)
            leaf.is_after_included = is_after_included
            yield _entry(loop, leaf)


def _included_entries(loop: Loop, included: Any, way: tuple[Any, ...], routers: list[Any]) -> Iterator[Any]:
    router = included.original_router
    is_stock = type(router) is loop.router_class and loop.patchable.isdisjoint(vars(router))
    if not is_stock or loop.is_patched(included):
        raise _Unknown
    routers.append(router)
    router.routes.snapshot()  # only marks them: the candidates are made of them
    for candidate in included.effective_candidates():
        if type(candidate) is loop.included_class:
            yield from _included_entries(loop, candidate, (*way, candidate), routers)
        elif candidate.starlette_route is None:
            yield _entry(loop, Leaf(routers[0], candidate.original_route, way, candidate))
        else:
            yield _entry(loop, Leaf(routers[0], candidate.starlette_route, way))


def _entry(loop: Loop, leaf: Leaf) -> tuple[RouteKind, Leaf, PathPattern | None, Any, bool]:
    """Return (kind, leaf, pattern, methods, direct) for the native table."""
    route = leaf.route
    attributes = getattr(route, "__dict__", None)
    if attributes is None or "matches" in attributes or "handle" in attributes:
        raise _Unknown
    kind = loop.kinds.get(type(route).matches)
    if kind is None:
        raise _Unknown
    if kind is RouteKind.OPAQUE:
        return kind, leaf, None, None, False
    shape = route if leaf.context is None else leaf.context
    is_api = loop.is_api(route)
    compile_app = getattr(type(route), "_compile_app", None)
    if is_api and compile_app is not None and shape.app is not (app := compile_app(shape.app)):
        shape.app = app
    return kind, leaf, _pattern(shape), shape.methods if kind is RouteKind.HTTP else None, is_api


def _pattern(shape: Any) -> PathPattern:
    """Return the native pattern that matches what the regular expression of a route matches."""
    pattern = PathPattern(shape.path, CONVERTOR_TYPES)
    same = {name: type(convertor) for name, convertor in shape.param_convertors.items()}
    if pattern.regex != shape.path_regex.pattern or {k: type(v) for k, v in pattern.convertors.items()} != same:
        raise _Unknown
    return pattern
