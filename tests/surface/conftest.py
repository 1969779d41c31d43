"""Each test runs twice, on Pallasite and on the installed Starlette, which proves its expectations."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(params=["pallasite", "starlette"])
def lib(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """A function that returns a module of the package under test by its name: ``lib("routing")``."""

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{request.param}.{name}")

    return module
