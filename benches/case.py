"""What is measured: one piece of application code, built once from each framework's modules."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from benches.exchange import Exchange, Reply

T = TypeVar("T")


class Framework:
    """The modules of `starlette` or `pallasite` under their common names: `web.responses.JSONResponse`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._resources = ExitStack()

    def __getattr__(self, module: str) -> Any:
        if module.startswith("_"):
            raise AttributeError(module)
        return self.module(module)

    def module(self, name: str) -> Any:
        return importlib.import_module(f"{self.name}.{name}")

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Open something that lives as long as the case is measured."""
        return self._resources.enter_context(context)

    def close(self) -> None:
        self._resources.close()


def has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@dataclass(frozen=True)
class Case:
    """`build` gives an ASGI application, or for a case without `request` a function to call."""

    name: str
    title: str
    group: str
    build: Callable[[Framework], Any]
    request: Exchange | Callable[[], Exchange] | None
    target: float | None
    """The largest share of Starlette's time that is good enough; None where none was set."""
    on_loop: bool
    """Run on asyncio; other cases never suspend, and are driven without an event loop."""
    same: Callable[[Reply], Reply]
    """Brings a reply to the form that has to be equal, where more than the order of headers may differ."""
    needs: tuple[str, ...]
    slow: bool
    apart: bool
    """Each side runs in a process of its own, where the framework goes by the name of `starlette`."""

    @property
    def missing(self) -> list[str]:
        """The modules which this case needs and Pallasite does not have."""
        return [module for module in self.needs if not has_module(f"pallasite.{module}")]

    def exchange(self) -> Exchange | None:
        return self.request() if callable(self.request) else self.request


CASES: dict[str, Case] = {}


def case(
    title: str,
    *,
    group: str,
    request: Exchange | Callable[[], Exchange] | None = None,
    target: float | None = None,
    on_loop: bool = False,
    same: Callable[[Reply], Reply] = Reply.joined,
    needs: tuple[str, ...] = ("applications",),
    slow: bool = False,
    apart: bool = False,
) -> Callable[[Callable[[Framework], Any]], Callable[[Framework], Any]]:
    """Register a builder under its own name; `slow` cases are left out of quick runs."""

    def register(build: Callable[[Framework], Any]) -> Callable[[Framework], Any]:
        name = build.__name__.replace("_", "-")
        if name in CASES:
            raise ValueError(f"two cases are called {name}")
        CASES[name] = Case(name, title, group, build, request, target, on_loop, same, needs, slow, apart)
        return build

    return register


@cache
def load_cases() -> dict[str, Case]:
    """All cases, in the order of `benches.cases`."""
    for name in importlib.import_module("benches.cases").ORDER:
        importlib.import_module(f"benches.cases.{name}")
    return CASES
