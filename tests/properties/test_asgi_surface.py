"""Whatever a server sends, valid ASGI or not, the outcome is a documented one.

The application must send a well-formed exchange, or raise an exception that is documented.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Host, Mount, Route, Router, WebSocketRoute
from pallasite.websockets import WebSocket
from tests.properties.exchanges import Exchange, exchanges, hold, scopes


async def everything(request: Request) -> Response:
    try:
        port: Any = request.url.port
    except ValueError:
        port = "bad"
    request.session["path"] = request.url.path
    body = await request.body()
    return JSONResponse(
        {
            "url": str(request.url),
            "port": port,
            "base": str(request.base_url),
            "home": str(request.url_for("home")),
            "headers": request.headers.items(),
            "query": request.query_params.multi_items(),
            "cookies": request.cookies,
            "params": request.path_params,
            "client": request.client,
            "length": len(body),
        }
    )


async def json(request: Request) -> Response:
    return JSONResponse(await request.json())


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse([name for name, _ in fields.multi_items()])


async def stream(request: Request) -> Response:
    return StreamingResponse(request.stream(), headers={"x-method": "any"})


def in_a_thread(request: Request) -> Response:
    return PlainTextResponse(request.url.path)


async def text_socket(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def json_socket(socket: WebSocket) -> None:
    await socket.accept(next(iter(socket.scope.get("subprotocols", ())), None))
    while True:
        await socket.send_json(await socket.receive_json("binary"), "binary")


ROUTES = [
    Route("/", everything, name="home", methods=["GET", "POST"]),
    Route("/json", json, methods=["POST"]),
    Route("/form", form, methods=["POST"]),
    Route("/stream", stream, methods=["POST"]),
    Route("/thread", in_a_thread),
    Route("/item/{number:int}", everything),
    Route("/item/{number:float}/", everything),
    Route("/{a}-{b:uuid}", everything),
    Route("/{rest:path}/end", everything),
    WebSocketRoute("/ws", text_socket),
    WebSocketRoute("/ws/{rest:path}", json_socket),
]
APP = Pallasite(
    routes=[Host("{sub}.example", Router(ROUTES)), Mount("/{below}", routes=ROUTES), *ROUTES],
    middleware=[Middleware(SessionMiddleware, secret_key="not very secret, but long")],
)

SCOPES = scopes([route.path for route in ROUTES])


@given(exchanges(SCOPES))
def test_any_exchange_ends_well_or_as_documented(exchange: Exchange) -> None:
    hold(APP, exchange)
