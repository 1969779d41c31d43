"""The way into a running event loop from outside of its tasks: from other threads and from signal handlers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["later_caller", "thread_caller"]


def thread_caller() -> Callable[..., object]:
    """Return what schedules a call in the running loop: call it with a function and its arguments, from any thread.

    It does not wait for the call.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        run_sync_soon: Callable[..., object] = trio.lowlevel.current_trio_token().run_sync_soon
        return run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


def later_caller() -> Callable[..., Any]:
    """Return the same for the loop's own thread alone: asyncio needs no wake-up there."""
    try:
        return asyncio.get_running_loop().call_soon
    except RuntimeError:
        return thread_caller()
