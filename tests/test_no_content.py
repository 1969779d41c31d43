"""Responses whose status has no content: 1xx, 204, 205 and 304 (RFC 9110 sections 15.2, 15.3.5, 15.3.6, 15.4.5)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route, Router
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import exchange, scope_of

STATUSES = [103, 204, 205, 304]
ALLOWED = [200, 206, 404, 500]


async def chunks() -> AsyncIterator[bytes]:
    yield b"some "
    yield b"content"


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"Content-Length", b"7"), (b"transfer-encoding", b"chunked"), (b"x-a", b"1")]
    await send({"type": "http.response.start", "status": int(scope["path"][1:]), "headers": iter(headers)})
    await send({"type": "http.response.body", "body": b"content"})


async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
    for kind in ("http.response.start", "http.response.pathsend"):
        status = int(scope["path"][1:])
        await send({"type": kind, "status": status, "headers": [(b"content-length", b"7")], "path": "/nowhere"})


def made_by(make: Callable[[int], Response]) -> Any:
    async def endpoint(request: Request) -> Response:
        return make(request.path_params["status"])

    return Route("/{status:int}", endpoint)


def changed_later(status: int) -> Response:
    response = JSONResponse(None)
    response.status_code = status
    return response


def failing(status: int) -> Response:
    raise HTTPException(status, detail="content")


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response


ROUTES: dict[str, Any] = {
    "json": made_by(lambda status: JSONResponse(None, status_code=status)),
    "text": made_by(lambda status: PlainTextResponse("content", status_code=status)),
    "changed": made_by(changed_later),
    "exception": made_by(failing),
    "stream": made_by(lambda status: StreamingResponse(chunks(), status_code=status)),
    "file": made_by(lambda status: FileResponse(Path(__file__), status_code=status)),
    "raw": Mount("", app=raw),
    "pathsend": Mount("", app=by_path),
    "mounted": Mount("", app=Router([made_by(lambda status: PlainTextResponse("content", status_code=status))])),
}
LAYERS: dict[str, list[Any]] = {
    "alone": [],
    "function": [Middleware(Passing)],
    "gzip": [Middleware(GZipMiddleware, minimum_size=1), Middleware(CORSMiddleware, allow_origins=["*"])],
}


async def answer(app: Any, status: int, **scope: Any) -> tuple[dict[str, str], bytes]:
    scope = scope_of(f"/{status}", headers=[(b"host", b"a"), (b"accept-encoding", b"gzip")], **scope)
    start, *bodies = await exchange(app, scope, [{"type": "http.request"}], stays=True)
    assert start["status"] == status
    assert not bodies[-1].get("more_body", False)
    assert all(message["type"] == "http.response.body" for message in bodies)
    fields = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return fields, b"".join(message["body"] for message in bodies)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("status", STATUSES)
async def test_response_without_content_has_no_body_and_no_length(
    status: int, route: str, layers: str, anyio_backend_name: str
) -> None:
    fields, body = await answer(Pallasite(routes=[ROUTES[route]], middleware=LAYERS[layers]), status)
    assert body == b""
    assert "transfer-encoding" not in fields
    assert fields.get("content-length") == ("0" if status == 205 else None)


@pytest.mark.parametrize("route", [name for name in ROUTES if name != "pathsend"])
@pytest.mark.parametrize("status", ALLOWED)
async def test_response_with_content_keeps_it(status: int, route: str, anyio_backend_name: str) -> None:
    fields, body = await answer(Pallasite(routes=[ROUTES[route]]), status)
    assert body
    assert route == "stream" or "content-length" in fields


@pytest.mark.parametrize("status", STATUSES)
async def test_response_without_content_outside_an_application(status: int, anyio_backend_name: str) -> None:
    fields, body = await answer(Router([ROUTES["text"]]), status)
    assert body == b""
    assert fields.get("content-length") == ("0" if status == 205 else None)


async def test_response_without_content_runs_its_background_task(anyio_backend_name: str) -> None:
    ran = []

    async def later() -> None:
        ran.append(True)

    route = made_by(lambda status: StreamingResponse(chunks(), status_code=status, background=BackgroundTask(later)))
    await answer(Pallasite(routes=[route]), 204)
    assert ran == [True]


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(("route", "size"), [("text", 7), ("stream", 12)])
async def test_response_without_content_is_a_warning_in_debug_mode(
    route: str, size: int, debug: bool, caplog: pytest.LogCaptureFixture, anyio_backend_name: str
) -> None:
    app = Pallasite(routes=[ROUTES[route]], debug=debug, middleware=LAYERS["function"])
    with caplog.at_level(logging.WARNING, "pallasite.errors"):
        await answer(app, 204)
    expected = (
        f"GET /204: the response with status 204 had {size} bytes of content, which were not sent."
        " That status has no content: return Response(status_code=204)."
    )
    assert caplog.messages == ([expected] if debug else [])


async def test_response_without_content_and_none_given_is_no_warning(
    caplog: pytest.LogCaptureFixture, anyio_backend_name: str
) -> None:
    app = Pallasite(routes=[made_by(lambda status: Response(status_code=status))], debug=True)
    await answer(app, 204)
    assert caplog.messages == []
