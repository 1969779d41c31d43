"""What a route adds around its endpoint: middleware, and limits on the request."""

from __future__ import annotations

from collections.abc import Iterable

from pallasite.middleware import Middleware
from pallasite.middleware.body_limit import RequestBodyLimitMiddleware
from pallasite.types import ASGIApp

__all__ = ["wrap"]


def wrap(
    app: ASGIApp,
    middleware: Iterable[Middleware] | None,
    max_body_size: int | None = None,
    timeout: float | None = None,
    cancel_on_disconnect: bool | None = None,
) -> ASGIApp:
    """Return `app` inside its middleware, the first outermost. Only the limits are outside them."""
    for cls, args, kwargs in reversed(list(middleware or ())):
        app = cls(app, *args, **kwargs)
    if max_body_size is not None:
        app = RequestBodyLimitMiddleware(app, max_body_size=max_body_size)
    if timeout is None and cancel_on_disconnect is None:
        return app
    from pallasite._runtime.bounded import Bounded
    from pallasite._runtime.seconds import check_seconds

    return Bounded(app, check_seconds("timeout", timeout), cancel_on_disconnect)
