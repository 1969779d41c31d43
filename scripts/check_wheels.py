"""What the wheels must be: their exact names, their contents, and that the installed copy is the one imported.

`check_wheels.py dist 3.11`: one wheel for this CPython and one abi3 wheel, each with all that it has to ship.
`check_wheels.py --installed WHEEL`: `pallasite._core` comes from that wheel, not from the source tree.
"""

from __future__ import annotations

import importlib
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = ("pallasite/__init__.py", "pallasite/_core.pyi", "pallasite/py.typed")


def workspace_version() -> str:
    found = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        sys.exit("error: Cargo.toml has no version")
    return found[1]


def check_directory(directory: Path, python: str) -> None:
    tag = "cp" + python.replace(".", "")
    expected = {f"pallasite-{workspace_version()}-{tags}" for tags in (f"{tag}-{tag}", "cp311-abi3")}
    wheels = sorted(directory.glob("*.whl"))
    found = {re.sub(r"-[^-]+\.whl$", "", wheel.name) for wheel in wheels}
    if found != expected or len(wheels) != len(expected):
        sys.exit(f"error: {directory} holds {sorted(found)}, expected {sorted(expected)}")
    for wheel in wheels:
        names = zipfile.ZipFile(wheel).namelist()
        missing = [name for name in REQUIRED if name not in names]
        extensions = [name for name in names if name.startswith("pallasite/_core.") and name.endswith((".so", ".pyd"))]
        licenses = [name for name in names if name.endswith("/LICENSE")]
        if missing or len(extensions) != 1 or not licenses:
            sys.exit(f"error: {wheel.name}: missing {missing}, extensions {extensions}, licenses {licenses}")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")


def check_installed(wheel: Path) -> None:
    core = importlib.import_module("pallasite._core")
    place = Path(str(core.__file__))
    if place.is_relative_to(ROOT / "python"):
        sys.exit(f"error: pallasite._core was imported from the source tree: {place}")
    if ("abi3" in wheel.name) is not (".abi3." in place.name):
        sys.exit(f"error: {place.name} is not what {wheel.name} ships")


if __name__ == "__main__":
    if sys.argv[1] == "--installed":
        check_installed(Path(sys.argv[2]))
    else:
        check_directory(Path(sys.argv[1]), sys.argv[2])
