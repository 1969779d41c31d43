"""An application whose handlers wait until they are cancelled; for test_abandoned.py."""

from __future__ import annotations

import time
from typing import Any

import anyio
import anyio.lowlevel

from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Mount, Route

#: When each handler was cancelled, and how many have started, cleaned up and run their background task.
cancelled_at: list[float] = []
counts = {"started": 0, "cleaned up": 0, "tasks": 0}


async def wait(request: Request) -> Response:
    counts["started"] += 1
    try:
        await anyio.sleep(600)
    except BaseException:
        cancelled_at.append(time.monotonic())
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        counts["cleaned up"] += 1
    raise AssertionError


async def finish() -> None:
    await anyio.sleep(0.2)
    counts["tasks"] += 1


async def accept(request: Request) -> Response:
    await anyio.sleep(0.05)
    return JSONResponse({}, background=BackgroundTask(finish))


async def show(request: Request) -> Response:
    return JSONResponse({**counts, "cancelled at": cancelled_at})


async def forget(request: Request) -> Response:
    cancelled_at.clear()
    counts.update(dict.fromkeys(counts, 0))
    return JSONResponse({})


async def pass_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


FUNCTIONS = [Middleware(BaseHTTPMiddleware, dispatch=pass_on) for _ in range(3)]
LIMITED = [
    Route("/wait", wait, methods=["GET", "POST"], timeout=300, cancel_on_disconnect=True),
    Route("/accept", accept, cancel_on_disconnect=True),
]
app = Pallasite(
    routes=[
        Route("/counts", show),
        Route("/forget", forget),
        Mount("/plain", routes=LIMITED),
        Mount("/functions", routes=LIMITED, middleware=FUNCTIONS),
    ]
)
