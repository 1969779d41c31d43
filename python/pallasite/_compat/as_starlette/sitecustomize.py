"""Run by every interpreter started under `python -m pallasite as-starlette`, which puts this folder on PYTHONPATH.

This reaches workers and reloaders however they are started. An interpreter without Pallasite is left alone.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _stand_in() -> None:
    try:
        from pallasite import install_as_starlette
    except ImportError:
        return
    install_as_starlette(compile_fastapi=os.environ.get("PALLASITE_COMPILE_FASTAPI") == "1")


def _run_hidden_sitecustomize() -> None:
    """Run the `sitecustomize` that Python would have run if this one did not precede it."""
    elsewhere = [place for place in sys.path if Path(place).resolve() != _HERE]
    spec = PathFinder.find_spec(__name__, elsewhere)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


_stand_in()
_run_hidden_sitecustomize()
