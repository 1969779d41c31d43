"""An ASGI application around the one under test that reports the resources of the process over HTTP.

`GET /-/probe` collects garbage and responds with the counts as JSON. `?reset` first resets the peak of memory and the
longest step of the event loop.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PATH = "/-/probe"

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Probe:
    """Answers at `PATH` itself and passes everything else on."""

    def __init__(self, app: Application) -> None:
        self.app = app
        watch_steps()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self.app(scope, receive, send)
            return
        content = json.dumps(counts(reset=scope["query_string"] == b"reset")).encode()
        headers = [(b"content-length", str(len(content)).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class Steps:
    """The longest callback of the event loop, in seconds of the thread's own CPU time: a busy machine adds nothing."""

    longest = 0.0
    counted = True


def watch_steps() -> None:
    run = asyncio.events.Handle._run
    if getattr(run, "watched", False):
        return

    def watched_run(handle: asyncio.events.Handle) -> None:
        Steps.counted = True
        started = time.thread_time()
        run(handle)
        if Steps.counted:
            Steps.longest = max(Steps.longest, time.thread_time() - started)

    watched_run.watched = True  # type: ignore[attr-defined]
    asyncio.events.Handle._run = watched_run  # type: ignore[method-assign, assignment]


def counts(*, reset: bool) -> dict[str, Any]:
    Steps.counted = False  # the collection below is not work of the application
    gc.collect()
    with suppress(
        OSError, AttributeError
    ):  # glibc: return free memory to the system, so that the RSS is the memory in use
        ctypes.CDLL(None).malloc_trim(0)
    if reset:
        Steps.longest = 0.0
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # reset VmHWM, the peak
    memory = status_fields()
    names = [thread.name for thread in threading.enumerate()]
    current = asyncio.current_task()
    return {
        "pid": os.getpid(),
        "tasks": Counter(task_name(task) for task in asyncio.all_tasks() if task is not current),
        # anyio keeps up to 40 of them, idle, for the next work.
        "workers": sum(name.startswith("AnyIO worker") for name in names),
        # A "dummy" is a thread of native code that has once called into Python.
        "threads": Counter(name for name in names if not name.startswith(("AnyIO worker", "Dummy"))),
        "descriptors": Counter(descriptors()),
        "temporary": sorted(os.listdir(tempfile.gettempdir())),
        "objects": len(gc.get_objects()),
        "rss_kb": memory.get("VmRSS", 0),
        "peak_kb": memory.get("VmHWM", 0),
        "longest_step_ms": round(Steps.longest * 1000, 1),
    }


def task_name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))


def descriptors() -> list[str]:
    """Return the kind of each open descriptor: "socket", "pipe", or the path of a file."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{number}").partition(":[")[0])
    return found


def status_fields() -> dict[str, int]:
    """The sizes in /proc/self/status, in KB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.partition(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
