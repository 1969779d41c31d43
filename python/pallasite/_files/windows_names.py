"""Names that Windows does not treat as files, or treats as other files.

Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re

__all__ = ["means_no_file"]

# Devices exist in every directory, with any suffix after a dot. Reading from one may block forever.
_DEVICES = frozenset(
    {"aux", "con", "conin$", "conout$", "nul", "prn"}
    | {f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"}
)

# Colons refer to drives and to alternate streams of a file. Dots and spaces at the end of a name are dropped.
_ODD = re.compile(r'[\x00-\x1f"*:<>?|]|[. ](?:[/\\]|\Z)')

_SEPARATORS = re.compile(r"[/\\]")


def means_no_file(path: str) -> bool:
    """Return True if a name in a normalised relative path means a device, a drive, a stream or another name."""
    if path == ".":
        return False
    if _ODD.search(path):
        return True
    return any(name.partition(".")[0].rstrip(" ").lower() in _DEVICES for name in _SEPARATORS.split(path))
