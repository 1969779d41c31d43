"""Clients and sources of event streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from pallasite.types import ASGIApp, Message, Scope

ClientFactory = Callable[..., Any]
FOREVER_SECONDS = 10.0  # only reached by a test that fails


class Client:
    """One end of an ASGI conversation: keeps the messages, stops reading after some text, and can go away."""

    def __init__(self, app: ASGIApp, method: str = "GET", spec_version: str = "2.3", stops_after: str = "\0") -> None:
        self.app = app
        self.stops_after = stops_after.encode()
        self.sent: list[Message] = []
        self.changed = anyio.Event()
        self.gone = anyio.Event()
        self.reads = anyio.Event()
        self.reads.set()
        self.scope: Scope = {
            "type": "http", "method": method, "path": "/", "headers": [], "query_string": b"",
            "asgi": {"version": "3.0", "spec_version": spec_version},
        }  # fmt: skip
        self._asked = False

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)
        if self.stops_after in message.get("body", b""):
            self.reads = anyio.Event()
        self.changed.set()
        self.changed = anyio.Event()

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def is_complete(self) -> bool:
        return self.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    async def run(self) -> None:
        with anyio.fail_after(FOREVER_SECONDS):
            await self.app(self.scope, self.receive, self.send)

    async def until(self, text: str) -> None:
        with anyio.fail_after(FOREVER_SECONDS):
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
