"""Clients of applications that are patched: before they are made, after, or after the first request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

WHENEVER = pytest.mark.parametrize("when", ["before-construction", "after-construction", "after-the-first-request"])


def client_of_patched(when: str, make: Callable[[], Any], patch: Callable[[], None], client_factory: Any) -> Any:
    """A client of the application that `make` returns, with `patch` called at that moment."""
    if when == "before-construction":
        patch()
    app = make()
    if when == "after-construction":
        patch()
    client = client_factory(app, raise_server_exceptions=False)
    if when == "after-the-first-request":
        client.get("/")
        patch()
    return client


def application(lib: Any, **options: Any) -> Any:
    async def home(request: Any) -> Any:
        return lib("responses").PlainTextResponse("home")

    return lib("applications").Starlette(routes=[lib("routing").Route("/", home)], **options)


def spy_on_call(monkeypatch: pytest.MonkeyPatch, cls: type[Any], calls: list[str]) -> None:
    """Replaces the class's `__call__` as a tracer does: its own notes, then the old one."""
    old_call = cls.__call__

    async def traced(self: Any, scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        await old_call(self, scope, receive, send)

    monkeypatch.setattr(cls, "__call__", traced)
