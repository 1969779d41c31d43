"""Pallasite's scope keys are in one table, whether Python or Rust writes them."""

from __future__ import annotations

import re

from pallasite._http import scope_keys
from tests.support.paths import PACKAGE

BINDING = PACKAGE.parent.parent / "rust" / "binding" / "src"
SCOPE_KEY = re.compile(r'(?:scope\S*[\[(,]|_KEY)[^"\n]*"((?:pallasite|starlette)\.[a-z_.]+)"')


def test_every_key_is_in_the_table() -> None:
    known = {getattr(scope_keys, name) for name in scope_keys.__all__}
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "scope_keys.py"]
    written = {key for path in files for key in SCOPE_KEY.findall(path.read_text(encoding="utf-8"))}
    assert written == set(), "name it in _http/scope_keys.py"
    native = {key for path in BINDING.rglob("*.rs") for key in SCOPE_KEY.findall(path.read_text(encoding="utf-8"))}
    assert native == {scope_keys.ORIGIN, scope_keys.ALLOWED_METHODS, scope_keys.REQUEST_ID}
    assert native <= known
