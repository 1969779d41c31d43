"""Each test runs twice, on Pallasite and on the installed Starlette: what it expects is then proven, not believed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(params=["pallasite", "starlette"])
def lib(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """Gives a module of the package under test by the name that both have: ``lib("routing")``."""

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{request.param}.{name}")

    return module
