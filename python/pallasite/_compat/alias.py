"""Standing in for Starlette: `import starlette.routing` gives `pallasite.routing`, one module under two names.

A finder answers for every `starlette` name. Nothing is imported before the first `import starlette` asks for it: test
runners want to see some packages before anyone else does, and a program that never asks pays nothing. Each module is
executed once, under Pallasite's name; afterwards it and what it defines take Starlette's, which is what pickles,
warning filters and tracers read. The package itself stays two modules, because the two have different versions.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from pallasite._compat import mode

if TYPE_CHECKING:
    from collections.abc import Sequence

# The release whose API this is; what packages that look at `starlette.__version__` read.
STARLETTE_VERSION = "1.10.0"

_OURS = "pallasite"
_THEIRS = "starlette"

# Modules that Starlette has too. The others can be imported by both names as well, but keep their own.
_SHARED = frozenset(
    (
        "_exception_handler",
        "_utils",
        "applications",
        "authentication",
        "background",
        "concurrency",
        "config",
        "convertors",
        "datastructures",
        "endpoints",
        "exceptions",
        "formparsers",
        "middleware",
        "middleware.authentication",
        "middleware.base",
        "middleware.body_limit",
        "middleware.cors",
        "middleware.errors",
        "middleware.exceptions",
        "middleware.gzip",
        "middleware.httpsredirect",
        "middleware.opentelemetry",
        "middleware.sessions",
        "middleware.trustedhost",
        "middleware.wsgi",
        "requests",
        "responses",
        "routing",
        "schemas",
        "staticfiles",
        "status",
        "templating",
        "testclient",
        "types",
        "websockets",
    )
)


def install_as_starlette() -> None:
    """Puts Pallasite's modules in Starlette's place for every import of `starlette` from now on.

    FastAPI and other packages built on Starlette then run on Pallasite, whether or not Starlette is installed. Call it
    at the top of the program's first module; further calls do nothing. Nothing is imported by the call itself.

    Raises:
        RuntimeError: Starlette has been imported before, so that some code already holds its classes.
    """
    if mode.current is mode.STARLETTE:
        return
    for name in list(sys.modules):
        if name == _THEIRS or name.startswith(_THEIRS + "."):
            raise RuntimeError(
                f"{name} is imported already, so Pallasite cannot stand in for it: call"
                " pallasite.install_as_starlette() before the first import of starlette, fastapi or any package built"
                " on them, or start the program with `python -m pallasite as-starlette <command>`"
            )
    sys.meta_path.insert(0, _Finder())
    mode.current = mode.STARLETTE
    for name in sorted(_SHARED):
        module = sys.modules.get(f"{_OURS}.{name}")
        if module is not None:
            _rename(name, module)


class _Finder:
    """Finds `starlette` and all below it, and Pallasite's shared modules, which are renamed once they are loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        package, _, rest = name.partition(".")
        if package == _THEIRS:
            found = self._others(f"{_OURS}.{rest}" if rest else _OURS, _search_path(rest))
            if found is None:
                return None
            loader: Any = _Alias() if rest else _Package()
            spec = ModuleSpec(name, loader, origin=found.origin)
            spec.submodule_search_locations = found.submodule_search_locations
            return spec
        if package == _OURS and rest in _SHARED:
            found = self._others(name, path)
            if found is not None and found.loader is not None:
                found.loader = _Renaming(rest, found.loader)  # type: ignore[assignment]  # not derived from the ABC
            return found
        return None

    def _others(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find is not None:
                spec: ModuleSpec | None = find(name, path, None)
                if spec is not None:
                    return spec
        return None


class _Package:
    """Loads `starlette`: a package of its own, with Starlette's version and Pallasite's folder."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = sys.modules[_OURS].__file__
        module.__dict__["__version__"] = STARLETTE_VERSION


class _Alias:
    """Loads `starlette.<name>`: imports `pallasite.<name>` and hands out the same module."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(_OURS + spec.name.removeprefix(_THEIRS))
        # The import system is about to write this alias's spec into a module that has one.
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec


class _Renaming:
    """Loads `pallasite.<name>` as its own loader would, then gives it Starlette's name."""

    def __init__(self, name: str, loader: Any) -> None:
        self.name = name
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self.loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        # Whoever asks the module for its source or its data gets the loader that knows.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _rename(self.name, module)


def _search_path(rest: str) -> Sequence[str] | None:
    """Where `pallasite.<rest>` is looked for; None for the package itself, which is looked for everywhere."""
    if not rest:
        return None
    parent = ".".join((_OURS, *rest.split(".")[:-1]))
    return list(getattr(sys.modules.get(parent), "__path__", ()))


def _rename(name: str, module: ModuleType) -> None:
    """Gives the module, and the classes and functions that it defines, the name `starlette.<name>`."""
    ours, theirs = f"{_OURS}.{name}", f"{_THEIRS}.{name}"
    module.__name__ = theirs
    for value in list(vars(module).values()):
        if isinstance(value, type | FunctionType) and value.__module__ == ours:
            value.__module__ = theirs
    if name == "applications":
        application = module.__dict__["Starlette"]
        application.__name__ = application.__qualname__ = "Starlette"
    elif name == "routing" and "Router" in vars(module):
        from pallasite._compat.fastapi import router_app  # loaded only with the routes it serves

        vars(module)["Router"]._inner_app = router_app
