"""Helpers of the tests of subclasses."""

from __future__ import annotations

from typing import Any


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Stands for an application that is never called."""
