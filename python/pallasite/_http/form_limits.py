"""The limits of a form, unless the caller gives others."""

from __future__ import annotations

__all__ = ["MAX_FIELDS", "MAX_FILES", "MAX_PART_BYTES", "fields_bytes"]

MAX_FILES = 1000
MAX_FIELDS = 1000

#: One text field.
MAX_PART_BYTES = 1024 * 1024

# Text fields are kept in memory, so 1000 of the largest would take 1 GB.
_LARGEST_FIELDS = 10


def fields_bytes(max_fields_size: float | None, max_part_size: float) -> float:
    """Return the limit of all text fields together: the given one, or that of ten of the largest fields."""
    return _LARGEST_FIELDS * max_part_size if max_fields_size is None else max_fields_size
