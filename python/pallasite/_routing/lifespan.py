"""Run lifespans: the application's, and inside it those of mounted applications. Also converts the older forms.

The outer lifespan starts first, then the mounted ones in the order of their routes. They end in reverse order, each
normally even if another one fails. All run in the task of the server's lifespan call.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from pallasite._compat import mode
from pallasite._compat.warn import warn
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.types import ASGIApp, Lifespan, Receive, Scope, Send

if TYPE_CHECKING:
    from pallasite.routing import Host, Mount

_logger = logging.getLogger("pallasite.lifespan")

# Limit on the nested middleware that is searched for a mounted application.
_MAX_LAYERS = 100


class _Mounted(NamedTuple):
    """A mounted application that has a lifespan."""

    route: Mount | Host
    path: str
    app: Any  # the argument of its lifespan
    router: Any
    runs: bool  # as set by `mounted_lifespans` of the applications around it


class Lifespans:
    """Runs the lifespan of `router` and those mounted in it inside ``async with``, and fills the state of `scope`."""

    def __init__(self, router: Any, scope: Scope) -> None:
        self._router = router
        self._scope = scope
        self._begun: list[AbstractAsyncContextManager[Any]] = []
        self._with_state: list[tuple[Mount | Host, _WithState]] = []

    async def __aenter__(self) -> None:
        try:
            await self._begin_all()
        except BaseException as error:
            await self._end_all(error)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end_all(error)

    async def _begin_all(self) -> None:
        app = self._scope.get("app")
        lifespan = self._router.lifespan_context
        # Some applications run the lifespan of a mounted one in their own. It must not run twice.
        notes = {id(mounted.router): _Note(mounted.router) for mounted in _mounted_in(self._router, app)}
        try:
            state = await self._begin(lifespan(app))
            if state is not None:
                if "state" not in self._scope:
                    raise RuntimeError('The server does not support "state" in the lifespan scope.')
                self._scope["state"].update(state)
            states: dict[int, Mapping[str, Any] | None] = {}
            for mounted in _mounted_in(self._router, app):
                key = id(mounted.router)
                if key not in states:
                    states[key] = await self._begin_mounted(mounted, notes.get(key), lifespan)
                self._give_state(mounted.route, states[key])
        finally:
            for note in notes.values():
                note.take_off()

    async def _begin_mounted(self, mounted: _Mounted, note: _Note | None, outer: Any) -> Mapping[str, Any] | None:
        lifespan = mounted.router.lifespan_context if note is None else note.lifespan
        if lifespan == outer or (note is not None and note.has_begun):
            return None
        if not mounted.runs:
            _logger.warning(
                "The lifespan of the application mounted at %s is not run: mounted_lifespans is off", mounted.path
            )
            return None
        try:
            return await self._begin(lifespan(mounted.app))
        except Exception as error:
            error.add_note(
                f"In the lifespan of the application mounted at {mounted.path}, which runs inside the lifespan of the"
                " outer application. If that one already does the same work, set mounted_lifespans=False there."
            )
            raise

    async def _begin(self, manager: AbstractAsyncContextManager[Any]) -> Mapping[str, Any] | None:
        state: Mapping[str, Any] | None = await manager.__aenter__()
        self._begun.append(manager)
        return state

    def _give_state(self, route: Mount | Host, state: Mapping[str, Any] | None) -> None:
        if state:
            route.app = layer = _WithState(route.app, dict(state))
            self._with_state.append((route, layer))

    async def _end_all(self, error: BaseException | None) -> None:
        """End the lifespans that have started. They see `error` only if it ends the whole task, like cancellation."""
        for route, layer in self._with_state:
            if route.app is layer:
                route.app = layer.app
        told: tuple[Any, Any, Any] = (None, None, None)
        if error is not None and not isinstance(error, Exception):
            told = (type(error), error, error.__traceback__)
        failures = []
        while self._begun:
            try:
                await self._begun.pop().__aexit__(*told)
            except BaseException as failure:
                failures.append(failure)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BaseExceptionGroup("several lifespans failed", failures)


class _Note:
    """Replaces a router's lifespan temporarily, to record whether other code starts it."""

    def __init__(self, router: Any) -> None:
        self.lifespan = router.lifespan_context
        self.has_begun = False
        self._router = router
        router.lifespan_context = self

    def __call__(self, app: Any) -> Any:
        self.has_begun = True
        return self.lifespan(app)

    def take_off(self) -> None:
        if self._router.lifespan_context is self:
            self._router.lifespan_context = self.lifespan


