"""The demo runs with the packages of `requirements/demo.txt`. Test environments have more and would hide a lack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from tests.support.paths import EXAMPLES

REQUIREMENTS = EXAMPLES.parents[1] / "requirements" / "demo.txt"

IMPORT = """
import sys

class OnlyThese:
    allowed = {"demo", "pallasite", *sys.argv[1:], *sys.stdlib_module_names}

    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in OnlyThese.allowed:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, OnlyThese)
import demo.main
"""


def top_level_names(distributions: Iterable[str]) -> set[str]:
    """The modules and packages of these distributions and of all that they bring along."""
    names: set[str] = set()
    seen: set[str] = set()
    waiting = list(distributions)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = Distribution.from_name(name)
        except PackageNotFoundError:  # needed on another platform or an older Python only
            continue
        names |= {file.parts[0].partition(".")[0] for file in distribution.files or []}
        needed = [line for line in distribution.requires or [] if "extra ==" not in line]
        waiting += [match[0] for line in needed if (match := re.match(r"[\w.-]+", line))]
    return names


def test_demo_needs_nothing_that_make_serve_does_not_install(tmp_path: Path) -> None:
    listed = re.findall(r"^([\w.-]+)==", REQUIREMENTS.read_text(), re.MULTILINE)
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES), "DEMO_DATA": str(tmp_path)}
    command = [sys.executable, "-c", IMPORT, *sorted(top_level_names(listed))]
    answer = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
