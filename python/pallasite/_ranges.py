"""The Range header. Source: RFC 9110 section 14."""

from __future__ import annotations

__all__ = ["MalformedRangeHeader", "RangeNotSatisfiable", "merge_ranges", "parse_ranges"]

# More digits than any file's size has: the number is not worth computing.
_MAX_DIGITS = 20


class MalformedRangeHeader(Exception):
    """A Range header that cannot be read: answered with 400 and `content` as the body."""

    def __init__(self, content: str = "Malformed range header.") -> None:
        self.content = content


class RangeNotSatisfiable(Exception):
    """A range that starts behind the end of the file: answered with 416 and `max_size`, the file's size in bytes."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size


def parse_ranges(header: str, file_size: int, max_ranges: int) -> list[tuple[int, int]]:
    """The byte ranges asked for as sorted, separate (start, end) pairs, the end being exclusive.

    Empty when the header has more than `max_ranges` parts: send the whole file then. Parts that are no ranges are
    ignored. Numbers are ASCII digits and nothing else.

    Raises:
        MalformedRangeHeader: another unit than bytes, no range at all, or one whose end is before its start.
        RangeNotSatisfiable: a range starts at or behind `file_size`.
    """
    unit, separator, specs = header.partition("=")
    if not separator:
        raise MalformedRangeHeader
    if unit.strip().lower() != "bytes":
        raise MalformedRangeHeader("Only support bytes range")
    if specs.count(",") >= max_ranges:
        return []
    ranges = [found for spec in specs.split(",") if (found := _parse_range(spec, file_size)) is not None]
    if not ranges:
        raise MalformedRangeHeader("Range header: range must be requested")
    if any(start >= file_size for start, _ in ranges):
        raise RangeNotSatisfiable(file_size)
    if any(end <= start for start, end in ranges):
        raise MalformedRangeHeader("Range header: start must be less than end")
    return merge_ranges(ranges)


def merge_ranges(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes in order, with ranges that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


def _parse_range(spec: str, file_size: int) -> tuple[int, int] | None:
    first, dash, last = (part.strip(" \t") for part in spec.partition("-"))
    if not dash or not (first or last):
        return None
    if (first and not _is_number(first)) or (last and not _is_number(last)):
        return None
    if not first:
        # The last so many bytes.
        return max(file_size - _number(last), 0), file_size
    end = min(_number(last) + 1, file_size) if last else file_size
    return _number(first), end


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(digits: str) -> int:
    """Any number above 10**20 is as good as another, and int() refuses thousands of digits."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS
