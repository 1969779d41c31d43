"""Fixtures and settings that every test sees: both event loops, a test client, and how long hypothesis searches."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.support.event_loop import no_blocking_calls

# Those tests have their own environment and settings: scripts/ecosystem.
collect_ignore = ["ecosystem"]

# "ci" gives every run the same examples; "default" explores a little further each time and prints how to repeat a
# failure; "thorough" is for the night: HYPOTHESIS_PROFILE=thorough.
_EXAMPLES = DirectoryBasedExampleDatabase(".cache/hypothesis")
_SLOW_STARTS = [HealthCheck.too_slow]
settings.register_profile("default", database=_EXAMPLES, deadline=None, max_examples=60, print_blob=True)
settings.register_profile(
    "ci", database=None, deadline=None, derandomize=True, max_examples=60, suppress_health_check=_SLOW_STARTS
)
settings.register_profile(
    "thorough", database=_EXAMPLES, deadline=None, max_examples=5000, suppress_health_check=_SLOW_STARTS
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session", autouse=True)
def guarded_event_loop() -> Iterator[None]:
    """No blocking call of Pallasite's on an event loop; once for all tests, since switching it takes a while."""
    with no_blocking_calls():
        yield


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop of an async test, each in turn (anyio's pytest plugin reads this fixture)."""
    return str(request.param)


@pytest.fixture
def test_client_factory(anyio_backend: str) -> Callable[..., Any]:
    """Makes test clients that run their application on the event loop under test: `test_client_factory(app, ...)`."""
    from pallasite.testclient import TestClient

    return functools.partial(TestClient, backend=cast(Any, anyio_backend))
