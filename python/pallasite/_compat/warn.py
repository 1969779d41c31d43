"""Warnings that name the module which a project's filters expect, with and without compatibility mode."""

from __future__ import annotations

import sys
import warnings

from pallasite._compat import mode
from pallasite.exceptions import SecurityWarning

__all__ = ["advise", "warn"]


def warn(message: str, category: type[Warning], module: str, stacklevel: int) -> None:
    """Issue a warning as `warnings.warn` does. In compatibility mode it comes from `starlette.<module>`.

    Projects have filters such as `ignore::starlette.exceptions.StarletteDeprecationWarning:starlette.routing`. The file
    and the line are those of the frame that `stacklevel` counts to, from the caller (1) outwards.
    """
    package = mode.current.warning_package
    if package is None:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
        return
    frame = sys._getframe(1)
    for _ in range(stacklevel - 1):
        frame = frame.f_back or frame
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    name = f"{package}.{module}"
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, name, registry)


def advise(message: str, stacklevel: int) -> None:
    """Issue a `SecurityWarning` about a setting, except in compatibility mode.

    `stacklevel` counts as in `warnings.warn`, from the caller (1) outwards.
    """
    if mode.current.gives_security_warnings:
        warnings.warn(message, SecurityWarning, stacklevel=stacklevel + 1)
