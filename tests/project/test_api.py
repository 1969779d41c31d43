"""The public API against the installed reference: each name, each method, and every call that is accepted there.

Only the modules listed here may be absent.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from pathlib import Path
from types import ModuleType

import pytest
import starlette

import pallasite

STILL_TO_COME: set[str] = set()


def submodules(package: ModuleType) -> set[str]:
    root = Path(str(package.__file__)).parent
    names = {".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.py")}
    return {name.removesuffix(".__init__") for name in names if name != "__init__"}


REFERENCE = sorted(name for name in submodules(starlette) if not name.startswith("_"))
ARRIVED = submodules(pallasite)


def load(package: str, name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"{package}.{name}")


def public_names(module: ModuleType) -> list[str]:
    """Return the names that the module itself defines, and its constants, but not the names that it imports."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and (getattr(value, "__module__", None) == module.__name__ or name.isupper())
    ]


def refused_calls(ours: object, theirs: object) -> list[str]:
    """Parameters of `theirs` that a call could name or place and that `ours` does not take the same way."""
    try:
        accepted, expected = inspect.signature(ours).parameters, inspect.signature(theirs).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    kinds = {parameter.kind for parameter in accepted.values()}
    refused = []
    for position, (name, parameter) in enumerate(expected.items()):
        mine = accepted.get(name)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.kind not in kinds:
                refused.append(f"*{name}")
        elif mine is None:
            if not kinds & {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
                refused.append(name)
        elif parameter.default is not parameter.empty and mine.default is mine.empty:
            refused.append(f"{name} has no default")
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and list(accepted).index(name) != position:
            refused.append(f"{name} is in another place")
    return refused


@pytest.mark.parametrize("name", [name for name in REFERENCE if name in ARRIVED])
def test_module_has_every_name_and_takes_every_call(name: str) -> None:
    theirs, ours = load("starlette", name), load("pallasite", name)
    problems = []
    for public in public_names(theirs):
        if not hasattr(ours, public):
            problems.append(f"{public} is missing")
            continue
        original, own = getattr(theirs, public), getattr(ours, public)
        if callable(original):
            problems += [f"{public}(): {refusal}" for refusal in refused_calls(own, original)]
        if not isinstance(original, type):
            continue
        for member, value in vars(original).items():
            if member.startswith("_"):
                continue
            if not hasattr(own, member):
                if member not in getattr(own, "__annotations__", {}):
                    problems.append(f"{public}.{member} is missing")
            elif inspect.isfunction(value):
                problems += [
                    f"{public}.{member}(): {refusal}" for refusal in refused_calls(getattr(own, member), value)
                ]
    assert problems == []


def test_modules_absent_are_those_still_to_come() -> None:
    assert sorted(set(REFERENCE) - ARRIVED - STILL_TO_COME) == []


def test_comparison_reports_a_parameter_that_is_not_taken() -> None:
    def theirs(path: str, *, status: int = 200) -> None: ...

    def ours(path: str) -> None: ...

    assert refused_calls(ours, theirs) == ["status"]
    assert refused_calls(theirs, theirs) == []
