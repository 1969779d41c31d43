"""Names that a private module defines and a public one shows."""

from __future__ import annotations

from types import FunctionType
from typing import Any

__all__ = ["publish"]


def publish(module: dict[str, Any]) -> None:
    """Make what `module["__all__"]` lists and a private module defines belong to the public module.

    That is the name people see in a repr, a traceback or a pickle. Call it with `globals()` after the imports.
    """
    for name in module["__all__"]:
        value = module[name]
        if isinstance(value, type | FunctionType) and value.__module__.startswith("pallasite._"):
            value.__module__ = module["__name__"]
