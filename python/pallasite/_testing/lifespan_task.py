"""The lifespan of an application in a task of its own."""

from __future__ import annotations

from typing import Any

import anyio

from pallasite._testing.background import Background
from pallasite.types import ASGIApp, Message

__all__ = ["LifespanTask"]


class LifespanTask:
    """Starts the lifespan with `start`, and ends it with `end`. Both raise what it raises."""

    def __init__(self, app: ASGIApp, state: dict[str, Any], seconds: float) -> None:
        self._app = app
        self._state = state
        self._seconds = seconds
        self._answers: list[Message] = []

    async def start(self) -> None:
        self._answers.clear()
        self._answered = anyio.Event()
        self._stopping = anyio.Event()
        self._asked = False
        self._task = Background(self._run)
        await self._wait("startup")
        if not self._answers or not self._answers[-1]["type"].endswith(".complete"):
            await self._finish()

    async def end(self) -> None:
        if not self._task.done.is_set():
            self._answered = anyio.Event()
            self._stopping.set()
            await self._wait("shutdown")
            await self._finish()

    async def _wait(self, phase: str) -> None:
        with anyio.CancelScope(shield=phase == "shutdown"), anyio.move_on_after(self._seconds) as limit:
            await self._answered.wait()
        if limit.cancelled_caught:
            await self._task.end(0)
            raise TimeoutError(f"the lifespan has not finished its {phase} within {self._seconds} s")

    async def _finish(self) -> None:
        await self._task.end(self._seconds)
        if not self._answers:
            return  # an application without a lifespan raises, or returns at once
        if self._task.failure is not None:
            raise self._task.failure
        if self._answers[-1]["type"].endswith(".failed"):
            raise RuntimeError(f"the lifespan has failed: {self._answers[-1].get('message', '')}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._receive, self._send)
        finally:
            self._answered.set()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        self._answers.append(message)
        self._answered.set()
