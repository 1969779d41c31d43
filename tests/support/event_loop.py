"""Pallasite makes no call that blocks an event loop: one that would, on asyncio or trio, raises `BlockingError`.

What is watched is what blockbuster can replace: blocking calls of the standard library. Native code is out of its
sight; `openat2` and `preadv2`, by which a hot static file is read on the event loop, ask the kernel never to wait
(RESOLVE_CACHED, RWF_NOWAIT). What tests and other packages call is their own: Jinja, for one, reads its templates where
it is asked to render, the first time and whenever they have changed.
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

#: Where Pallasite may block, and why: file and functions.
DELIBERATE: list[tuple[str, set[str]]] = [
    ("pallasite/staticfiles.py", {"__init__"}),  # looks for its directories once, when the application is put together
    ("pallasite/staticfiles.py", {"lookup_path"}),  # is for worker threads; who calls it elsewhere has been told
    ("mimetypes.py", {"init"}),  # the system's table of media types, read once in the life of a process
    ("logging/__init__.py", {"callHandlers"}),  # where a log goes to is the application's choice
]
#: These serve synchronous callers, who wait because they want to, be it inside of somebody's event loop.
SYNCHRONOUS = (f"{PALLASITE}/testclient.py", f"{PALLASITE}/_testing/loops.py")


@contextmanager
def no_blocking_calls() -> Iterator[None]:
    """While it lasts, blocking calls made by Pallasite raise on the thread of an event loop."""
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
    """blockbuster's own question (is that socket non-blocking, say), and ours: who calls, standard library aside?"""

    def may_block(*args: Any, **kwargs: Any) -> bool:
        frame: FrameType | None = sys._getframe(2)  # that which calls blockbuster's wrapper
        while frame is not None and _is_standard(frame.f_code.co_filename):
            frame = frame.f_back
        file = "" if frame is None else frame.f_code.co_filename
        return not file.startswith(PALLASITE) or file in SYNCHRONOUS or is_harmless(*args, **kwargs)

    return may_block


def _is_standard(file: str) -> bool:
    return file.startswith("<") or (file.startswith(STANDARD_LIBRARY) and "site-packages" not in file)


@contextmanager
def _replaced_asyncio() -> Iterator[None]:
    """Has blockbuster, which asks asyncio whether a loop runs in this thread, hear of trio's too."""

    def get_running_loop() -> object:
        return True if trio.lowlevel.in_trio_run() else asyncio.get_running_loop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockbuster.blockbuster.asyncio", SimpleNamespace(get_running_loop=get_running_loop))
        yield
