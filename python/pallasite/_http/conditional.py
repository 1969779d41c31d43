"""Conditional requests: decide whether the client's copy is current. Source: RFC 9110 section 13."""

from __future__ import annotations

import hashlib
import os

from pallasite._core import find_header, header_values, http_date, names_strong_tag, names_tag, parse_http_date

__all__ = [
    "CONDITIONS",
    "REPRESENTATION_FIELDS",
    "asks_for_ranges",
    "entity_tag",
    "fails_precondition",
    "is_not_modified",
    "last_modified",
]

#: The headers that make a request conditional, besides If-Range.
CONDITIONS = frozenset((b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"))

#: The headers that describe the content, which a 304 in its place lacks. Source: RFC 9110 section 15.4.5.
REPRESENTATION_FIELDS = frozenset(
    (
        b"accept-ranges",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-range",
        b"content-type",
        b"last-modified",
    )
)


def entity_tag(stat_result: os.stat_result) -> str:
    """Return a strong entity tag, including its quotes, that changes with the file's size and modification time."""
    identity = f"{stat_result.st_mtime}-{stat_result.st_size}".encode()
    return f'"{hashlib.md5(identity, usedforsecurity=False).hexdigest()}"'


def last_modified(stat_result: os.stat_result) -> str:
    """Return the file's modification time in the format of a Last-Modified header."""
    return http_date(stat_result.st_mtime)


def asks_for_ranges(headers: list[tuple[bytes, bytes]]) -> bool:
    return find_header(headers, "range") is not None


def fails_precondition(headers: list[tuple[bytes, bytes]], etag: str, modified: str) -> bool:
    """Return True if a request with these headers should be answered with 412: its client knows another version.

    If-Match takes precedence over If-Unmodified-Since, and both over the conditions of `is_not_modified`. A date that
    is not one, or that is given twice, is ignored. Source: RFC 9110 sections 13.1.1, 13.1.4 and 13.2.2.
    """
    tags = header_values(headers, "if-match")
    if tags:
        return not names_strong_tag(",".join(tags), etag)
    since = header_values(headers, "if-unmodified-since")
    if len(since) != 1 or since[0] == modified:
        return False
    asked, changed = parse_http_date(since[0]), parse_http_date(modified)
    return asked is not None and changed is not None and changed > asked


def is_not_modified(headers: list[tuple[bytes, bytes]], etag: str, modified: str) -> bool:
    """Return True if a request with these headers should be answered with 304.

    If-None-Match takes precedence over If-Modified-Since. A date that is given twice is ignored.
    """
    tags = ",".join(header_values(headers, "if-none-match"))
    if tags:
        return names_tag(tags, etag)
    since = header_values(headers, "if-modified-since")
    return len(since) == 1 and (since[0] == modified or _is_later(since[0], modified))


def _is_later(since: str, modified: str) -> bool:
    asked, changed = parse_http_date(since), parse_http_date(modified)
    return asked is not None and changed is not None and asked >= changed
