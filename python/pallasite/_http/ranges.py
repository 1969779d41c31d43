"""The Range header. Source: RFC 9110 section 14."""

from __future__ import annotations

from pallasite import _core

__all__ = ["MalformedRangeHeader", "RangeNotSatisfiable", "parse_ranges"]


class MalformedRangeHeader(Exception):
    """A Range header that cannot be parsed. It is answered with 400 and `content` as the body."""

    def __init__(self, content: str = "Malformed range header.") -> None:
        self.content = content


class RangeNotSatisfiable(Exception):
    """A range that starts past the end of the file, answered with 416 and `max_size`, the file's size in bytes."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size


def parse_ranges(header: str, file_size: int, max_ranges: int) -> list[tuple[int, int]]:
    """Return the ranges of a Range header, as `_core.parse_ranges` does.

    Raises:
        MalformedRangeHeader: the unit is not bytes, there are no ranges, or a range ends before it starts.
        RangeNotSatisfiable: a range starts at or past `file_size`.
    """
    try:
        ranges = _core.parse_ranges(header, file_size, max_ranges)
    except ValueError as error:
        raise MalformedRangeHeader(str(error)) from None
    if ranges is None:
        raise RangeNotSatisfiable(file_size)
    return ranges
