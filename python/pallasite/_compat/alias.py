"""Compatibility mode: `import starlette.routing` imports `pallasite.routing`, one module under two names.

A finder answers for every `starlette` name. Nothing is imported before the first `import starlette`: test runners must
be able to import some packages first, and a program that never imports Starlette pays nothing. Each module is executed
once, under Pallasite's name. Afterwards the module, its classes and its functions take Starlette's name, because
pickles, warning filters and tracers read it. Tracers also name spans by the `send` and `receive` that an application is
called with, so those take the qualified names of Starlette's functions. The packages themselves stay two modules, since
their versions differ.
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

# The release whose API this is. Packages read it as `starlette.__version__`.
STARLETTE_VERSION = "1.10.0"

_OURS = "pallasite"
_THEIRS = "starlette"

# Modules that Starlette has too. The others cannot be imported under its name: code that did would fail on Starlette.
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

_CALL_NEXT = "BaseHTTPMiddleware.__call__.<locals>.call_next.<locals>"
_HANDLE_REQUEST = "_TestClientTransport.handle_request.<locals>"

# The methods that applications are given as `send` or `receive` where Starlette passes a nested function: the module
# that names it, the class and the method (as that module imports them), and the qualified name of Starlette's function.
_CHANNELS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "middleware.base": (
        ("Downstream", "deliver", f"{_CALL_NEXT}.send_no_error"),
        ("TaskDownstream", "deliver", f"{_CALL_NEXT}.send_no_error"),
        ("Downstream", "receive", f"{_CALL_NEXT}.receive_or_disconnect"),
    ),
    "testclient": (
        ("Exchange", "send", f"{_HANDLE_REQUEST}.send"),
        ("Exchange", "receive", f"{_HANDLE_REQUEST}.receive"),
    ),
}
# The same for `Observer`. Most of them are created for `ServerErrorMiddleware`, and passed on by the other layers.
_OBSERVER = "ServerErrorMiddleware.__call__.<locals>._send"


def install_as_starlette(*, compile_fastapi: bool = False) -> None:
    """Make every import of `starlette` from now on import Pallasite's modules.

    FastAPI and other packages built on Starlette then run on Pallasite, whether or not Starlette is installed. Call it
    at the top of the program's first module. Further calls do nothing. The call itself imports nothing.

    With `compile_fastapi`, the routes of all FastAPI applications are compiled on the first request, as by
    `pallasite.fastapi.compile_routes`. Such a call counts before FastAPI's first router is made.

    Raises:
        RuntimeError: Starlette has already been imported, so some code already uses its classes.
    """
    if compile_fastapi:
        mode.compiles_fastapi = True
    if mode.current is mode.STARLETTE:
        return
    for name in list(sys.modules):
        if name == _THEIRS or name.startswith(_THEIRS + "."):
            raise RuntimeError(
                f"{name} is already imported, so Pallasite cannot replace it: call"
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
    """Finds `starlette` and its submodules, and Pallasite's shared modules, which are renamed once loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        package, _, rest = name.partition(".")
        if package == _THEIRS:
            found = self._others(f"{_OURS}.{rest}" if rest else _OURS, _search_path(rest))
            if found is None:
                return None
            if rest and rest not in _SHARED:
                # Raised, because the finders after this one would find it: the packages have the same folders.
                raise ModuleNotFoundError(f"No module named {name!r}: import {_OURS}.{rest}", name=name)
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
    """Loads `starlette`: a separate package with Starlette's version and Pallasite's folder."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = sys.modules[_OURS].__file__
        module.__dict__["__version__"] = STARLETTE_VERSION


class _Alias:
    """Loads `starlette.<name>`: imports `pallasite.<name>` and returns the same module."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(_OURS + spec.name.removeprefix(_THEIRS))
        # The import system is about to replace the module's spec with this alias's.
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec


class _Renaming:
    """Loads `pallasite.<name>` with its original loader, then gives it Starlette's name."""

    def __init__(self, name: str, loader: Any) -> None:
        self.name = name
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self.loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        # Source and data must come from the original loader.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _rename(self.name, module)


def _search_path(rest: str) -> Sequence[str] | None:
    """Return where to search for `pallasite.<rest>`, or None for the package itself, which is searched everywhere."""
    if not rest:
        return None
    parent = ".".join((_OURS, *rest.split(".")[:-1]))
    return list(getattr(sys.modules.get(parent), "__path__", ()))


def _rename(name: str, module: ModuleType) -> None:
    """Give the module, and the classes and functions that it defines, the name `starlette.<name>`."""
    ours, theirs = f"{_OURS}.{name}", f"{_THEIRS}.{name}"
    module.__name__ = theirs
    for value in list(vars(module).values()):
        if isinstance(value, type | FunctionType) and value.__module__ == ours:
            value.__module__ = theirs
            for member in list(vars(value).values()):
                if isinstance(member, FunctionType) and member.__module__ == ours:
                    member.__module__ = theirs
    for class_name, method, qualname in _CHANNELS.get(name, ()):
        channel = vars(vars(module)[class_name])[method]
        channel.__module__, channel.__qualname__ = theirs, qualname
        channel.__name__ = qualname.rpartition(".")[2]
    if name == "middleware.errors":
        observer = vars(module)["Observer"]
        observer.__module__, observer._qualname = theirs, _OBSERVER
    if name == "applications":
        application = module.__dict__["Starlette"]
        application.__name__ = application.__qualname__ = "Starlette"
    elif name == "routing" and "Router" in vars(module):
        from pallasite._compat.fastapi import router_app  # loaded only together with the routing module

        vars(module)["Router"]._inner_app = router_app
