"""The two older forms of a lifespan function, made into today's: an asynchronous context manager factory."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any

from pallasite._standin import warn
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.types import Lifespan


class _InThisTask(AbstractAsyncContextManager[Any]):
    """An ordinary context manager, entered with ``async with``."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, frames: types.TracebackType | None
    ) -> bool | None:
        return self._manager.__exit__(kind, value, frames)


def _from_generator(lifespan: Callable[[Any], Generator[Any, Any, Any]]) -> Lifespan[Any]:
    manager = contextlib.contextmanager(lifespan)

    @functools.wraps(manager)
    def entered(app: Any) -> AbstractAsyncContextManager[Any]:
        return _InThisTask(manager(app))

    return entered


def as_lifespan(lifespan: Any) -> Lifespan[Any]:
    """`lifespan` itself, or its modern form with a deprecation warning where it is a plain generator function."""
    advice = "use an @contextlib.asynccontextmanager function instead"
    if inspect.isasyncgenfunction(lifespan):
        message = f"async generator function lifespans are deprecated, {advice}"
        convert: Callable[[Any], Lifespan[Any]] = asynccontextmanager
    elif inspect.isgeneratorfunction(lifespan):
        message = f"generator function lifespans are deprecated, {advice}"
        convert = _from_generator
    else:
        return lifespan  # type: ignore[no-any-return]
    warn(message, StarletteDeprecationWarning, "routing", stacklevel=4)
    return convert(lifespan)


class NoLifespan:
    """The lifespan of an application that has none."""

    def __call__(self, app: object) -> NoLifespan:
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *exc_info: object) -> None:
        return None
