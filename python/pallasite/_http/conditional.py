"""Conditional requests: decide whether the client's copy is current. Source: RFC 9110 section 13."""

from __future__ import annotations

import hashlib
import os

from pallasite._core import find_header, header_values, http_date, names_tag, parse_http_date

__all__ = ["asks_for_ranges", "entity_tag", "is_not_modified", "last_modified"]


def entity_tag(stat_result: os.stat_result) -> str:
    """Return a strong entity tag, including its quotes, that changes with the file's size and modification time."""
    identity = f"{stat_result.st_mtime}-{stat_result.st_size}".encode()
    return f'"{hashlib.md5(identity, usedforsecurity=False).hexdigest()}"'


def last_modified(stat_result: os.stat_result) -> str:
    """Return the file's modification time in the format of a Last-Modified header."""
    return http_date(stat_result.st_mtime)


def asks_for_ranges(headers: list[tuple[bytes, bytes]]) -> bool:
    return find_header(headers, "range") is not None


def is_not_modified(headers: list[tuple[bytes, bytes]], etag: str, modified: str) -> bool:
    """Return True if a request with these headers should be answered with 304.

    If-None-Match takes precedence over If-Modified-Since.
    """
    tags = ",".join(header_values(headers, "if-none-match"))
    if tags:
        return names_tag(tags, etag)
    since = header_values(headers, "if-modified-since")
    return bool(since) and (since[0] == modified or _is_later(since[0], modified))


def _is_later(since: str, modified: str) -> bool:
    asked, changed = parse_http_date(since), parse_http_date(modified)
    return asked is not None and changed is not None and asked >= changed
