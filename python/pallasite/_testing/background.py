"""Tasks beside the caller's, on asyncio and trio, that need no task group around them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import copy_context

import anyio

__all__ = ["Background"]


class Background:
    """Runs `work()` in a task of its own, with the caller's context variables.

    Attributes:
        done: set once it has ended.
        failure: what it has raised, None if it returned or was cancelled.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self.done = anyio.Event()
        self.failure: Exception | None = None
        self._work = work
        self._scope = anyio.CancelScope()
        trio = sys.modules.get("trio")
        if trio is not None and trio.lowlevel.in_trio_run():
            trio.lowlevel.spawn_system_task(self._run, name=work, context=copy_context())
        else:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work()
        except Exception as error:
            self.failure = error
        finally:
            self.done.set()

    async def end(self, seconds: float) -> None:
        """Wait until it has ended. Cancel it after `seconds`."""
        with anyio.move_on_after(seconds):
            await self.done.wait()
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self.done.wait()
