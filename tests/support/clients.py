"""The type of the fixture `test_client_factory`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pallasite.testclient import TestClient

#: Takes the application and the options of `TestClient`, except for the event loop.
ClientFactory: TypeAlias = "Callable[..., TestClient]"
