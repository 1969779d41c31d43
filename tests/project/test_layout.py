"""The claims of docs/internals/layout.md and deviations.md about the code that a program can check."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import re
import tokenize
import warnings
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from pallasite import exceptions
from pallasite._compat import mode
from tests.support.paths import ONLY_AS_STARLETTE, PACKAGE, ROOT

LAYOUT = (ROOT / "docs" / "internals" / "layout.md").read_text(encoding="utf-8")
FOLDERS = sorted(path.parent for path in PACKAGE.glob("_*/__init__.py"))


def load(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated modules warn when they are imported
        return importlib.import_module(name)


def names() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if "as_starlette" not in parts and parts[-1] != "__main__":
            found.append(".".join(("pallasite", *(part for part in parts if part != "__init__"))))
    return found


PUBLIC = [name for name in names() if "._" not in name and name not in ONLY_AS_STARLETTE]


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
                hidden.append(f"{name}.{entry} is of {value.__module__}")
    assert hidden == ["pallasite.install_as_starlette is of pallasite._compat.alias"]


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
def test_folder_describes_what_belongs_there(folder: Path) -> None:
    package = importlib.import_module(f"pallasite.{folder.name}")
    assert str(package.__doc__).count("\n") == 0
    assert f"{folder.name}/" in LAYOUT
    for path in folder.glob("*.py"):
        if path.name != "__init__.py":
            assert re.search(rf"\b{path.stem}\b", LAYOUT), f"{folder.name}/{path.name} is not in layout.md"


def test_page_lists_the_folders_of_tests() -> None:
    listing = re.search(r"^tests/ .*?(?=^\S)", LAYOUT, re.MULTILINE | re.DOTALL)
    assert listing is not None
    listed = set(re.findall(r"(?<![\w/])\w+/", listing[0])) - {"tests/", "python/"}
    folders = {f"{path.name}/" for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert listed == folders


def test_page_counts_its_look_ups() -> None:
    scores = [int(score) for score in re.findall(r"\| (\d) \|$", LAYOUT, re.MULTILINE)]
    assert f"{sum(scores)} of {2 * len(scores)}." in LAYOUT


def test_page_names_what_its_look_ups_find() -> None:
    rows = re.findall(r"^\| [^|]+\? \| (.+) \| \d \|$", LAYOUT, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w./]+)`", row)}
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / "rust" / "core" / "src").rglob("*.rs")]
    known = {path.stem for path in sources}.union(*(re.findall(r"\w+", path.read_text("utf-8")) for path in sources))
    assert len(rows) == 15
    assert {"_http/headers", "not_found", "cookie"} <= named
    assert {name for name in named if re.split(r"[./]", name)[-1] not in known} == set()


def words_of(source: str) -> tuple[set[str], set[str]]:
    """Return the names in the code of a module, and the private names that its docstrings and comments quote."""
    used, quoted = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            used.add(token.string)
        elif token.type in (tokenize.COMMENT, tokenize.STRING):
            quoted.update(re.findall(r"`(_[A-Za-z]\w*)(?:\(\))?`", token.string))
    return used, quoted


def test_private_names_in_docstrings_exist() -> None:
    words = {
        path: words_of(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py*") if path.suffix != ".pyc"
    }
    used = set().union(*(names for names, _ in words.values())) | {path.stem for path in words}
    unknown = {str(path.relative_to(PACKAGE)): quoted - used for path, (_, quoted) in words.items() if quoted - used}
    assert unknown == {}


def test_private_name_that_is_gone_is_found() -> None:
    assert words_of('"""See `_gone` and `_there()`."""\n_there = 1  # not `_this`\n') == (
        {"_there"},
        {"_gone", "_there", "_this"},
    )


def test_lint_exceptions_have_a_reason() -> None:
    without = []
    for path in PACKAGE.rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(r"# noqa(?!: [A-Z0-9, ]+(?: - |  # | \()\S)", line):
                without.append(f"{path.relative_to(ROOT)}:{number}")
    for path in (ROOT / "rust").glob("*/src/**/*.rs"):
        exceptions_there = re.findall(r"#!?\[(?:expect|allow)\((.*?)\)\]", path.read_text(encoding="utf-8"), re.DOTALL)
        without += [f"{path.relative_to(ROOT)}: {lint}" for lint in exceptions_there if "reason = " not in lint]
    assert without == []


DEVIATIONS = (ROOT / "docs" / "internals" / "deviations.md").read_text(encoding="utf-8")


def marks() -> Counter[str]:
    """Return how many `Deviation:` marks each function, class and Rust file has, by qualified name or path."""
    found: Counter[str] = Counter()
    for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]:
        text = path.read_text(encoding="utf-8")
        places = [match.start() for match in re.finditer(r"\bDeviation: ", text)]
        tree = ast.parse(text) if places else ast.Module([], [])
        for place in places:
            line = text.count("\n", 0, place) + 1
            parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
            for node in ast.walk(tree):  # outer definitions first
                if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    continue
                if node.lineno <= line <= (node.end_lineno or 0):
                    parts.append(node.name)
            found[".".join(parts)] += 1
    for path in (ROOT / "rust").glob("*/src/**/*.rs"):
        if count := len(re.findall(r"\bDeviation: ", path.read_text(encoding="utf-8"))):
            found[path.relative_to(ROOT).as_posix()] += count
    return found


def test_page_lists_each_deviation_that_is_marked_in_the_code() -> None:
    assert marks() == Counter(re.findall(r"^\| `([\w./]+[./]\w+)` \|", DEVIATIONS, re.MULTILINE))


def test_page_of_deviations_names_each_difference_of_compatibility_mode() -> None:
    missing = [name for name in mode.Mode._fields if f"`{name}`" not in DEVIATIONS]
    assert missing == []
