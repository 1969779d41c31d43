"""A client of the application, and a clean record of what it does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pallasite.testing import AsyncTestClient
from tests.testing.apps import APP, STEPS


@pytest.fixture(autouse=True)
def no_steps() -> None:
    STEPS.clear()


@pytest.fixture
async def client() -> AsyncIterator[AsyncTestClient]:
    async with AsyncTestClient(APP) as client:
        yield client
