"""Names that are no files on Windows, or other files than they say.

Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re

__all__ = ["means_no_file"]

# They are there in every directory, whatever follows them after a full stop, and reading from one may wait for ever.
_DEVICES = frozenset(
    {"aux", "con", "conin$", "conout$", "nul", "prn"}
    | {f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"}
)

# Colons lead to drives and to streams of a file, full stops and blanks at the end of a name are dropped.
_ODD = re.compile(r'[\x00-\x1f"*:<>?|]|[. ](?:[/\\]|\Z)')

_SEPARATORS = re.compile(r"[/\\]")


def means_no_file(path: str) -> bool:
    """Whether one of the names in a normalised relative path stands for a device, a drive, a stream or another name."""
    if path == ".":
        return False
    if _ODD.search(path):
        return True
    return any(name.partition(".")[0].rstrip(" ").lower() in _DEVICES for name in _SEPARATORS.split(path))
