"""What docs/internals/layout.md claims of the code, as far as a program can check it."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from pallasite import exceptions
from tests.support.paths import PACKAGE, ROOT

LAYOUT = (ROOT / "docs" / "internals" / "layout.md").read_text(encoding="utf-8")
FOLDERS = sorted(path.parent for path in PACKAGE.glob("_*/__init__.py"))


def load(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a deprecated module says so when it is imported
        return importlib.import_module(name)


def names() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if "as_starlette" not in parts and parts[-1] != "__main__":
            found.append(".".join(("pallasite", *(part for part in parts if part != "__init__"))))
    return found


PUBLIC = [name for name in names() if "._" not in name]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_module_lists_its_names(name: str) -> None:
    module = load(name)
    assert [entry for entry in module.__all__ if not hasattr(module, entry)] == []
    own = {
        entry
        for entry, value in vars(module).items()
        if not entry.startswith("_") and inspect.isclass(value) and value.__module__ == name
    }
    assert own <= set(module.__all__)


def test_public_names_are_defined_in_public_modules() -> None:
    hidden = []
    for name in PUBLIC:
        module = load(name)
        for entry in module.__all__:
            value = getattr(module, entry)
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("pallasite._"):
                hidden.append(f"{name}.{entry} says {value.__module__}")
    assert hidden == ["pallasite.install_as_starlette says pallasite._compat.alias"]


def test_exception_tree_is_complete() -> None:
    drawn = str(exceptions.__doc__)
    missing = set()
    for name in PUBLIC:
        for entry, value in vars(load(name)).items():
            is_ours = inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == name
            if is_ours and not entry.startswith("_") and not re.search(rf"\b{entry}\b", drawn):
                missing.add(f"{name}.{entry}")
    assert missing == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folder_says_what_belongs_there(folder: Path) -> None:
    package = importlib.import_module(f"pallasite.{folder.name}")
    assert str(package.__doc__).count("\n") == 0
    assert f"{folder.name}/" in LAYOUT
    for path in folder.glob("*.py"):
        if path.name != "__init__.py":
            assert re.search(rf"\b{path.stem}\b", LAYOUT), f"{folder.name}/{path.name} is not in layout.md"


def test_page_lists_every_folder_of_tests() -> None:
    folders = [
        path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith(("_", "."))
    ]
    assert [name for name in folders if f"{name}/" not in LAYOUT] == []
