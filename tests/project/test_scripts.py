"""The scripts report a missing tool in one line, with what to do, before anything is built."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TOOLS = "basename bash cat cksum cut dirname find head mkdir rm sed sort tr xargs"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for bash")


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "HOST", "PORT"}}
    return subprocess.run(
        ["bash", f"scripts/{script}", *arguments],
        cwd=ROOT,
        env=clean | {"PYTHON": sys.executable} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def the_error(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with the usual small tools and neither Rust nor a C compiler."""
    for tool in TOOLS.split():
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def stand_in(folder: Path, name: str, output: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{output}'\n")
    (folder / name).chmod(0o755)


def test_interpreter_that_does_not_run_is_named() -> None:
    assert "PYTHON=no-such-python does not run" in the_error(run("setup", PYTHON="no-such-python"))


def test_interpreter_that_is_too_old_is_an_error_with_the_needed_version(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    stand_in(tmp_path, old.name)
    old.write_text(f"#!/bin/sh\ncase $2 in *executable*) echo {old} ;; *) echo 3.10 ;; esac\n")
    assert "is Python 3.10, Pallasite needs 3.11 or later" in the_error(run("setup", PYTHON=str(old)))


def test_rust_missing_names_where_to_get_it(bare_path: Path) -> None:
    assert "Rust is missing: install it with rustup" in the_error(run("setup", PATH=str(bare_path)))


def test_rust_too_old_explains_how_to_update(bare_path: Path) -> None:
    stand_in(bare_path, "cargo")
    stand_in(bare_path, "rustc", "rustc 1.70.0 (90c541806 2023-05-31)")
    assert "Rust 1.70.0 is too old" in the_error(run("setup", PATH=str(bare_path)))


def test_rust_without_a_toolchain_explains_how_to_choose_one(bare_path: Path) -> None:
    for name in ("cargo", "rustc"):
        (bare_path / name).write_text("#!/bin/sh\necho 'error: rustup could not choose a version to run' >&2\nexit 1\n")
        (bare_path / name).chmod(0o755)
    assert "run 'rustup default stable'" in the_error(run("setup", PATH=str(bare_path)))


def test_c_compiler_missing_names_what_to_install(bare_path: Path) -> None:
    stand_in(bare_path, "cargo")
    stand_in(bare_path, "rustc", "rustc 1.999.0 (90c541806 2023-05-31)")
    assert "no C compiler (cc) found" in the_error(run("setup", PATH=str(bare_path)))


def test_port_taken_suggests_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1 port {port}" in the_error(run("serve", PORT=port))


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_port_that_does_not_exist_is_refused(port: str) -> None:
    assert f"PORT={port} is not a port number" in the_error(run("serve", PORT=port))


SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.suffix == "" and path.is_file())


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_describes_the_script_and_does_nothing_else(script: str, bare_path: Path) -> None:
    # Without Rust and a compiler: it would fail if it did anything.
    result = run(script, "--help", PATH=str(bare_path))
    assert result.returncode == 0
    assert result.stderr == ""
    assert re.match(rf"{script}\b.*: \w", result.stdout)
    assert all(not line.startswith("#") for line in result.stdout.splitlines())


def test_help_of_test_names_what_the_quick_run_leaves_out() -> None:
    text = run("test", "--help").stdout
    skipped = re.search(r"for name in (.+); do", (ROOT / "scripts" / "test").read_text())
    assert skipped is not None
    for name in skipped[1].split():
        assert re.search(rf"\b{name.removesuffix('.py')}\b", text), name
        assert (ROOT / "tests" / name).exists()


def test_makefile_lists_each_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        assert target == "help" or f"make {target}\t" in listed


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("routing: match hosts without case\n", None),
        ("fast paths: one idiom\n\nA reason.\n", None),
        ("problems, negotiation: media types by RFC 9110\n", None),
        ("Merge branch 'main'\n", None),
        ("Match hosts without case\n", "has no area"),
        ("routing: " + "x" * 64 + "\n", "the limit is 72"),
        ("routing: match\nhosts\n", "the second line"),
    ],
)
def test_commit_message(message: str, error: str | None, tmp_path: Path) -> None:
    (tmp_path / "message").write_text(message)
    result = run("commit-message", str(tmp_path / "message"))
    if error is None:
        assert (result.returncode, result.stderr) == (0, "")
    else:
        assert error in the_error(result)
