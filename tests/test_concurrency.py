"""Blocking code in worker threads."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator

import anyio
import pytest

from pallasite.concurrency import iterate_in_threadpool, run_in_threadpool, run_until_first_complete
from pallasite.exceptions import StarletteDeprecationWarning

pytestmark = pytest.mark.anyio


async def test_run_in_threadpool_returns_the_result_from_another_thread() -> None:
    def work(a: int, *, b: int) -> tuple[int, int]:
        return a + b, threading.get_ident()

    result, thread = await run_in_threadpool(work, 1, b=2)
    assert result == 3
    assert thread != threading.get_ident()


async def test_run_in_threadpool_raises_what_the_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_in_threadpool(divmod, 1, 0)


async def test_run_in_threadpool_sees_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("here")
    assert await run_in_threadpool(variable.get) == "here"


async def test_iterate_yields_every_item_from_another_thread() -> None:
    threads = set()

    def items() -> Iterator[int | None]:
        for item in (1, None, 3):
            threads.add(threading.get_ident())
            yield item

    assert [item async for item in iterate_in_threadpool(items())] == [1, None, 3]
    assert threading.get_ident() not in threads


async def test_iterate_accepts_any_iterable() -> None:
    assert [item async for item in iterate_in_threadpool([1, 2])] == [1, 2]
    nothing: list[int] = []
    assert [item async for item in iterate_in_threadpool(nothing)] == []


async def test_iterate_raises_what_the_iterator_raises() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    seen = []
    with pytest.raises(LookupError, match="no more"):  # noqa: PT012 - the loop is what raises
        async for item in iterate_in_threadpool(items()):
            seen.append(item)  # noqa: PERF401 - the items before the error count
    assert seen == [1]


async def test_run_until_first_complete_cancels_the_others() -> None:
    finished = []

    async def quick(name: str) -> None:
        finished.append(name)

    async def slow() -> None:
        await anyio.sleep_forever()
        finished.append("slow")

    with pytest.warns(StarletteDeprecationWarning, match="run_until_first_complete is deprecated"):
        await run_until_first_complete((slow, {}), (quick, {"name": "quick"}))
    assert finished == ["quick"]
