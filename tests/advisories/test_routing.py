"""Paths that bypass a route, methods that reach more than a handler, and state that remains of requests."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import anyio
import pytest

from pallasite import _core
from pallasite.applications import Pallasite
from pallasite.convertors import CONVERTOR_TYPES
from pallasite.endpoints import HTTPEndpoint, WebSocketEndpoint
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Host, Mount, Route, Router, WebSocketRoute
from tests.support.asgi import ask, assert_linear, connect

pytestmark = pytest.mark.anyio


async def page(request: Request) -> Response:
    return JSONResponse({name: str(value) for name, value in request.path_params.items()})


# --- line feeds and letters


@pytest.mark.advisory("CVE-2021-44420")
@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\0", "\u2028", "\x0b", "\x85", " ", "\n\n", "/\n"])
async def test_path_with_something_at_its_end_is_another_path(ending: str) -> None:
    app = Pallasite(
        routes=[
            Route("/admin", page),
            Route("/int/{number:int}", page),
            Route("/uuid/{id:uuid}", page),
            Route("/file/{name}.txt", page),
            Mount("/mount/{number:int}", routes=[Route("/x", page)]),
            WebSocketRoute("/ws", lambda websocket: None),
        ]
    )
    uuid = "0b8f1c1e-6c1e-4c1e-8c1e-0b8f1c1e6c1e"
    for path in ("/admin", "/int/1", f"/uuid/{uuid}", "/file/a.txt", "/mount/1/x"):
        assert (await ask(app, path)).status == 200
        assert (await ask(app, path + ending)).status == 404
    sent = await connect(app, "/ws" + ending)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.advisory("CVE-2026-25480")
@pytest.mark.parametrize(
    "path", ["/\u212aey", "/KEY", "/\uff4bey", "/k\u200bey", "/%6bey", "/key%00", "/key/.", "//key", "/./key"]
)
async def test_paths_that_look_alike_are_different(path: str) -> None:
    app = Pallasite(routes=[Route("/key", page), Mount("/key", routes=[Route("/sub", page)])])
    assert (await ask(app, "/key")).status == 200
    assert (await ask(app, path)).status in (404, 307)
    assert (await ask(app, path + "/sub")).status == 404


@pytest.mark.advisory("CVE-2021-44420")
@pytest.mark.parametrize(
    "path", ["/admin/page", "/admin//page", "/admin/./page", "/admin/../admin/page", "/admin;x/page"]
)
async def test_middleware_sees_the_path_that_is_routed(path: str) -> None:
    seen: list[str] = []

    async def note(request: Request, call_next: Any) -> Response:
        seen.append(request.url.path)
        response: Response = await call_next(request)
        return response

    async def routed(request: Request) -> Response:
        return PlainTextResponse(request.path_params["rest"])

    app = Pallasite(routes=[Route("/{rest:path}", routed)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=note)])
    assert (await ask(app, path)).body.decode() == path[1:]
    assert seen == [path]


# --- methods


class Endpoint(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("get")

    async def delete_everything(self, request: Request) -> Response:
        raise AssertionError("nobody may call this")

    async def _do_delete(self, request: Request) -> Response:
        raise AssertionError("nobody may call this")

    async def do_post(self, request: Request) -> Response:
        raise AssertionError("nobody may call this")

    async def purge(self, request: Request) -> Response:
        raise AssertionError("nobody may call this")


METHODS = ["DELETE_EVERYTHING", "_DO_DELETE", "DO_POST", "PURGE", "DISPATCH", "METHOD_NOT_ALLOWED", "SCOPE", "__INIT__"]


@pytest.mark.advisory("CVE-2026-48817")
@pytest.mark.parametrize(
    "method", [*METHODS, "__AWAIT__", "_HANDLER_FOR", "get", "Get", "GET ", "GE\u212a", "", "\0", "TRACE"]
)
async def test_method_names_no_attribute(method: str) -> None:
    for route in (Route("/", Endpoint), Route("/", Endpoint, methods=[])):
        assert (await ask(Pallasite(routes=[route]), method=method)).status == 405
    assert (await ask(Pallasite(routes=[Route("/", Endpoint)]))).body == b"get"


class Socket(WebSocketEndpoint):
    encoding = "text"

    async def on_text(self, websocket: Any, data: Any) -> None:
        raise AssertionError("nobody may call this")


@pytest.mark.advisory("CVE-2026-48817")
async def test_message_names_no_attribute() -> None:
    app = Pallasite(routes=[WebSocketRoute("/", Socket)])
    for frame in ({"type": "websocket.text", "text": "x"}, {"type": "websocket.receive.text"}, {"type": "on_text"}):
        with pytest.raises(RuntimeError):
            await connect(app, "/", frame)


# --- expressions

HARD_PATHS = {
    "hyphens": lambda size: "/" + "a-" * size,
    "dots": lambda size: "/" + "a." * size + "json",
    "slashes": lambda size: "/" + "/" * size + "edit",
    "edits": lambda size: "/x" + "/edit" * size + "x",
    "digits": lambda size: "/" + "1" * size + "x",
    "minus signs": lambda size: "/" + "-" * size,
}


@pytest.mark.advisory("CVE-2023-36053")
@pytest.mark.parametrize("make", HARD_PATHS.values(), ids=HARD_PATHS.keys())
@pytest.mark.parametrize(
    "pattern",
    [
        "/{a}-{b}-{c}-{d}.json",
        "/{a:path}/edit/{b:path}/edit",
        "/{a:int}-{b:float}",
        "/{a:path}{b:path}{c:path}x",
        "/{a}.{b}.{c}",
    ],
)
def test_path_of_any_length_is_matched_in_time_that_grows_with_it(make: Any, pattern: str) -> None:
    compiled = _core.PathPattern(pattern, CONVERTOR_TYPES)
    assert_linear(make, compiled.match)


# --- what stays


def sizes(count: int) -> int:
    """Bytes that are kept of `count` different requests."""
    app = Pallasite(
        routes=[
            Host("{tenant}.example.org", Router([Route("/{rest:path}", page)])),
            Route("/a/{name}", page),
            Route("/post", page, methods=["POST"]),
            Mount("/m/{x}", routes=[Route("/{y}", page)]),
        ]
    )

    async def send(number: int) -> None:
        name = f"{number}-" + "x" * 200
        for path in (f"/a/{name}", f"/nowhere/{name}", f"/m/{name}/{name}", "/post", f"/a/{name}/"):
            headers = [
                (b"host", f"{name[:40]}.example.{'org' if number % 2 else 'com'}".encode()),
                (f"x-{name}".encode(), b"y"),
                (b"cookie", f"{name}={name}".encode()),
                (b"content-type", f"multipart/form-data; boundary=B; charset={name}".encode()),
                (b"accept-encoding", f"{name};q=0.5".encode()),
            ]
            await ask(
                app, path, headers=headers, query=name.encode(), method=f"M{number}" if path == "/post" else "GET"
            )

    async def send_all(numbers: range) -> None:
        for number in numbers:
            await send(number)

    anyio.run(send_all, range(50))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        anyio.run(send_all, range(50, 50 + count))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.advisory("CVE-2024-52303")
def test_nothing_is_kept_of_requests_that_differ() -> None:
    few, many = sizes(50), sizes(400)
    assert many - few < 350 * 40, (few, many)  # a name kept of each request would take 250 bytes
