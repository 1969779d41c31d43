"""Each test runs on Pallasite's `BaseHTTPMiddleware` and on Starlette's, with the application in each place."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware as StarlettesBase

from pallasite.middleware.base import BaseHTTPMiddleware
from tests.middleware.base.places import PLACES, Place


@pytest.fixture(params=[BaseHTTPMiddleware, StarlettesBase], ids=["pallasite", "starlette"])
def layer(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def on_asyncio(anyio_backend: str) -> None:
    if anyio_backend != "asyncio":
        pytest.skip("asyncio's own tools")


@pytest.fixture(params=PLACES, ids=lambda place: place.__name__)
def place(request: pytest.FixtureRequest) -> Place:
    chosen: Place = request.param
    return chosen


@pytest.fixture(params=PLACES[:-1], ids=lambda place: place.__name__)
def place_in_own_task(request: pytest.FixtureRequest) -> Place:
    """Without the child task, whose errors come in groups."""
    chosen: Place = request.param
    return chosen