class _WithState:
    """A mounted application whose requests see the state of its lifespan, over that of the applications around it.

    It replaces the application while the lifespan runs, so that only applications with state pay for it.
    """

    def __init__(self, app: ASGIApp, state: Mapping[str, Any]) -> None:
        self.app = app
        self._own = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)  # code that walks the routes finds the application's attributes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # One dictionary for everything that shares this scope: outer middleware reads what endpoints add.
        state = scope.setdefault("state", {})
        outer = {name: state[name] for name in self._own if name in state}
        state.update(self._own)
        try:
            await self.app(scope, receive, send)
        finally:
            state.update({name: value for name, value in outer.items() if state.get(name) is self._own[name]})


def _mounted_in(router: Any, app: Any) -> Iterator[_Mounted]:
    """Yield the mounted applications that have a lifespan, outer ones first. One mounted twice is yielded twice."""
    runs = getattr(app, "mounted_lifespans", None)
    yield from _walk(router, app, "", mode.current.runs_mounted_lifespans if runs is None else runs, {id(router)})


def _walk(router: Any, app: Any, path: str, runs: bool, around: set[int]) -> Iterator[_Mounted]:
    for route in list(router.routes):
        mounted = getattr(route, "_mounted", None)
        if mounted is None:
            continue
        mounted_app, place = mounted(path)
        held = _holder(mounted_app)
        if held is None or id(held[1]) in around:
            continue
        inner, inner_router = held
        if inner is inner_router:
            inner = app  # a bare router belongs to the application around it
        if not _is_empty(inner_router):
            yield _Mounted(route, place or "/", inner, inner_router, runs)
        says = getattr(inner, "mounted_lifespans", None)
        yield from _walk(inner_router, inner, place, runs if says is None else says, around | {id(inner_router)})


def _holder(app: Any) -> tuple[Any, Any] | None:
    """Return (application, router) for the lifespan of a mounted application, searched through its middleware."""
    for _ in range(_MAX_LAYERS):
        router = getattr(app, "router", app)
        if callable(getattr(router, "lifespan_context", None)):
            return app, router
        app = getattr(app, "app", None)
    return None


def _is_empty(router: Any) -> bool:
    lifespan = router.lifespan_context
    if isinstance(lifespan, NoLifespan):
        return True
    # The default of Starlette's and FastAPI's routers. FastAPI's runs these handlers.
    is_default = type(lifespan).__name__ == "_DefaultLifespan"
    return is_default and not (getattr(router, "on_startup", None) or getattr(router, "on_shutdown", None))


class _InThisTask(AbstractAsyncContextManager[Any]):
    """A sync context manager that is entered with ``async with``."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, frames: TracebackType | None
    ) -> bool | None:
        return self._manager.__exit__(kind, value, frames)


def _from_generator(lifespan: Callable[[Any], Generator[Any, Any, Any]]) -> Lifespan[Any]:
    manager = contextlib.contextmanager(lifespan)

    @functools.wraps(manager)
    def entered(app: Any) -> AbstractAsyncContextManager[Any]:
        return _InThisTask(manager(app))

    return entered


def as_lifespan(lifespan: Any) -> Lifespan[Any]:
    """Return `lifespan`, converted with a deprecation warning if it is a generator function."""
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
    """The lifespan of an application without one."""

    def __call__(self, app: object) -> NoLifespan:
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *exc_info: object) -> None:
        return None
