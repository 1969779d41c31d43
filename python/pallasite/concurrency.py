"""Run blocking code without blocking the event loop: in worker threads, limited in number by anyio (40 by default)."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from contextvars import Context, copy_context
from typing import Any, ParamSpec, TypeVar

import anyio

from pallasite._compat.warn import warn
from pallasite._runtime.read_ahead import ReadAhead
from pallasite._runtime.worker_threads import current_pool, run_sync
from pallasite.exceptions import StarletteDeprecationWarning

__all__ = ["iterate_in_threadpool", "run_in_threadpool", "run_until_first_complete"]

P = ParamSpec("P")
T = TypeVar("T")

# Marks the end of an iterator: StopIteration itself cannot pass from a thread into a coroutine.
EXHAUSTED: Any = object()


async def run_in_threadpool(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `func` in a worker thread and return its result. Context variables are visible there."""
    if kwargs:
        return await run_sync(functools.partial(func, *args, **kwargs))
    return await run_sync(func, *args)


async def iterate_in_threadpool(iterator: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items of a blocking iterable, fetched in worker threads.

    On asyncio, items that are ready at once are fetched together: at most 8, 256 KB or what takes 0.2 ms. An item waits
    at most a millisecond for those after it. If the iteration ends early, up to seven items have been fetched in vain.

    Deviation: a generator runs in one context, so that context variables that it sets keep their values, and is closed
    in a worker thread if the iteration ends early.
    """
    items = iter(iterator)
    pool = current_pool()
    if pool is not None:
        ahead = ReadAhead(items, pool)
        try:
            while await ahead.fetch():
                while ahead.ready:
                    yield ahead.ready.popleft()
        finally:
            await ahead.close()
        return
    context, item = await run_sync(_first, items)
    try:
        while item is not EXHAUSTED:
            yield item
            item = await run_sync(context.run, next, items, EXHAUSTED)
    finally:
        if item is not EXHAUSTED and isinstance(items, Generator):
            with anyio.CancelScope(shield=True):
                await run_sync(context.run, items.close)


def _first(items: Iterator[T]) -> tuple[Context, T]:
    """Return the first item, and the context for the others: a copy of that of worker threads."""
    context = copy_context()
    return context, context.run(next, items, EXHAUSTED)


async def run_until_first_complete(*args: tuple[Callable[..., Coroutine[Any, Any, Any]], dict[str, Any]]) -> None:
    """Call every `(function, keyword arguments)` pair concurrently. When one returns, cancel the others.

    Deprecated: use an anyio task group.
    """
    message = "run_until_first_complete is deprecated and will be removed in a future version."
    warn(message, StarletteDeprecationWarning, "concurrency", stacklevel=2)

    async def finish_first(function: Callable[..., Coroutine[Any, Any, Any]], kwargs: dict[str, Any]) -> None:
        await function(**kwargs)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for function, kwargs in args:
            group.start_soon(finish_first, function, kwargs)
