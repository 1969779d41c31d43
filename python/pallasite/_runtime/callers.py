"""Schedule calls on a running event loop from outside its tasks: from other threads and from signal handlers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["later_caller", "thread_caller"]


def thread_caller() -> Callable[..., object]:
    """Return a function that schedules a call on the running loop, from any thread, without waiting for it.

    Its arguments are the function to call and that function's arguments.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        run_sync_soon: Callable[..., object] = trio.lowlevel.current_trio_token().run_sync_soon
        return run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


def later_caller() -> Callable[..., Any]:
    """Return the same as `thread_caller`, for the loop's own thread only, where asyncio needs no wake-up."""
    try:
        return asyncio.get_running_loop().call_soon
    except RuntimeError:
        return thread_caller()
