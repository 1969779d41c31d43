"""`_core.open_cached`: opens what the kernel has in memory, and nothing outside the directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pallasite._core import open_cached


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "file.txt").write_bytes(b"inside")
    (tmp_path / "secret.txt").write_bytes(b"outside")
    # Names that were looked up lately are in the kernel's cache.
    for path in tmp_path.rglob("*"):
        path.stat()
    return root


def _content(descriptor: int | None) -> bytes:
    assert descriptor is not None
    with open(descriptor, "rb") as file:
        return file.read()


def _open(root: Path, path: str, follow_symlink: bool = False) -> bytes | None:
    """Return None also if the kernel cannot answer. No test may accept None where it expects bytes."""
    try:
        descriptor = open_cached(root, path, follow_symlink)
    except BlockingIOError:
        return None
    return _content(descriptor) if descriptor is not None else None


def _works(root: Path) -> bool:
    return _open(root, "inner/file.txt") is not None


@pytest.mark.parametrize("follow_symlink", [False, True])
def test_open_cached_name_just_looked_up_returns_its_bytes(root: Path, follow_symlink: bool) -> None:
    if not _works(root):
        pytest.skip("no openat2 here")
    assert _content(open_cached(root, "inner/file.txt", follow_symlink)) == b"inside"
    assert _content(open_cached(str(root), Path("inner/file.txt"), follow_symlink)) == b"inside"


def test_open_cached_descriptor_is_not_inherited(root: Path) -> None:
    if not _works(root):
        pytest.skip("no openat2 here")
    descriptor = open_cached(root, "inner/file.txt", False)
    assert descriptor is not None
    assert os.get_inheritable(descriptor) is False
    os.close(descriptor)


@pytest.mark.parametrize("path", ["missing", "inner/missing", "inner/file.txt/below", "missing/below"])
def test_open_cached_missing_name_is_none_or_unknown(root: Path, path: str) -> None:
    assert _open(root, path) is None


@pytest.mark.parametrize("path", ["../secret.txt", "inner/../../secret.txt", "/etc/passwd", "\0", "x" * 5000, ".."])
def test_open_cached_outside_is_refused(root: Path, path: str) -> None:
    with pytest.raises(BlockingIOError):
        open_cached(root, path, False)


@pytest.mark.parametrize("target", ["../secret.txt", "inner/file.txt", "loop"])
def test_open_cached_link_is_left_to_others(root: Path, target: str) -> None:
    (root / "loop").symlink_to(target)
    with pytest.raises(BlockingIOError):
        open_cached(root, "loop", False)


def test_open_cached_link_is_followed_where_wanted(root: Path) -> None:
    if not _works(root):
        pytest.skip("no openat2 here")
    (root / "link").symlink_to("../secret.txt")
    assert (root / "link").read_bytes() == b"outside"
    assert _open(root, "link", follow_symlink=True) == b"outside"


def test_open_cached_lone_surrogate_is_a_value_error(root: Path) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        open_cached(root, "\ud800", False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_open_cached_pipe_does_not_wait_for_a_writer(root: Path) -> None:
    os.mkfifo(root / "pipe")
    try:
        descriptor = open_cached(root, "pipe", False)
    except BlockingIOError:
        return
    assert descriptor is not None
    os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_open_cached_failures_leave_no_descriptor_open(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("missing", "../secret.txt", "inner/file.txt/below"):
        assert _open(root, path) is None
    assert len(os.listdir("/proc/self/fd")) == before
