"""A slow, blocking endpoint: an ordinary function, which runs in the thread pool while everything else goes on."""

from __future__ import annotations

import threading
import time

from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route

from .pages import page

LONGEST_SECONDS = 5.0


async def show_slow(request: Request) -> Response:
    return page(request, "slow.html")


def work(request: Request) -> Response:
    """Sleep for `?seconds=` (0 to 5, default 2) the way a blocking library would."""
    try:
        seconds = float(request.query_params.get("seconds", "2"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_SECONDS:  # false for NaN too
        raise HTTPException(422, f"seconds must be a number from 0 to {LONGEST_SECONDS:.0f}")
    started = time.perf_counter()
    time.sleep(seconds)
    return JSONResponse({"seconds": round(time.perf_counter() - started, 3), "thread": threading.current_thread().name})


async def ping(request: Request) -> Response:
    """What the page asks for meanwhile, to show that the event loop is free."""
    return JSONResponse({"thread": threading.current_thread().name})


routes = [
    Route("/slow", show_slow, name="slow"),
    Route("/slow/work", work, name="slow_work"),
    Route("/slow/ping", ping, name="slow_ping"),
]
