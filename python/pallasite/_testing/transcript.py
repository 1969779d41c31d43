"""ASGI messages as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pallasite.types import Message

__all__ = ["line_of"]

#: What a transcript does not show: it differs from run to run.
_MASKED = re.compile(
    rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
)


def line_of(message: Message) -> str:
    """Return a message as JSON. Ids and dates are masked, and objects shown by their class."""

    def masked(value: Any) -> Any:
        if isinstance(value, bytes):
            return _MASKED.sub(b"*", value).decode("utf-8", "backslashreplace")
        if isinstance(value, str):
            return _MASKED.sub(b"*", value.encode("utf-8", "surrogatepass")).decode("utf-8", "backslashreplace")
        if isinstance(value, Mapping):
            return {str(masked(key)): masked(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [masked(item) for item in value]
        return value if isinstance(value, (bool, int, float)) or value is None else f"<{type(value).__name__}>"

    return json.dumps(masked(message), ensure_ascii=False)
