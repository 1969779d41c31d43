"""Values as the debug page shows them: short, quickly computed, and hidden if their name suggests a secret."""

from __future__ import annotations

import gc
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import Any

MAX_VALUE_CHARS = 400
MAX_ITEMS = 20
MAX_DEPTH = 4

HIDDEN = "<hidden: the name suggests a secret>"

_SECRET = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|signature|authorization|cookie|(api|private|access|session)_?-?(key|id)",
    re.IGNORECASE,
)


class TooSlow(BaseException):
    """The time limit was exceeded. Not an `Exception`, so that the interrupted code does not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the Python code in the block with `TooSlow` after `seconds`, even if it is an endless loop."""
    end = time.monotonic() + seconds
    previous = sys.gettrace()

    def watch(frame: FrameType, event: str, argument: Any) -> Any:  # pragma: no cover - tracers are not traced
        if time.monotonic() > end:
            raise TooSlow
        return watch

    # What the collector calls cannot pass an exception on: it would be reported instead of interrupting the block.
    collects = gc.isenabled()
    gc.disable()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(previous)  # pragma: no cover - nor is the code right after them, here and in callers
        if collects:  # pragma: no cover
            gc.enable()


def is_secret(name: object) -> bool:
    """Return True if the value with this name must not be shown."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and _SECRET.search(name[:MAX_VALUE_CHARS]) is not None


def show(value: object, seconds: float) -> str:
    """Return `text_of(value)`, cut to `MAX_VALUE_CHARS` characters and "…", or the reason why there is no text."""
    try:
        with time_limit(seconds):
            text = text_of(value)
    except TooSlow:  # pragma: no cover
        return f"<{type(value).__name__}: repr() takes too long>"
    except BaseException as error:  # even SystemExit must not end the debug page
        return f"<{type(value).__name__}: repr() failed: {type(error).__name__}>"
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + "…"


def text_of(value: Any, depth: int = MAX_DEPTH) -> str:
    """Return a text like `repr(value)`. Only the start of long strings and collections is read."""
    own: Any = type(value).__repr__
    if own is dict.__repr__:
        return _joined("{}", (_pair(key, item, depth - 1) for key, item in value.items()), depth)
    if own is tuple.__repr__:
        if len(value) == 2 and is_secret(value[0]):  # such as a header field
            return f"({text_of(value[0], depth - 1)}, {HIDDEN})"
        return _joined("()", (text_of(item, depth - 1) for item in value), depth, end="," if len(value) == 1 else "")
    if own in _BRACKETS:
        return _joined(_BRACKETS[own], (text_of(item, depth - 1) for item in value), depth)
    if own in _SLICED:
        shown = repr(value[:MAX_VALUE_CHARS])
        return shown + "…" if len(value) > MAX_VALUE_CHARS else shown
    return repr(value)


_BRACKETS: dict[Any, str] = {list.__repr__: "[]", set.__repr__: "{}", frozenset.__repr__: "{}"}
_SLICED: frozenset[Callable[..., str]] = frozenset({str.__repr__, bytes.__repr__, bytearray.__repr__})


def _pair(key: object, item: object, depth: int) -> str:
    return f"{text_of(key, depth)}: {HIDDEN if is_secret(key) else text_of(item, depth)}"


def _joined(brackets: str, items: Iterable[str], depth: int, end: str = "") -> str:
    if not depth:
        return f"{brackets[0]}…{brackets[1]}"
    shown = list(islice(items, MAX_ITEMS + 1))
    if len(shown) > MAX_ITEMS:
        shown[-1] = "…"
    return f"{brackets[0]}{', '.join(shown)}{end}{brackets[1]}"
