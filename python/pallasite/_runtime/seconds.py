"""Settings that are a number of seconds."""

from __future__ import annotations

__all__ = ["check_seconds"]


def check_seconds(name: str, seconds: float | None) -> float | None:
    """Return a limit in seconds. None means that there is none.

    Raises:
        ValueError: it is not a positive number.
    """
    if seconds is None or (isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0):
        return seconds
    raise ValueError(f"{name} must be a positive number of seconds or None, not {seconds!r}")
