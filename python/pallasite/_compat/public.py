"""Re-exports: names defined in a private module and published by a public one."""

from __future__ import annotations

from types import FunctionType
from typing import Any

__all__ = ["publish"]


def publish(module: dict[str, Any]) -> None:
    """Set `__module__` to the public module for each name in `module["__all__"]` that a private module defines.

    It is shown in reprs, tracebacks and pickles. Call it with `globals()` after the imports.
    """
    for name in module["__all__"]:
        value = module[name]
        if isinstance(value, type | FunctionType) and value.__module__.startswith("pallasite._"):
            value.__module__ = module["__name__"]
