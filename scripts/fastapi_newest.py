"""Reports how Pallasite serves the FastAPI that is installed: whether it recognises the loop and
the handlers, and answers the same.

`fastapi_newest.py [SEED ...]`: random applications of these seeds answer on Pallasite and on Starlette. The exit
status is 0 unless FastAPI could not be imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

APPLICATIONS = Path(__file__).resolve().parent.parent / "tests" / "compat" / "fastapi_routes.py"
REASON = """
import pallasite
pallasite.install_as_starlette()
import fastapi.routing
from pallasite._compat.fastapi_loop import why_unknown
from pallasite._fastapi.known import is_known
compiles = "can" if is_known(fastapi.routing) else "cannot"
print(fastapi.__version__, compiles, why_unknown(fastapi.routing) or "", sep="|")
"""


def output(*arguments: str) -> str:
    """The last line that a Python program prints."""
    command = [sys.executable, "-W", "ignore", *arguments]
    # Sets of methods, whose order FastAPI shows, must have the same order on both sides.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[
        -1
    ]


def answers(seeds: list[str], *prefix: str) -> dict[str, Any]:
    """What the random applications answer."""
    seen: dict[str, Any] = json.loads(output(*prefix, str(APPLICATIONS), *seeds))["seen"]
    return seen


def main(seeds: list[str]) -> int:
    """0 if there is something to report."""
    try:
        version, compiles, reason = output("-c", REASON).split("|", 2)
    except subprocess.CalledProcessError:
        print("FastAPI does not import on Pallasite: see the message above")
        return 1
    print(f"FastAPI {version}: its routes {compiles} be compiled")
    if reason:
        print(f"FastAPI {version}: falls back to FastAPI's own loop, because {reason}")
        return 0
    print(f"FastAPI {version}: its loop is recognised")
    ours, theirs = answers(seeds, "-m", "pallasite", "as-starlette"), answers(seeds)
    different = [seed for seed in seeds if ours[seed] != theirs[seed]]
    print(
        f"FastAPI {version}: {len(seeds) - len(different)} of {len(seeds)} random applications answer as on Starlette"
    )
    if different:
        print(f"different: {' '.join(different)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [str(seed) for seed in range(20)]))
