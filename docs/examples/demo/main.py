"""Puts the demo together: its routes, its error pages, and what is opened at the start and closed at the end."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pallasite
from pallasite.applications import Pallasite
from pallasite.health import Health
from pallasite.middleware import Middleware
from pallasite.middleware.concurrency_limit import ConcurrencyLimitMiddleware
from pallasite.middleware.cross_origin import CrossOriginMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.observability import ObservabilityMiddleware
from pallasite.middleware.security_headers import SecurityHeadersMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Mount, Route
from pallasite.shutdown import Drain
from pallasite.sse import end_streams_on_shutdown
from pallasite.staticfiles import StaticFiles

from . import account, api, chat, errors, files, live, notes, slow
from .headers import HeadersMiddleware
from .pages import page
from .settings import HERE, MAX_BODY_BYTES, MAX_REQUESTS, MAX_SECONDS, SESSION_SECONDS, Settings
from .store import Store

settings = Settings.from_environment()


store = Store(settings.database)


async def home(request: Request) -> Response:
    return page(request, "home.html", version=pallasite.__version__, python=platform.python_version())


@asynccontextmanager
async def lifespan(app: Pallasite) -> AsyncIterator[None]:
    await store.open()
    try:
        async with Drain(grace=settings.grace)(app):
            with end_streams_on_shutdown():
                yield
    finally:
        await store.close()


app = Pallasite(
    routes=[
        Route("/", home, name="home"),
        *notes.routes,
        *files.routes,
        *chat.routes,
        *live.routes,
        *slow.routes,
        *api.routes,
        *errors.routes,
        *account.routes,
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ],
    middleware=[
        Middleware(ObservabilityMiddleware, access_log="combined", prometheus="/metrics"),
        Middleware(Health, checks={"database": store.open}),
        Middleware(HeadersMiddleware),
        # All scripts, styles and pictures are the demo's own files: nothing inline, nothing from elsewhere.
        Middleware(SecurityHeadersMiddleware, preset="strict"),
        Middleware(ConcurrencyLimitMiddleware, limit=MAX_REQUESTS, queue=MAX_REQUESTS),
        Middleware(CrossOriginMiddleware),
        Middleware(GZipMiddleware),
        Middleware(SessionMiddleware, secret_key=settings.secret(), max_age=SESSION_SECONDS),
    ],
    exception_handlers=errors.handlers,
    lifespan=lifespan,
    max_body_size=MAX_BODY_BYTES,
    timeout=MAX_SECONDS,
)
app.state.store = store
