"""What the tests of worker threads share."""

from __future__ import annotations

import contextvars
import threading

import pytest

from pallasite._runtime import worker_threads
from pallasite._runtime.worker_threads import Pool, run_sync
from tests.support.asgi import STALL_SECONDS

on_both = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def pool() -> Pool:
    """The pool of the running event loop."""
    found = worker_threads.current_pool()
    assert found is not None
    return found


async def thread_of_worker() -> threading.Thread:
    return await run_sync(threading.current_thread)


def wait_for(event: threading.Event) -> None:
    assert event.wait(STALL_SECONDS)


def join(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(STALL_SECONDS)
        assert not thread.is_alive()
