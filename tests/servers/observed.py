"""An application whose metrics several workers count together."""

from __future__ import annotations

import os

import anyio

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.observability import ObservabilityMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route


async def pid(request: Request) -> Response:
    return PlainTextResponse(str(os.getpid()))


async def wait(request: Request) -> Response:
    await anyio.sleep_forever()
    return Response()


app = Pallasite(
    routes=[Route("/pid/{name}", pid), Route("/wait", wait, cancel_on_disconnect=True)],
    middleware=[Middleware(ObservabilityMiddleware, prometheus="/metrics", access_log="json")],
)
