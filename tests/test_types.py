"""The ASGI vocabulary is importable without the rest of the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import MutableMapping
from typing import get_args

from pallasite import types


def test_exports_are_complete_and_sorted() -> None:
    assert types.__all__ == sorted(types.__all__)
    assert all(hasattr(types, name) for name in types.__all__)


def test_scope_and_message_are_mutable_mappings() -> None:
    assert types.Scope == MutableMapping[str, object] or get_args(types.Scope)[0] is str
    assert types.Message == types.Scope


def test_exception_handler_accepts_both_kinds() -> None:
    assert get_args(types.ExceptionHandler) == (types.HTTPExceptionHandler, types.WebSocketExceptionHandler)


def test_lifespan_accepts_a_class_as_its_parameter() -> None:
    assert get_args(types.Lifespan[int])  # type: ignore[misc]


def test_import_loads_no_other_module_of_the_package() -> None:
    code = "import sys, pallasite.types; print(sorted(n for n in sys.modules if n.startswith('pallasite.')))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pallasite.types" in printed
    assert "pallasite.requests" not in printed
    assert "pallasite.responses" not in printed
