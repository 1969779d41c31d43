"""Tasks after the response: order, threads, failures."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from pallasite.background import BackgroundTask, BackgroundTasks
from pallasite.responses import Response
from tests.support.asgi import UNUSED

pytestmark = pytest.mark.anyio


async def test_task_async_is_awaited_with_its_arguments() -> None:
    calls = []

    async def note(*args: int, **kwargs: int) -> None:
        calls.append((args, kwargs, threading.get_ident()))

    await BackgroundTask(note, 1, 2, three=3)()
    assert calls == [((1, 2), {"three": 3}, threading.get_ident())]


async def test_task_sync_runs_in_a_worker_thread() -> None:
    threads = []

    def note() -> None:
        threads.append(threading.get_ident())

    await BackgroundTask(note)()
    assert threads != [threading.get_ident()]
    assert len(threads) == 1


async def test_tasks_run_in_the_order_they_were_added() -> None:
    order: list[int] = []

    async def note(number: int) -> None:
        order.append(number)

    tasks = BackgroundTasks([BackgroundTask(order.append, 1), BackgroundTask(note, 2)])
    tasks.add_task(order.append, 3)
    tasks.add_task(note, number=4)
    await tasks()
    assert order == [1, 2, 3, 4]


async def test_tasks_given_list_is_not_changed() -> None:
    given = [BackgroundTask(int)]
    tasks = BackgroundTasks(given)
    tasks.add_task(int)
    assert len(given) == 1
    assert len(tasks.tasks) == 2


def _failing(error: Exception) -> Callable[[], None]:
    def send_mail() -> None:
        raise error

    return send_mail


async def test_tasks_first_failure_stops_and_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    tasks = BackgroundTasks()
    tasks.add_task(done.append, 1)
    tasks.add_task(_failing(LookupError("no server")))
    tasks.add_task(done.append, 2)
    with pytest.raises(LookupError, match="no server"):
        await tasks()
    assert done == [1]


@pytest.mark.parametrize("told", ["at once", "later"])
async def test_tasks_set_not_to_stop_run_all_and_raise_the_failure(told: str) -> None:
    done: list[int] = []
    tasks = BackgroundTasks(stop_on_error=False if told == "at once" else None)
    if told == "later":
        tasks.stop_on_error = False
    tasks.add_task(_failing(LookupError("no server")))
    tasks.add_task(done.append, 1)
    with pytest.raises(LookupError, match="no server"):
        await tasks()
    assert done == [1]


async def test_tasks_set_not_to_stop_raise_several_failures_as_a_group() -> None:
    class Patient(BackgroundTasks):
        stop_on_error = False

    tasks = Patient([BackgroundTask(_failing(LookupError())), BackgroundTask(_failing(ValueError()))])
    with pytest.raises(ExceptionGroup) as caught:
        await tasks()
    assert [type(error) for error in caught.value.exceptions] == [LookupError, ValueError]


@pytest.mark.parametrize(
    ("wrap", "name"),
    [(lambda function: function, "send_mail"), (functools.partial, "functools.partial(")],
    ids=["function", "partial"],
)
async def test_failing_task_is_logged_by_name(
    caplog: pytest.LogCaptureFixture, wrap: Callable[[Any], Any], name: str
) -> None:
    with caplog.at_level(logging.ERROR, "pallasite.background"), pytest.raises(LookupError):
        await BackgroundTask(wrap(_failing(LookupError("no server"))))()
    [record] = caplog.records
    assert record.name == "pallasite.background"
    assert name in record.getMessage()


async def test_response_runs_its_task_after_the_body() -> None:
    events: list[str] = []

    async def send(message: Any) -> None:
        events.append(message["type"])

    await Response(background=BackgroundTask(events.append, "task"))({"type": "http"}, UNUSED, send)
    assert events == ["http.response.start", "http.response.body", "task"]


async def _note(calls: list[str], what: str) -> None:
    calls.append(what)


class _Client:
    """Its methods are plain, and return what is to be awaited."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def set(self, what: str) -> Awaitable[None]:
        return _note(self.calls, what)


async def test_task_that_returns_an_awaitable_is_awaited() -> None:
    calls: list[str] = []

    @functools.wraps(_note)
    def decorated(*args: Any) -> Awaitable[None]:
        return _note(*args)

    async def rows() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            calls.append("closed")

    started: Any = rows()
    await anext(started)
    for task in (
        BackgroundTask(_Client(calls).set, "method"),
        BackgroundTask(decorated, calls, "decorated"),
        BackgroundTask(lambda: _note(calls, "lambda")),
        BackgroundTask(started.aclose),
    ):
        await task()
    assert calls == ["method", "decorated", "lambda", "closed"]


async def test_task_whose_awaitable_fails_is_logged_and_raised(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise LookupError("no such row")

    with pytest.raises(LookupError, match="no such row"):
        await BackgroundTask(lambda: fail())()
    assert "failed" in caplog.text
