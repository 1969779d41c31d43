"""Recognise FastAPI's matching loop by what it does with its routes.

Leaving out routes changes nothing if the loop asks each one how well it matches, and acts on the answer only if the
route matches. That is read from the syntax of `APIRouter.app`. The other classes must have the attributes and
signatures that `_compat.fastapi` uses. A release with another loop, and a patch made before, are not recognised.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Any

__all__ = ["why_unknown"]

# The functions that decide what matches, in `fastapi.routing`: their parameters, and the names they must use.
PARTS = {
    "APIRouter.app": ("self scope receive send", "routes matches handle redirect_slashes"),
    "APIRouter.matches": ("self scope", "original_router _match"),
    "APIRouter._get_routes_version": ("self seen", "_routes_version routes original_router"),
    "_IncludedRouter.matches": ("self scope", "original_router matches"),
    "_IncludedRouter._match": ("self scope", "effective_candidates original_route matches NONE"),
    "_IncludedRouter.effective_candidates": ("self", "original_router _get_routes_version routes"),
    "_EffectiveRouteContext.matches": ("self scope", "original_route starlette_route path_regex match NONE"),
    "APIRoute.matches": ("self scope", "matches original_route NONE"),
    "APIWebSocketRoute.matches": ("self scope", "matches NONE"),
}
# What the loop may ask of the answer. Each is false for a route that does not match.
TESTS = {"match == Match.FULL", "match == Match.PARTIAL", "match != Match.NONE"}
# The second time, it may ask for the path with or without its last slash.
OTHER_PATHS = {"redirect_scope['path'].rstrip('/')", "redirect_scope['path'] + '/'"}


def why_unknown(fastapi: Any) -> str | None:
    """Return why `fastapi.routing`, the module, does not match as expected, or None if it does."""
    for name, (parameters, names) in PARTS.items():
        owner, attribute = name.split(".")
        function: Any = getattr(getattr(fastapi, owner, None), attribute, None)
        code = getattr(function, "__code__", None)
        if code is None or code.co_filename != fastapi.__file__:
            return f"{name} is missing or patched"
        if list(inspect.signature(function).parameters) != parameters.split():
            return f"{name} has other parameters"
        used = {*code.co_names, *code.co_freevars}
        if not used.issuperset(names.split()):
            return f"{name} does not use {', '.join(sorted(set(names.split()) - used))}"
    try:
        source = inspect.getsource(fastapi.APIRouter.app)
    except (OSError, TypeError):
        return "APIRouter.app has no source text"
    function = ast.parse(textwrap.dedent(source)).body[0]
    return None if skips_other_routes(function) else "APIRouter.app has another loop"


def skips_other_routes(function: ast.AST) -> bool:
    """Return True if routes that do not match make no difference to the loop, and it only reads from its router."""
    nodes = list(ast.walk(function))
    loops = [node for node in nodes if isinstance(node, ast.For) and ast.unparse(node.iter) == "self.routes"]
    loops.sort(key=lambda loop: loop.lineno)
    if len(loops) != 2 or sum(isinstance(node, ast.Attribute) and node.attr == "routes" for node in nodes) != 2:
        return False
    assigned = [(node.targets, node.value) for node in nodes if isinstance(node, ast.Assign)]
    paths = {ast.unparse(value) for targets, value in assigned if ast.unparse(targets[0]) == "redirect_scope['path']"}
    read = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    read |= {id(value) for targets, value in assigned if ast.unparse(targets[0]) == "scope['router']"}
    return (
        asks_each_route(loops[0], "scope")
        and asks_each_route(loops[1], "redirect_scope")
        and paths == OTHER_PATHS
        and all(id(node) in read for node in nodes if isinstance(node, ast.Name) and node.id == "self")
    )


def asks_each_route(loop: ast.For, scope: str) -> bool:
    """Return True if the loop only asks each route about `scope`, and does something if it matches."""
    first, *rest = loop.body
    asks = re.fullmatch(rf"\(?match, \w+\)? = route\.matches\({scope}\)", ast.unparse(first))
    return asks is not None and not loop.orelse and all(map(needs_match, rest))


def needs_match(statement: ast.stmt) -> bool:
    """Return True if the statement does nothing for a route that does not match."""
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    test = statement.test
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        test = test.values[0]
    return ast.unparse(test) in TESTS
