"""Imports go one way: a module may import only from layers below its own, so that no part needs the whole.

Public modules have their layer here. A private one (`_headers`) finds its place by what it imports. Imports under
`if TYPE_CHECKING:` and inside functions are left out: they order nothing at import time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "pallasite"

# From the bottom up. Modules of one row may import each other.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"_core"}),
    frozenset({"types", "status", "exceptions", "concurrency", "background"}),
    frozenset({"datastructures", "config"}),
    frozenset({"requests", "responses", "websockets", "formparsers", "authentication", "sse"}),
    frozenset({"convertors", "routing", "endpoints", "staticfiles", "schemas", "templating"}),
    frozenset({"middleware"}),
    frozenset({"applications"}),
    frozenset({"_exchange", "_loops", "testclient"}),
)
# The middleware package's own descriptors know nothing of the rest; routing uses them for per-route middleware.
LOW_MIDDLEWARE = {"middleware": 1, "middleware.body_limit": 3, "middleware.errors": 5, "middleware.exceptions": 5}


def module_names() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found.append(".".join(part for part in parts if part != "__init__"))
    return [name for name in found if name]


def module_path(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def layer_of(name: str, users: tuple[str, ...] = ()) -> int:
    if name in LOW_MIDDLEWARE:
        return LOW_MIDDLEWARE[name]
    top = name.partition(".")[0]
    for number, names in enumerate(LAYERS):
        if top in names:
            return number
    assert top.startswith("_"), f"give {name} its place in LAYERS"
    assert name not in users, f"imports go round in a circle: {' -> '.join((*users, name))}"
    return max((layer_of(target, (*users, name)) for target in imported(name)), default=0)


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement that runs at import, the branches of `if TYPE_CHECKING:` excepted."""
    pending = list(body)
    while pending:
        statement = pending.pop()
        yield statement
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            pending.extend(statement.orelse)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.ClassDef):
            for field in ("body", "orelse", "handlers", "finalbody"):
                for child in getattr(statement, field, []):
                    pending.extend(child.body if isinstance(child, ast.ExceptHandler) else [child])


def imported(name: str) -> set[str]:
    """The modules of this package that `name` imports when it is imported, written without the package's name."""
    found = set()
    for statement in statements(ast.parse(module_path(name).read_text(encoding="utf-8")).body):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            pytest.fail(f"{name} imports relatively; absolute imports keep the direction visible")
        if isinstance(statement, ast.ImportFrom) and statement.module == "pallasite":
            found.update(alias.name for alias in statement.names if alias.name != "__version__")
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
    _beneath _conditions _endpoint_apps _exception_handler _headers _json _multidict _origins _paths _ranges _route_list
    _url _utils applications convertors exceptions formparsers middleware.cors middleware.errors middleware.exceptions
    middleware.gzip middleware.sessions middleware.trustedhost requests responses routing websockets
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
