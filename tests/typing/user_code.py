"""An application as a user would type it. mypy --strict checks this file; nothing runs it.

`assert_type` pins what a user's editor shows; an unused `type: ignore` is an error, so the ones here prove that the
mistake beside them is caught.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TypedDict, assert_type

from pallasite.applications import Pallasite, Starlette
from pallasite.background import BackgroundTask, BackgroundTasks
from pallasite.datastructures import URL, Headers, MutableHeaders, QueryParams
from pallasite.endpoints import HTTPEndpoint
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route, Router, WebSocketRoute
from pallasite.testclient import TestClient
from pallasite.websockets import WebSocket, WebSocketDisconnect


class Started(TypedDict):
    greeting: str


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, str]]:
    yield {"greeting": "hello"}


async def show(request: Request) -> Response:
    assert_type(request.headers, Headers)
    assert_type(request.query_params, QueryParams)
    assert_type(request.url, URL)
    assert_type(request.cookies, dict[str, str])
    assert_type(await request.body(), bytes)
    response = JSONResponse({"greeting": request.state.greeting}, status_code=201, headers={"x-a": "b"})
    assert_type(response.headers, MutableHeaders)
    response.set_cookie("seen", "yes", max_age=3600, samesite="strict")
    return response


def refuse(request: Request) -> Response:
    raise HTTPException(403, detail="not here", headers={"x-reason": "example"})


async def count(request: Request) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    tasks = BackgroundTasks([BackgroundTask(print, "counted")])
    tasks.add_task(print, "twice")
    return StreamingResponse(lines(), media_type="text/plain", background=tasks)


class Item(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse(request.path_params["item_id"])


async def echo(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="echo")
    assert_type(await websocket.receive_text(), str)
    assert_type(await websocket.receive_bytes(), bytes)
    await websocket.close(code=1000, reason="done")


class Stamp(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = "1"
        return response


async def on_refusal(request: Request, error: HTTPException) -> Response:
    return PlainTextResponse(error.detail, status_code=error.status_code)


async def on_hang_up(websocket: WebSocket, error: WebSocketDisconnect) -> None:
    await websocket.close(error.code)


def without_the_error(request: Request) -> Response:
    return PlainTextResponse("")


api = Router(routes=[Route("/items/{item_id:int}", Item, name="item")])
app = Pallasite(
    debug=True,
    routes=[
        Route("/", show, methods=["GET", "POST"]),
        Route("/refuse", refuse),
        Route("/count", count),
        Mount("/api", app=api, name="api"),
        WebSocketRoute("/echo", echo),
    ],
    middleware=[Middleware(Stamp)],
    exception_handlers={403: on_refusal, WebSocketDisconnect: on_hang_up},
    lifespan=lifespan,
)
assert_type(str(app.url_path_for("api:item", item_id=1)), str)

app.add_exception_handler(404, without_the_error)  # type: ignore[arg-type]

with TestClient(app, base_url="http://example") as client:
    client.get("/", params={"q": "x"})
    with client.websocket_connect("/echo", subprotocols=["echo"]) as session:
        session.send_text("a")

Response(status_code="200")  # type: ignore[arg-type]
Route(1, show)  # type: ignore[arg-type]
