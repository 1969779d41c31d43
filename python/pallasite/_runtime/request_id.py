"""The id of the running request, which `middleware.observability` sets."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["current"]

#: None outside a request, and without `ObservabilityMiddleware`.
current: ContextVar[str | None] = ContextVar("pallasite_request_id", default=None)
