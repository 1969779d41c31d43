"""The idiom of the fast paths: a copy of a stock method at its caller, used while the method is the stock one.

A call costs a frame. On paths that every request takes, the body of a public method is repeated at its caller, next
to a comment with one form, so that a search for ``Fast path:`` lists them all::

    # Fast path: copies `Response.__call__`; 6 % fewer instructions (bench: hello-json).
    if type(response).__call__ is _STOCK_RESPONSE_CALL:
        ...  # what the method does
    else:
        await response(scope, receive, send)

The comment names what is copied, what that gains, and the benchmark case that shows it. The constant is called
``_STOCK_<NAME>``, without the underscore where another module imports it, and comes from `original`. A subclass that
overrides the method, or a patch of it, makes the check fail: the method is called. `tests/project/test_fast_paths.py`
finds every comment and every original, and checks that each one is honoured when it is patched.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ORIGINALS", "original"]

#: Every method or function that a fast path copies: its owner and its name.
ORIGINALS: list[tuple[Any, str]] = []


def original(owner: Any, name: str) -> Any:
    """Return the attribute `name` of a class or module as it is now, and record it in `ORIGINALS`."""
    ORIGINALS.append((owner, name))
    return getattr(owner, name)
