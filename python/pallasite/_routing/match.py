"""The verdict of a route on a request."""

from __future__ import annotations

from enum import Enum

__all__ = ["Match"]


class Match(Enum):
    """How well a route matches: not at all, by its path but not its method, or fully."""

    NONE = 0
    PARTIAL = 1
    FULL = 2
