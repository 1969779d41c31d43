"""The package as a whole: one version everywhere, type information shipped, public names that exist."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
import warnings

import pytest

import pallasite
from pallasite import _core
from tests.support.paths import ONLY_AS_STARLETTE, PACKAGE, ROOT

MODULES = sorted({info.name for info in pkgutil.walk_packages([str(PACKAGE)], "pallasite.")} - ONLY_AS_STARLETTE)


def test_version_is_the_same_in_cargo_package_and_core() -> None:
    with (ROOT / "Cargo.toml").open("rb") as file:
        version = tomllib.load(file)["workspace"]["package"]["version"]
    assert pallasite.__version__ == version
    assert _core.__version__ == version


def test_version_has_a_changelog_that_can_hold_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[:1] == ["Unreleased"]
    assert len(headings) == len(set(headings))


def test_type_marker_and_stubs_are_next_to_the_modules() -> None:
    assert (PACKAGE / "py.typed").read_bytes() == b""
    assert (PACKAGE / "_core.pyi").is_file()


def test_modules_found_include_the_middleware_package() -> None:
    assert "pallasite.middleware" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_unique_names_that_exist(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated modules warn when they are imported
        module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        return
    assert len(listed) == len(set(listed))
    assert [missing for missing in listed if not hasattr(module, missing)] == []


def test_requirements_are_pinned_exactly() -> None:
    lines = [
        line.partition("#")[0].strip()
        for path in sorted((ROOT / "requirements").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    pins = [line for line in lines if line and not line.startswith("-r ")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[A-Za-z0-9.]+", pin)] == []


def direct_requirements() -> set[str]:
    with (ROOT / "Cargo.toml").open("rb") as file:
        crates = set(tomllib.load(file)["workspace"]["dependencies"])
    for name in ("demo", "test", "bench"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        crates |= {line.partition("==")[0].partition("[")[0] for line in lines if "==" in line}
    return crates


def test_every_direct_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "internals" / "dependencies.md").read_text(encoding="utf-8")
    named = {name for row in re.findall(r"^\|(.+)\|$", page, re.MULTILINE) for name in re.findall(r"[\w-]+", row)}
    assert {"anyio", "pyo3"} <= direct_requirements()
    assert direct_requirements() - named == set()


def test_runtime_dependency_is_anyio_alone() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert [re.match(r"[a-z0-9-]+", item)[0] for item in project["dependencies"]] == ["anyio"]  # type: ignore[index]
    assert set(project["optional-dependencies"]) == {"full", "serve"}


def test_package_tried_is_pinned_tested_and_documented() -> None:
    page = (ROOT / "docs" / "internals" / "compatibility.md").read_text(encoding="utf-8")
    table = page.partition("## Packages tried")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| ([a-z0-9-]+) \| (\d[\w.]*) \|", table, re.MULTILINE))
    tested = {
        file.stem.removeprefix("test_").replace("_", "-") for file in (ROOT / "tests/ecosystem").glob("test_*.py")
    }
    pins = (ROOT / "requirements" / "ecosystem.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)$", pins, re.MULTILINE))
    assert told.keys() == tested
    assert told == {package: pinned.get(package) for package in told}
    assert len(told) >= 15
