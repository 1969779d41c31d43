"""Paths of the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "pallasite"
EXAMPLES = ROOT / "docs" / "examples"
# Public modules that need FastAPI on Pallasite, and so a process of their own (tests/compat).
ONLY_AS_STARLETTE = frozenset(("pallasite.fastapi",))
