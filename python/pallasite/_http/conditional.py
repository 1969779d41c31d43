"""Conditional requests: does the client have this version already? Source: RFC 9110 section 13."""

from __future__ import annotations

import hashlib
import os

from pallasite._core import find_header, header_values, http_date, names_tag, parse_http_date

__all__ = ["asks_for_ranges", "entity_tag", "is_not_modified", "last_modified"]


def entity_tag(stat_result: os.stat_result) -> str:
    """A strong entity tag, quotes included, that changes with the file's size and time of change."""
    identity = f"{stat_result.st_mtime}-{stat_result.st_size}".encode()
    return f'"{hashlib.md5(identity, usedforsecurity=False).hexdigest()}"'


def last_modified(stat_result: os.stat_result) -> str:
    """The time of the file's last change, as a Last-Modified header has it."""
    return http_date(stat_result.st_mtime)


def asks_for_ranges(headers: list[tuple[bytes, bytes]]) -> bool:
    return find_header(headers, "range") is not None


def is_not_modified(headers: list[tuple[bytes, bytes]], etag: str, modified: str) -> bool:
    """Whether a request with these headers is answered with 304. If-None-Match decides where it is given."""
    tags = ",".join(header_values(headers, "if-none-match"))
    if tags:
        return names_tag(tags, etag)
    since = header_values(headers, "if-modified-since")
    return bool(since) and (since[0] == modified or _is_later(since[0], modified))


def _is_later(since: str, modified: str) -> bool:
    asked, changed = parse_http_date(since), parse_http_date(modified)
    return asked is not None and changed is not None and asked >= changed
