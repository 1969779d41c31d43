"""`python -m pallasite as-starlette <command ...>`: runs a command in which Pallasite stands in for Starlette."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

_USAGE = """\
usage: python -m pallasite as-starlette <command ...>

Runs the command with Pallasite in Starlette's place, in its worker and reload processes too. The command is a program
such as `uvicorn main:app` or `pytest`, a file such as `main.py`, or options of Python such as `-m uvicorn main:app`.
"""
# Options with which Python does not look at PYTHONPATH, or does not run what it finds there.
_DEAF_OPTIONS = "EIS"
_NOT_FOUND = 127  # the status by which a shell says that a command does not exist


def main(arguments: list[str]) -> int:
    """Runs what the arguments say and returns the exit status; where processes can be replaced, it does not return."""
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    if len(arguments) < 2 or arguments[0] != "as-starlette":
        sys.stderr.write(_USAGE)
        return 2
    deaf = _deaf_option(arguments[1:])
    if deaf is not None:
        sys.stderr.write(
            f"error: with -{deaf} Python ignores what puts Pallasite in Starlette's place: leave it out, or call"
            " pallasite.install_as_starlette() at the top of the program\n"
        )
        return 2
    command = _resolve(arguments[1:])
    if command is None:
        sys.stderr.write(f"error: no program named {arguments[1]} beside this Python or on PATH\n")
        return _NOT_FOUND
    environment = _environment()
    if os.name != "nt":  # there, the shell would go on while the replacement still runs
        os.execve(command[0], command, environment)  # signals sent to this process reach the command itself
    return subprocess.call(command, env=environment)


def _deaf_option(command: list[str]) -> str | None:
    """The letter of the option, among those that the command gives to Python, that would leave the alias out."""
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
            if letter in "WX":  # with a value: the rest of the word, or the next one
                if place == len(option):
                    next(options, None)
                break
    return None


def _resolve(command: list[str]) -> list[str] | None:
    """The command with the path of its program; programs of this interpreter's environment come first."""
    program = command[0]
    if program.startswith("-") or program.endswith(".py"):
        return [sys.executable, *command]
    places = [str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    found = shutil.which(program, path=os.pathsep.join(places))
    return None if found is None else [found, *command[1:]]


def _environment() -> dict[str, str]:
    """This process's environment with the folder in front of PYTHONPATH whose `sitecustomize` installs the alias."""
    folder = str(Path(__file__).resolve().parent / "_compat" / "as_starlette")
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": folder + os.pathsep + before if before else folder}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
