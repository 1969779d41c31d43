"""A guard against calls of Pallasite that block an event loop, asyncio's or trio's: they raise `BlockingError`.

The guard covers the calls that blockbuster can replace, which are blocking calls of the standard library. It does not
see native code: `openat2` and `preadv2`, which read a hot static file on the event loop, ask the kernel never to wait
(RESOLVE_CACHED, RWF_NOWAIT). Calls of tests and of other packages are allowed. Jinja, for example, reads a template
when it first renders it and after the template has changed.
"""

from __future__ import annotations

import asyncio
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
import trio
from blockbuster import BlockBuster

import pallasite

PALLASITE = str(Path(pallasite.__file__).parent)
STANDARD_LIBRARY = sysconfig.get_path("stdlib")

#: Functions in which Pallasite may block, by file, each with the reason.
DELIBERATE: list[tuple[str, set[str]]] = [
    ("pallasite/staticfiles.py", {"__init__"}),  # looks for its directories once, at startup
    ("pallasite/staticfiles.py", {"lookup_path"}),  # documented as a call for worker threads
    ("mimetypes.py", {"init"}),  # the system's table of media types, read once per process
    ("logging/__init__.py", {"callHandlers"}),  # the application chooses the log handlers
]
#: Interfaces for synchronous callers, which may block even inside an event loop.
SYNCHRONOUS = (f"{PALLASITE}/testclient.py", f"{PALLASITE}/_testing/loops.py")


@contextmanager
def no_blocking_calls() -> Iterator[None]:
    """Make blocking calls of Pallasite raise in a thread that runs an event loop."""
    guard = BlockBuster("pallasite")
    for function in guard.functions.values():
        function.can_block_predicate = _or_made_elsewhere(function.can_block_predicate)
        for file, names in DELIBERATE:
            function.can_block_in(file, names)
    with _replaced_asyncio():
        guard.activate()
        try:
            yield
        finally:
            guard.deactivate()


def _or_made_elsewhere(is_harmless: Callable[..., bool]) -> Callable[..., bool]:
    """Add the caller to blockbuster's condition: calls that Pallasite does not make, even indirectly, may block."""

    def may_block(*args: Any, **kwargs: Any) -> bool:
        frame: FrameType | None = sys._getframe(2)  # the caller of blockbuster's wrapper
        while frame is not None and _is_standard(frame.f_code.co_filename):
            frame = frame.f_back
        file = "" if frame is None else frame.f_code.co_filename
        return not file.startswith(PALLASITE) or file in SYNCHRONOUS or is_harmless(*args, **kwargs)

    return may_block


def _is_standard(file: str) -> bool:
    return file.startswith("<") or (file.startswith(STANDARD_LIBRARY) and "site-packages" not in file)


@contextmanager
def _replaced_asyncio() -> Iterator[None]:
    """Make blockbuster, which only knows asyncio's loops, see those of trio too."""

    def get_running_loop() -> object:
        return True if trio.lowlevel.in_trio_run() else asyncio.get_running_loop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockbuster.blockbuster.asyncio", SimpleNamespace(get_running_loop=get_running_loop))
        yield
