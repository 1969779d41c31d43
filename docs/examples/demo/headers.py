"""A middleware in plain ASGI: a cache header, and the time the application took, on every response."""

from __future__ import annotations

import time

from pallasite.datastructures import MutableHeaders
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

#: Browsers ask each time, and get 304 for what they have: nobody sees an old script with a new page.
CACHE_CONTROL = "no-cache"


class HeadersMiddleware:
    """Adds `CACHE_CONTROL` and `Server-Timing` (milliseconds until the response started)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("cache-control", CACHE_CONTROL)
                headers["server-timing"] = f"app;dur={(time.perf_counter() - started) * 1000:.2f}"
            await send(message)

        await self.app(scope, receive, send_with_headers)
