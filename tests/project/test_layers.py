"""Imports go one way: a module may import only from its own rank and those below, so that no part needs the whole.

Imports inside functions count too: a circle hidden in a function is still a circle. Imports under `if TYPE_CHECKING:`
do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import PACKAGE

# From the bottom up: what may be imported by all that stands in a later row, and within its own row. A folder has the
# rank of its row unless one of its modules is listed by itself. Imports inside functions count as well.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("_core",),
    (
        "types",
        "status",
        "exceptions",
        "middleware",
        "_compat.mode",
        "_compat.public",
        "_compat.stock",
        "_compat",
        "_http.close_frame",
        "_http.phrases",
        "_http.text",
    ),
    ("_compat.warn", "_http", "_files", "_utils", "_runtime"),
    ("concurrency", "background", "_runtime.calls"),
    ("datastructures", "config"),
    (
        "_exception_handler",
        "_files.spool",
        "requests",
        "_responses",
        "responses",
        "websockets",
        "formparsers",
        "authentication",
    ),
    ("middleware.body_limit", "sse", "negotiation"),
    ("problems",),
    ("health", "shutdown"),
    ("convertors", "_routing"),
    ("routing",),
    ("endpoints", "staticfiles", "schemas", "templating"),
    ("_observability", "_observability.*"),
    ("middleware.*",),
    ("applications",),
    ("_testing", "testclient"),
    ("testing",),
    ("_compat.fastapi_loop", "_compat.fastapi_index", "_fastapi"),
    ("fastapi",),
    ("_compat.fastapi", "_compat.alias", "_compat.as_starlette", "__main__"),
)


def module_names() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found.append(".".join(part for part in parts if part != "__init__"))
    return [name for name in found if name]


def module_path(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def layer_of(name: str) -> int:
    """The row of the most specific entry for a module."""
    ranks = {entry: number for number, row in enumerate(LAYERS) for entry in row}
    package, _, _ = name.partition(".")
    for entry in (name, f"{package}.*" if "." in name else name, package):
        if entry in ranks:
            return ranks[entry]
    raise AssertionError(f"give {name} its rank in LAYERS")


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement that runs at import, and the imports inside functions; not those under `if TYPE_CHECKING:`."""
    pending = list(body)
    while pending:
        statement = pending.pop()
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            pending.extend(node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom))
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            pending.extend(statement.orelse)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.ClassDef):
            for field in ("body", "orelse", "handlers", "finalbody"):
                for child in getattr(statement, field, []):
                    pending.extend(child.body if isinstance(child, ast.ExceptHandler) else [child])


def imported(name: str) -> set[str]:
    """The modules of this package that `name` imports when it is imported, written without the package's name."""
    found: set[Any] = set()
    for statement in statements(ast.parse(module_path(name).read_text(encoding="utf-8")).body):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            pytest.fail(f"{name} imports relatively; absolute imports keep the direction visible")
        if isinstance(statement, ast.ImportFrom) and statement.module == "pallasite":
            found.update(
                alias.name for alias in statement.names if alias.name not in ("__version__", "install_as_starlette")
            )
        elif isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("pallasite."):
            found.add(str(statement.module).partition(".")[2])
        elif isinstance(statement, ast.Import):
            found.update(
                alias.name.partition(".")[2] for alias in statement.names if alias.name.startswith("pallasite.")
            )
    return found


@pytest.mark.parametrize("name", module_names())
def test_import_points_downwards(name: str) -> None:
    own = layer_of(name)
    upward = sorted(target for target in imported(name) if layer_of(target) > own)
    assert upward == []


# Who knows that there is a native half; everyone else goes through these. A new name here is a decision.
CORE_USERS = frozenset(
    """
    _compat.fastapi _compat.fastapi_index _exception_handler _fastapi.handler _fastapi.known _files.lookup
    _http.conditional _http.headers _http.host _http.json _http.multidict _http.origin
    _http.ranges _http.url _responses.base _routing.endpoint_apps _routing.paths _routing.route_list applications
    convertors exceptions formparsers middleware.cors middleware.cross_origin middleware.errors middleware.exceptions
    _observability.access_log _observability.counters middleware.forwarded middleware.gzip middleware.observability
    middleware.opentelemetry middleware.sessions middleware.trustedhost negotiation requests routing websockets
    """.split()
)


def test_core_is_imported_by_the_modules_that_may() -> None:
    users = {name for name in module_names() if "_core" in imported(name)}
    assert users <= CORE_USERS


def test_direction_check_sees_imports_of_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "status.py").write_text(
        "import pallasite.routing\n"
        "from pallasite import applications\n"
        "try:\n    from pallasite.testclient import TestClient\n"
        "except ImportError:\n    from pallasite import responses\n"
        "if TYPE_CHECKING:\n    from pallasite import requests\n"
    )
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert imported("status") == {"routing", "applications", "testclient", "responses"}
