"""Usual mistakes in routes, endpoints and middleware, and what to write instead.

What can be known when a route is made is checked there. The rest is explained when it fails: nothing here runs for a
request that succeeds.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Collection
from typing import Any

from pallasite._compat import mode
from pallasite._utils import is_async_callable

__all__ = ["check_endpoint", "check_factory", "check_methods", "check_middleware", "check_path", "explain_result"]

_FLASK_PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
_CONVERTORS = {"int": "int", "float": "float", "path": "path", "uuid": "uuid"}
_EXAMPLES = {
    dict: "JSONResponse(...)",
    list: "JSONResponse(...)",
    str: "PlainTextResponse(...) or HTMLResponse(...)",
    bytes: "Response(...)",
    tuple: "a response with its status, such as JSONResponse(..., status_code=201)",
    int: "Response(status_code=...)",
}


def check_path(path: str) -> None:
    """Check a path template.

    Deviation: a parameter in the notation of Flask is an error, instead of a literal that no request has.

    Raises:
        AssertionError: it does not start with a slash.
        ValueError: it has a parameter in the notation of Flask.
    """
    assert path.startswith("/"), f"Routed paths must start with '/', not {path!r}: write {'/' + path!r}"
    if "<" not in path:
        return
    found = _FLASK_PARAMETER.search(path)
    if found is not None:
        kind = _CONVERTORS.get(found[1] or "")
        parameter = f"{{{found[2]}:{kind}}}" if kind else f"{{{found[2]}}}"
        raise ValueError(f"the path {path!r} has a parameter {found[0]!r}: write {parameter!r} instead")


def check_methods(path: str, methods: Collection[str] | None) -> None:
    """Check the methods of a route. Raises TypeError if they are text.

    Deviation: its letters are not taken for methods.
    """
    if isinstance(methods, str):
        raise TypeError(f"the route {path!r} has methods={methods!r}: write methods=[{methods!r}]")


def check_endpoint(path: str, endpoint: Any, parameter: str) -> None:
    """Check that the endpoint can be called with a request or a WebSocket, as its `parameter` is called by custom.

    Deviation: such a route is refused when it is made, instead of failing at each request.

    Raises:
        TypeError: it cannot be called, or takes no argument.
    """
    if not mode.current.checks_endpoints:
        return
    if not callable(endpoint):
        raise TypeError(f"the route {path!r} needs a function or an ASGI application as its endpoint, not {endpoint!r}")
    code = getattr(endpoint, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return
    if code.co_argcount - inspect.ismethod(endpoint) <= 0:
        call = f"{endpoint.__name__}({parameter})"
        raise TypeError(f"the endpoint of {path!r}, {_place(endpoint)}, takes no argument: write {call}")


def check_middleware(item: Any) -> None:
    """Check an item of `middleware`. Raises TypeError if it is a class or an instance instead of a `Middleware`."""
    if not hasattr(type(item), "__iter__"):
        name = getattr(item, "__name__", type(item).__name__)
        raise TypeError(f"middleware takes a list of Middleware({name}, ...), not {item!r}")


def check_factory(factory: Any) -> None:
    """Check the argument of `add_middleware`. Raises TypeError if it is an ASGI application instead of a class."""
    if not isinstance(factory, (type, functools.partial)) and is_async_callable(factory):
        name = type(factory).__name__
        raise TypeError(f"add_middleware takes a class, not an instance: write add_middleware({name}, ...)")


def explain_result(endpoint: Any, result: Any, path: str) -> TypeError:
    """Return the exception for an endpoint whose result is not a response."""
    place = f"The endpoint of {path}, {_place(endpoint)},"
    if result is None:
        return TypeError(f"{place} returned None: it must return a response. Is a return statement missing?")
    if inspect.iscoroutine(result):
        result.close()
        return TypeError(f"{place} returned a coroutine: await {result.__qualname__}(...) before returning its result")
    kind = type(result)
    examples = [text for known, text in _EXAMPLES.items() if isinstance(result, known)]
    example = examples[0] if examples else "a Response"
    return TypeError(f"{place} returned a {kind.__name__}, which is not a response: return {example}")


def _place(endpoint: Any) -> str:
    """Return the name of a function with its file and line."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.args[0] if endpoint.args and callable(endpoint.args[0]) else endpoint.func
    endpoint = inspect.unwrap(endpoint)
    code = getattr(endpoint, "__code__", None)
    name = getattr(endpoint, "__qualname__", None) or repr(endpoint)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
