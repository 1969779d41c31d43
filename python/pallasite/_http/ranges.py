"""The Range header. Source: RFC 9110 section 14."""

from __future__ import annotations

from pallasite import _core
from pallasite._compat import mode

__all__ = ["MalformedRangeHeader", "RangeNotSatisfiable", "parse_ranges"]


class MalformedRangeHeader(Exception):
    """A Range header that cannot be parsed. In compatibility mode it is answered with 400 and `content` as the body."""

    def __init__(self, content: str = "Malformed range header.") -> None:
        self.content = content


class RangeNotSatisfiable(Exception):
    """A range that starts past the end of the file, answered with 416 and `max_size`, the file's size in bytes."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size


def parse_ranges(header: str, file_size: int, max_ranges: int) -> list[tuple[int, int]]:
    """Return the ranges of a Range header, as `_core.parse_ranges` does, or an empty list for the whole file.

    Deviation: a header that cannot be parsed, or has another unit than bytes, is ignored. Ranges past the end of the
    file are left out if others are within it. Source: RFC 9110 section 14.2. In compatibility mode such a header raises
    `MalformedRangeHeader`, and one range past the end `RangeNotSatisfiable`.

    Raises:
        RangeNotSatisfiable: all ranges start at or past `file_size`.
    """
    as_starlette = mode.current.refuses_malformed_ranges
    try:
        ranges = _core.parse_ranges(header, file_size, max_ranges, as_starlette=as_starlette)
    except ValueError as error:
        if as_starlette:
            raise MalformedRangeHeader(str(error)) from None
        return []
    if ranges is None:
        raise RangeNotSatisfiable(file_size)
    return ranges
