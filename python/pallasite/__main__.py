"""`python -m pallasite as-starlette [--compile-fastapi] <command ...>`: run a command in compatibility mode."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

_USAGE = """\
usage: python -m pallasite as-starlette [--compile-fastapi] <command ...>

Runs the command, including its worker and reload processes, with Pallasite in place of Starlette. The command is a
program such as `uvicorn main:app` or `pytest`, a file such as `main.py`, or options of Python such as
`-m uvicorn main:app`. With --compile-fastapi, the routes of FastAPI applications are compiled: see pallasite.fastapi.
"""
# Options with which Python ignores PYTHONPATH, or does not run the sitecustomize found there.
_DEAF_OPTIONS = "EIS"
_NOT_FOUND = 127  # the status with which shells report an unknown command


def main(arguments: list[str]) -> int:
    """Run the command and return the exit status. Where processes can be replaced, this does not return."""
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    name, *command = arguments or [""]
    compile_fastapi = command[:1] == ["--compile-fastapi"]
    command = command[compile_fastapi:]
    if not command or name != "as-starlette":
        sys.stderr.write(_USAGE)
        return 2
    deaf = _deaf_option(command)
    if deaf is not None:
        sys.stderr.write(
            f"error: Python's option -{deaf} disables compatibility mode: omit it, or call"
            " pallasite.install_as_starlette() at the top of the program\n"
        )
        return 2
    resolved = _resolve(command)
    if resolved is None:
        sys.stderr.write(f"error: no program named {command[0]} next to this Python or on PATH\n")
        return _NOT_FOUND
    environment = _environment(compile_fastapi)
    if os.name != "nt":  # on Windows the shell would continue while the replacement still runs
        os.execve(resolved[0], resolved, environment)  # signals sent to this process reach the command itself
    return subprocess.call(resolved, env=environment)


def _deaf_option(command: list[str]) -> str | None:
    """Return the letter of the Python option in the command that would disable the alias, or None."""
    is_python = re.fullmatch(r"python[\d.]*(\.exe)?", Path(command[0]).name)
    options = iter(command[1:] if is_python else command)
    for option in options:
        if not re.match("-[^-]", option):
            return None  # the program itself
        for place, letter in enumerate(option[1:], 2):
            if letter in _DEAF_OPTIONS:
                return letter
            if letter in "cm":
                return None  # the rest is the program's
            if letter in "WX":  # takes a value: the rest of this argument, or the next one
                if place == len(option):
                    next(options, None)
                break
    return None


def _resolve(command: list[str]) -> list[str] | None:
    """Return the command with its program's path. Programs in this interpreter's environment take precedence."""
    program = command[0]
    if program.startswith("-") or program.endswith(".py"):
        return [sys.executable, *command]
    places = [str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    found = shutil.which(program, path=os.pathsep.join(places))
    return None if found is None else [found, *command[1:]]


def _environment(compile_fastapi: bool) -> dict[str, str]:
    """Return the environment with a folder prepended to PYTHONPATH whose `sitecustomize` installs the alias."""
    folder = str(Path(__file__).resolve().parent / "_compat" / "as_starlette")
    before = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": folder + os.pathsep + before if before else folder}
    if compile_fastapi:
        environment["PALLASITE_COMPILE_FASTAPI"] = "1"
    return environment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
