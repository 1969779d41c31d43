"""No native object can be "already borrowed": every class is frozen. What changes inside has a lock or is atomic."""

from __future__ import annotations

import re

from tests.support.paths import ROOT

BINDING = ROOT / "rust" / "binding" / "src"


def test_every_native_class_is_frozen() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(BINDING.rglob("*.rs"))}
    classes = [match for text in sources.values() for match in re.findall(r"#\[pyclass(\([^\]]*\))?\]", text)]
    assert len(classes) >= 8
    assert [options for options in classes if "frozen" not in options] == []


def test_shared_state_is_in_the_inventory() -> None:
    inventory = (ROOT / "docs" / "internals" / "threads.md").read_text(encoding="utf-8")
    names: set[str] = set()
    for path in sorted((ROOT / "rust").glob("[bc]*/src/**/*.rs")):
        text = path.read_text(encoding="utf-8")
        names.update(re.findall(r"^\s*static ([A-Z_]+):", text, re.MULTILINE))
        names.update(re.findall(r"^\s*(\w+): (?:Mutex|OnceLock|Atomic\w+)<?", text, re.MULTILINE))
    missing = sorted(name for name in names if f"`{name}`" not in inventory)
    assert missing == []
