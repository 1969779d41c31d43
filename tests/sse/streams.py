"""Clients and sources of event streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from pallasite.types import ASGIApp, Message
from tests.support import asgi


class Client(asgi.Client):
    """A client of one application, which stops reading after some text."""

    def __init__(self, app: ASGIApp, method: str = "GET", spec_version: str = "2.3", stops_after: str = "\0") -> None:
        super().__init__({"type": "http.request", "body": b"", "more_body": False})
        self.app = app
        self.stops_after = stops_after.encode()
        self.changed = anyio.Event()
        self.reads = anyio.Event()
        self.reads.set()
        self.scope = asgi.scope_of(method=method, asgi={"version": "3.0", "spec_version": spec_version})

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        await super().send(message)
        if self.stops_after in message.get("body", b""):
            self.reads = anyio.Event()
        self.changed.set()
        self.changed = anyio.Event()

    @property
    def text(self) -> str:
        return self.body.decode()

    async def run(self) -> None:
        with anyio.fail_after(asgi.STALL_SECONDS):
            await self.app(self.scope, self.receive, self.send)

    async def until(self, text: str) -> None:
        """Wait until the client has read `text`."""
        with anyio.fail_after(asgi.STALL_SECONDS):
            while text not in self.text:
                await self.changed.wait()


class Stream:
    """An endless async generator that notes how it ended."""

    def __init__(self, *first: Any) -> None:
        self.first = first
        self.ended: list[str] = []
        self.steps = 0

    async def __call__(self) -> AsyncGenerator[Any, None]:
        try:
            for item in self.first:
                self.steps += 1
                yield item
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self.ended.append("ended")
