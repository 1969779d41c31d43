"""The private helpers that Starlette defines under this name. FastAPI and other packages import them from here."""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

import anyio
import anyio.abc

from pallasite._http.host import ParsedHost, parse_host_header
from pallasite.types import Scope

if TYPE_CHECKING:
    from typing_extensions import TypeIs

# asyncio's also recognises the marker set by older libraries. It is deprecated since Python 3.14; inspect's suffices.
if sys.version_info >= (3, 13):
    from inspect import iscoroutinefunction
else:  # before Python 3.13
    from asyncio import iscoroutinefunction

__all__ = [
    "AwaitableOrContextManager",
    "AwaitableOrContextManagerWrapper",
    "ParsedHost",
    "create_collapsing_task_group",
    "get_route_path",
    "is_async_callable",
    "parse_host_header",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
AwaitableCallable = Callable[..., Awaitable[T]]


@overload
def is_async_callable(obj: AwaitableCallable[T]) -> TypeIs[AwaitableCallable[T]]: ...


@overload
def is_async_callable(obj: Any) -> TypeIs[AwaitableCallable[Any]]: ...


def is_async_callable(obj: Any) -> Any:
    """Return True for coroutine functions, objects whose `__call__` is one, and partials of either at any depth."""
    target = obj
    while isinstance(target, functools.partial):
        target = target.func
    if iscoroutinefunction(target):
        return True
    return callable(target) and iscoroutinefunction(target.__call__)


def get_route_path(scope: Scope) -> str:
    """Return the part of `scope["path"]` below `scope["root_path"]`. Routes are matched against it.

    A root path that is not a prefix of whole segments leaves the path unchanged.
    """
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    if not root_path or not path.startswith(root_path):
        return path
    rest = path[len(root_path) :]
    return rest if rest[:1] in ("", "/") else path


class create_collapsing_task_group:
    """A task group that raises the error itself, rather than a group of one, if a single task failed."""

    __slots__ = ("_group",)

    def __init__(self) -> None:
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> anyio.abc.TaskGroup:
        return await self._group.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._group.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            [single] = group.exceptions
            # `from` preserves the error's own cause or context: the group must not appear in the traceback.
            cause = single.__cause__
            if cause is None and not single.__suppress_context__:
                cause = single.__context__
            raise single from cause


class SupportsAsyncClose(Protocol):
    """Any object with an async `close()`."""

    async def close(self) -> None: ...


SupportsAsyncCloseType = TypeVar("SupportsAsyncCloseType", bound=SupportsAsyncClose, covariant=False)


class AwaitableOrContextManager(Awaitable[T_co], AbstractAsyncContextManager[T_co], Protocol[T_co]):
    """The result of `request.form()`. Await it for the value, or enter it to have the value closed at the end."""


class AwaitableOrContextManagerWrapper(Generic[SupportsAsyncCloseType]):
    """Makes an awaitable of a closable value usable as an async context manager that closes the value."""

    __slots__ = ("aw", "entered")

    def __init__(self, aw: Awaitable[SupportsAsyncCloseType]) -> None:
        self.aw = aw

    def __await__(self) -> Generator[Any, None, SupportsAsyncCloseType]:
        return self.aw.__await__()

    async def __aenter__(self) -> SupportsAsyncCloseType:
        self.entered = entered = await self.aw
        return entered

    async def __aexit__(self, *args: object) -> bool | None:
        await self.entered.close()
        return None
