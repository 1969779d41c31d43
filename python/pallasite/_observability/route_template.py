"""The path template of the route that responded, such as ``/users/{id}``. Never the path, which clients choose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pallasite.routing import BaseRoute, Host, Mount, Route
from pallasite.types import Scope

__all__ = ["route_template"]


def route_template(scope: Scope) -> str | None:
    """Return the whole template of the route, with those of its mounts and of FastAPI's included routers.

    None if no route matched, or if the template of a mount is not known. The server's own root path is part of it.
    """
    route, root_path = scope.get("route"), scope.get("root_path", "")
    if type(route) is Route and not root_path:
        return route.path_format
    template: Any = ""
    if not isinstance(route, Mount):
        # FastAPI shares a route between the routers that include it, each with a prefix of its own.
        included = (scope.get("fastapi") or {}).get("effective_route_context")
        if included is not None and getattr(included, "original_route", None) is route:
            route = included
        template = getattr(route, "path_format", None)
        if not isinstance(template, str):
            return None
    if not root_path:
        return template or "/"
    outside = scope.get("app_root_path", root_path)
    mounted = root_path[len(outside) :]
    if mounted and _has_params(route, scope):
        found = _mount_template(getattr(scope.get("router"), "routes", ()), mounted)
        if found is None:
            return None
        mounted = found
    return (outside + mounted).rstrip("/") + template or "/"


def _has_params(route: Any, scope: Scope) -> bool:
    """Return True if mounts took parameters from the path. Hosts are taken for mounts: that costs time only."""
    own = getattr(route, "param_convertors", ()) if not isinstance(route, Mount) else ()
    return any(name not in own for name in scope.get("path_params", ()))


def _mount_template(routes: Iterable[BaseRoute], path: str) -> str | None:
    """Return the template of the mounts that lead to `path`, None if they cannot be found: no wrapper shows them."""
    if not path:
        return ""
    for route in routes:
        if isinstance(route, Host):
            found = _mount_template(route.routes, path)
            if found is not None:
                return found
        elif isinstance(route, Mount):
            matched = route.path_regex.match(path + "/")
            if matched is None:
                continue
            rest = matched["path"].rstrip("/")
            found = _mount_template(route.routes, "/" + rest if rest else "")
            if found is not None:
                return route.path_format.removesuffix("/{path}") + found
    return None
