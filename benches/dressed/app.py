"""The dressed application and what it wears."""

from __future__ import annotations

import logging
import os
from typing import Any
from uuid import uuid4

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from benches.case import Framework
from benches.exchange import ASGIApp

ITEMS = [{"id": number, "name": f"Crystal {number}", "price": number * 1.25, "tags": ["ore"]} for number in range(30)]
ORIGIN = "https://app.example"

log = logging.getLogger("benches.access")


class Nowhere(SpanExporter):
    """Spans are made and ended, and go nowhere."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class IdAndLog:
    """Gives each response an id and writes a line about it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid4().hex

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                log.info("%s %s %s %s", scope["method"], scope["path"], message["status"], request_id)
            await send(message)

        await self.app(scope, receive, sending)


def middleware_of(web: Framework) -> list[Any]:
    provider = TracerProvider(sampler=TraceIdRatioBased(0.01))
    provider.add_span_processor(SimpleSpanProcessor(Nowhere()))
    wrap = web.middleware.Middleware
    return [
        wrap(IdAndLog),
        wrap(web.module("middleware.opentelemetry").OpenTelemetryMiddleware, tracer_provider=provider),
        wrap(web.module("middleware.cors").CORSMiddleware, allow_origins=[ORIGIN]),
        wrap(web.module("middleware.sessions").SessionMiddleware, secret_key="a secret of some length"),
        wrap(web.module("middleware.gzip").GZipMiddleware, minimum_size=500),
    ]


def quiet() -> None:
    """Log lines are formatted and written, to where they do not collect."""
    handler = logging.FileHandler(os.devnull)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def plain(web: Framework) -> Any:
    """The application on Starlette or Pallasite."""
    quiet()
    JSONResponse, Route = web.responses.JSONResponse, web.routing.Route

    async def items(request: Any) -> Any:
        page = int(request.query_params.get("page", "1"))
        return JSONResponse({"page": page, "user": request.session.get("user"), "items": ITEMS})

    return web.applications.Starlette(routes=[Route("/items", items)], middleware=middleware_of(web))
