"""Call a function that is not a coroutine function, and finish what it returns."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, ParamSpec

from pallasite.concurrency import run_in_threadpool

__all__ = ["boxed", "call_in_threadpool"]

P = ParamSpec("P")


def boxed(func: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any]:
    """Return the result of `func` in a tuple. trio refuses coroutines as results of worker threads."""
    return (func(*args, **kwargs),)


async def call_in_threadpool(func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
    """Run `func` in a worker thread. If it returns an awaitable, await that in the event loop and return its result.

    Decorated coroutine functions, lambdas and the methods of some clients look like plain functions.

    Deviation: the awaitable is not dropped.
    """
    (result,) = await run_in_threadpool(boxed, func, *args, **kwargs)
    return await result if isawaitable(result) else result
