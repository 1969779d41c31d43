"""`Middleware`: the description of a middleware, made before the application that it will wrap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ParamSpec, Protocol

__all__ = ["Middleware"]

P = ParamSpec("P")

# Looser than `pallasite.types.ASGIApp` on purpose: middleware typed against asgiref's TypedDict scopes fits too.
_Channel = Callable[..., Awaitable[Any]]
_AnyASGIApp = Callable[[Any, _Channel, _Channel], Awaitable[None]]


class _MiddlewareFactory(Protocol[P]):
    """A middleware: a class, or any callable that takes an application and returns one."""

    def __call__(self, app: _AnyASGIApp, /, *args: P.args, **kwargs: P.kwargs) -> _AnyASGIApp: ...  # pragma: no cover


class Middleware:
    """A middleware class and the arguments to create it with.

    Unpacks into three: `cls, args, kwargs = Middleware(GZipMiddleware, minimum_size=500)`. The application calls
    `cls(app, *args, **kwargs)` when it builds its stack, so one description can serve several applications.
    """

    def __init__(self, cls: _MiddlewareFactory[P], *args: P.args, **kwargs: P.kwargs) -> None:
        self.cls, self.args, self.kwargs = cls, args, kwargs

    def __iter__(self) -> Iterator[Any]:
        yield self.cls
        yield self.args
        yield self.kwargs

    def __repr__(self) -> str:
        parts = [getattr(self.cls, "__name__", "")]
        parts += map(repr, self.args)
        parts += (f"{name}={value!r}" for name, value in self.kwargs.items())
        return f"{type(self).__name__}({', '.join(parts)})"
