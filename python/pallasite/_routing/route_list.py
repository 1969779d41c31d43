"""A router's list of routes: an ordinary list that knows when its lookup structures are out of date.

Two structures are built from it when first needed: the native `RouteTable` that finds the route of a request, and the
index of names used by `url_path_for`. A change to the list, or to what a route in it matches, drops both.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pallasite._core import RouteKind, RouteTable
from pallasite._routing.match import Match

if TYPE_CHECKING:
    from pallasite.routing import BaseRoute

_F = TypeVar("_F", bound=Callable[..., Any])

# Every list that has built something. A changed route does not know which of them contain it.
_built: weakref.WeakSet[RouteList] = weakref.WeakSet()

# Increases with each change to a list or to a route in one: for what is built over the lists of several routers.
generation = 0

# Held for changes, and to keep what was built. Requests, which only read, do not take it. Reentrant, because the
# garbage collector may run a finalizer that changes a list.
_changing = threading.RLock()


def _changes(method: _F) -> _F:
    """Wrap a method of the list so that it drops what was built.

    It does so after the method has run, because another thread may build in the meantime.
    """
    name = method.__name__

    def changed(self: RouteList, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(list, name)(self, *args, **kwargs)
        finally:
            self.forget()

    changed.__name__, changed.__qualname__, changed.__doc__ = name, f"RouteList.{name}", method.__doc__
    return changed  # type: ignore[return-value]


class RouteList(list["BaseRoute"]):
    """The list of ``router.routes``. Change it like any list, at any time: the next request sees the change."""

    __slots__ = ("__weakref__", "changes", "names", "table")

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        super().__init__(routes)
        self.changes = 0
        self.table: RouteTable | None = None
        self.names: RouteNames | None = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (RouteList, (list(self),))  # lookup structures are not pickled

    __hash__ = object.__hash__  # type: ignore[assignment]  # by identity, for the set of built lists

    def forget(self) -> None:
        """Drop the lookup structures."""
        global generation  # noqa: PLW0603  # one number for all lists
        with _changing:
            generation += 1
            self.changes += 1
            self.table = self.names = None

    def built_table(self) -> RouteTable:
        """Return the native table over these routes, built on the first call after a change."""
        table = self.table
        if table is None:
            changes, routes = self.snapshot()
            table = RouteTable([_entry(route) for route in routes], Match.NONE)
            with _changing:
                if self.changes == changes:
                    self.table = table
        return table

    def built_names(self) -> RouteNames:
        """Return the index of names over these routes, kept in `names` until the next change."""
        changes, routes = self.snapshot()
        names = RouteNames(routes)
        with _changing:
            if self.changes == changes:
                self.names = names
        return names

    def snapshot(self) -> tuple[int, list[BaseRoute]]:
        """Return `changes`, which increases with each change from now on, and the routes.

        A copy, made in one step: a list that another thread changes must not be iterated over.
        """
        changes = self.changes
        with _changing:
            _built.add(self)
        routes = self[:]
        for route in routes:
            _mark(route)
        return changes, routes

    append = _changes(list.append)
    clear = _changes(list.clear)
    extend = _changes(list.extend)
    insert = _changes(list.insert)
    pop = _changes(list.pop)
    remove = _changes(list.remove)
    reverse = _changes(list.reverse)
    sort = _changes(list.sort)
    __delitem__ = _changes(list.__delitem__)
    __iadd__ = _changes(list.__iadd__)
    __imul__ = _changes(list.__imul__)
    __setitem__ = _changes(list.__setitem__)


class RouteNames:
    """Finds the routes that may answer to a name, in the order of declaration.

    A route that answers only to its own name is found by it. Routes that hold others (mounts, hosts, unknown classes)
    are asked each time. So is every route once the class of one that was found by name has been patched.
    """

    __slots__ = ("_by_name", "_others", "_stock")

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        # Routes by their index in the list.
        self._by_name: dict[str, dict[int, BaseRoute]] = {}
        self._others: dict[int, BaseRoute] = {}
        # The classes of the routes found by name, with their method at that time.
        self._stock: dict[type[BaseRoute], Callable[..., Any]] = {}
        for index, route in enumerate(routes):
            # Fast path: copies `BaseRoute.url_path_for`; 32 % fewer instructions (bench: url-for).
            if getattr(route, "_named_alone", False) and _is_stock(route, "url_path_for"):
                self._by_name.setdefault(route.name, {})[index] = route  # type: ignore[attr-defined]
                self._stock[type(route)] = type(route).url_path_for
            else:
                self._others[index] = route

    def candidates(self, name: str) -> Iterable[BaseRoute]:
        """Return the routes to ask for `name`, in the order of declaration."""
        found = self._by_name.get(name, {})
        for cls, method in self._stock.items():
            if cls.url_path_for is not method:
                return self._in_order(
                    {index: route for same in self._by_name.values() for index, route in same.items()}
                )
        return self._in_order(found) if self._others else found.values()

    def _in_order(self, found: dict[int, BaseRoute]) -> Iterable[BaseRoute]:
        return (route for _, route in sorted((found | self._others).items()))


def route_changed(route: BaseRoute) -> None:
    """Drop what was built from lists that may contain `route`, because something it is matched or named by changed."""
    if route.__dict__.get("_indexed") == id(route):  # copies of an indexed route are not indexed themselves
        with _changing:
            for routes in list(_built):
                routes.forget()


def _mark(route: Any) -> None:
    attributes = getattr(route, "__dict__", None)
    if attributes is not None:
        attributes["_indexed"] = id(route)


def _is_stock(route: Any, method: str) -> bool:
    """Return True if `method` is that of the class that defined the route's kind, unpatched on class and instance."""
    stock: dict[str, Any] = getattr(route, "_stock_methods", {})
    return bool(stock) and getattr(type(route), method) is stock[method] and method not in vars(route)


def _entry(route: Any) -> tuple[RouteKind, Any, Any, Any, bool]:
    """Return (kind, route, pattern, methods, direct) for the native table."""
    kind = getattr(route, "_kind", RouteKind.OPAQUE)
    # Fast path: copies `BaseRoute.matches` and `BaseRoute.handle`; 99 % fewer instructions (bench: last-of-1000).
    if kind is not RouteKind.OPAQUE and _is_stock(route, "matches"):
        pattern = route._pattern
        if pattern is not None and route.param_convertors is pattern.convertors:
            return (
                kind,
                route,
                pattern,
                getattr(route, "methods", None) if kind is RouteKind.HTTP else None,
                _is_stock(route, "handle"),
            )
    return RouteKind.OPAQUE, route, None, None, False
