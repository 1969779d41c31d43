"""Work to do after a response is sent: one callable, or several in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from pallasite._runtime.calls import call_in_threadpool
from pallasite._utils import is_async_callable

__all__ = ["BackgroundTask", "BackgroundTasks"]

P = ParamSpec("P")

_logger = logging.getLogger("pallasite.background")


class BackgroundTask:
    """A call to make later. `await task()` awaits a coroutine function and runs any other in a worker thread.

    A failure is logged with the function's name to the logger `pallasite.background` and raised again. The client
    already has the response by then, so the log is the only place that names the task.
    """

    def __init__(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.is_async = is_async_callable(func)

    async def __call__(self) -> None:
        try:
            if self.is_async:
                await self.func(*self.args, **self.kwargs)
            else:
                await call_in_threadpool(self.func, *self.args, **self.kwargs)
        except Exception:
            name = getattr(self.func, "__qualname__", None) or repr(self.func)
            _logger.error("Background task %s failed", name)
            raise


class BackgroundTasks(BackgroundTask):
    """Tasks that run one after the other, in the order they were added.

    Attributes:
        stop_on_error: if True, the default, the first failure ends the run and is raised. If False, the other tasks run
            first; then the failure is raised, or an ExceptionGroup of several. It can be passed here, or set on an
            instance or a subclass.
    """

    stop_on_error: bool = True

    def __init__(self, tasks: Sequence[BackgroundTask] | None = None, *, stop_on_error: bool | None = None) -> None:
        self.tasks = list(tasks or ())
        if stop_on_error is not None:
            self.stop_on_error = stop_on_error

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a call at the end. Its arguments are kept as they are until it runs."""
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    async def __call__(self) -> None:
        failures: list[Exception] = []
        for task in self.tasks:
            try:
                await task()
            except Exception as error:
                if self.stop_on_error:
                    raise
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("background tasks failed", failures)
