"""An application behind a proxy: it says who its client is."""

from __future__ import annotations

import os

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.forwarded import ForwardedMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.websockets import WebSocket


async def about(request: Request) -> Response:
    host = None if request.client is None else request.client.host
    return JSONResponse({"client": host, "url": str(request.url), "peer": request.scope["pallasite.peer"][0]})


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json([websocket.client.host if websocket.client else None, str(websocket.url)])
    await websocket.close()


app = Pallasite(
    routes=[Route("/about", about), WebSocketRoute("/socket", socket)],
    middleware=[
        Middleware(
            ForwardedMiddleware,
            trusted=os.environ["TRUSTED"].split(),
            header=os.environ["FAMILY"],  # type: ignore[arg-type]
            host=True,
            prefix=os.environ["FAMILY"] == "x-forwarded",
        )
    ],
)
