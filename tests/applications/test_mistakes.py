"""Usual mistakes: each has a message that names the place and says what to write instead."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest

from pallasite._compat import mode
from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.requests import Request
from pallasite.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pallasite.routing import Mount, Route, Router, WebSocketRoute
from pallasite.staticfiles import StaticFiles
from pallasite.templating import Jinja2Templates
from tests.support.asgi import UNUSED, Sent, never, scope_of


def wrong(value: Any) -> Any:
    """Return the value, past type checkers: not everybody uses one."""
    return value


HERE = re.escape(__file__)


async def endpoint(request: Request) -> Any:
    return Response()


def nothing() -> None: ...


class Methods:
    def none(self) -> None: ...

    async def one(self, request: Request) -> Response:
        return Response()


MADE: list[tuple[str, Callable[[], Any], Any, str]] = [
    ("no slash", lambda: Route("users", endpoint), AssertionError, r"must start with '/', not 'users': write '/users'"),
    ("no slash in a mount", lambda: Mount("users", routes=[]), AssertionError, r"write '/users'"),
    ("no slash for WebSockets", lambda: WebSocketRoute("ws", endpoint), AssertionError, r"write '/ws'"),
    (
        "Flask",
        lambda: Route("/u/<int:id>", endpoint),
        ValueError,
        r"'/u/<int:id>' has a .* '<int:id>': write '{id:int}'",
    ),
    ("Flask, text", lambda: Route("/u/<name>", endpoint), ValueError, r"write '{name}' instead"),
    ("Flask, string", lambda: Route("/u/<string:name>", endpoint), ValueError, r"write '{name}' instead"),
    ("methods as text", lambda: Route("/", endpoint, methods="POST"), TypeError, r"write methods=\['POST'\]"),
    ("no endpoint", lambda: Route("/users", UNUSED), TypeError, r"the route '/users' needs a function .* not None"),
    (
        "no argument",
        lambda: Route("/x", nothing),
        TypeError,
        rf"nothing \({HERE}:\d+\), takes no argument: write nothing\(request\)",
    ),
    ("no argument for WebSockets", lambda: WebSocketRoute("/x", nothing), TypeError, r"write nothing\(websocket\)"),
    ("method without argument", lambda: Route("/x", Methods().none), TypeError, r"write none\(request\)"),
    ("unknown convertor", lambda: Route("/{id:number}", endpoint), AssertionError, r"number"),
    (
        "middleware as a class",
        lambda: Pallasite(middleware=wrong([GZipMiddleware])),
        TypeError,
        r"takes a list of Middleware\(GZipMiddleware, \.\.\.\)",
    ),
    (
        "middleware as an instance",
        lambda: Pallasite(middleware=wrong([GZipMiddleware(UNUSED)])),
        TypeError,
        r"takes a list of Middleware\(GZipMiddleware, \.\.\.\)",
    ),
    (
        "added as an instance",
        lambda: Pallasite().add_middleware(wrong(GZipMiddleware(UNUSED))),
        TypeError,
        r"not an instance: write add_middleware\(GZipMiddleware, \.\.\.\)",
    ),
    (
        "text for debug",
        lambda: Pallasite(debug=wrong("false")).build_middleware_stack(),
        TypeError,
        r"debug must be True or False",
    ),
    (
        "cookie of bytes",
        lambda: Response().set_cookie("a", wrong(b"b")),
        TypeError,
        r"cookie 'a' must be text, not b'b'",
    ),
    (
        "text of a dict",
        lambda: PlainTextResponse({"a": 1}),
        AttributeError,
        r"PlainTextResponse sends .* use JSONResponse",
    ),
    ("page of a list", lambda: HTMLResponse([1]), AttributeError, r"HTMLResponse sends text or bytes, not a list"),
    ("header that is a number", lambda: Response(headers=wrong({"x": 5})), (TypeError, AttributeError), r"."),
    ("JSON of an object", lambda: JSONResponse({"a": object()}), TypeError, r"object is not JSON serializable"),
    ("no directory", lambda: StaticFiles(directory="/none"), RuntimeError, r"Directory '/none' does not exist"),
    ("no templates", lambda: Jinja2Templates(directory=wrong(None)), AssertionError, r"directory"),
]


@pytest.mark.parametrize(("make", "error", "message"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_mistake_is_found_where_it_is_made(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"a": 1}, r"returned a dict, which is not a response: return JSONResponse\(\.\.\.\)"),
        ([1], r"returned a list, .* JSONResponse"),
        ("text", r"returned a str, .* PlainTextResponse\(\.\.\.\) or HTMLResponse\(\.\.\.\)"),
        (b"bytes", r"returned a bytes, .* Response\(\.\.\.\)"),
        (("text", 201), r"returned a tuple, .* status_code=201"),
        (204, r"returned a int, .* Response\(status_code=\.\.\.\)"),
        (object(), r"returned a object, which is not a response: return a Response"),
        (None, r"returned None: it must return a response. Is a return statement missing\?"),
    ],
)
@pytest.mark.parametrize("kind", ["async", "sync", "mounted", "partial"])
@pytest.mark.anyio
async def test_result_that_is_no_response(result: Any, message: str, kind: str) -> None:
    async def page(request: Request) -> Any:
        return result

    def sync_page(request: Request) -> Any:
        return result

    async def with_more(more: int, request: Request) -> Any:
        return result

    chosen: Any = {"sync": sync_page, "partial": functools.partial(with_more, 1)}.get(kind, page)
    route = Route("/page", chosen, middleware=[Middleware(GZipMiddleware)] if kind == "mounted" else None)
    app = Pallasite(routes=[route])
    name = "with_more|partial" if kind == "partial" else chosen.__name__
    with pytest.raises(TypeError, match=rf"The endpoint of /page, .*({name}).*{message}"):
        await app(scope_of("/page"), never, Sent())


@pytest.mark.anyio
async def test_coroutine_that_was_not_awaited() -> None:
    async def load() -> Response:
        return Response()

    async def page(request: Request) -> Any:
        return load()

    with pytest.raises(TypeError, match=rf"page \({HERE}:\d+\), returned a coroutine: await .*load\(\.\.\.\)"):
        await Pallasite(routes=[Route("/page", page)])(scope_of("/page"), never, Sent())


@pytest.mark.parametrize(
    "fine",
    [
        lambda request: Response(),
        lambda *args: Response(),
        Methods().one,
        functools.partial(endpoint),
        Router(),
        type("Endpoint", (), {"__init__": lambda self, scope, receive, send: None}),
    ],
)
def test_endpoints_that_are_fine(fine: Any) -> None:
    Route("/x", fine)
    Route("/a<b", endpoint)


@pytest.mark.anyio
async def test_factories_of_middleware_are_fine() -> None:
    def factory(app: Any) -> Any:
        return app

    app = Pallasite(routes=[Route("/", endpoint)])
    app.add_middleware(factory)
    app.add_middleware(functools.partial(GZipMiddleware, minimum_size=1))
    await app(scope_of("/"), never, Sent())


def test_packages_may_make_routes_that_are_never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    Route("/x", nothing)
    WebSocketRoute("/x", nothing)
