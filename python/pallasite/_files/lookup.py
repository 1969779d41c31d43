"""Open files below a directory without leaving it, even if files are swapped during the lookup.

There are two ways with the same result: `find_cached` runs on the event loop and never blocks, `find` runs in a worker
thread.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from pallasite._core import open_cached

__all__ = ["Found", "OpenFile", "find", "find_cached", "open_known"]

# Errors that all mean: there is no such file to serve.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)
_WALKS = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd

# O_NONBLOCK: if the file was replaced by a pipe, opening it must not wait for a writer.
_READ = os.O_RDONLY
for _name in ("O_BINARY", "O_CLOEXEC", "O_NOCTTY", "O_NOINHERIT", "O_NONBLOCK"):
    _READ |= getattr(os, _name, 0)
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
# O_PATH does not need permission to list the directory, and neither does looking up a name.
_STEP: int = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


class OpenFile:
    """A file open for reading. It is closed with its last reference, so a response can simply be dropped."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # A default argument, because modules are cleared first when the interpreter exits.
        close(self._descriptor)

    def stat(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`, or fewer at the end of the file. Blocks on the disk."""
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, offset)
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        return os.read(self._descriptor, size)

    def read_cached(self, offset: int, size: int) -> bytes | None:
        """Return exactly `size` bytes, or None if the page cache does not hold them all."""
        if _NOWAIT is None:
            return None
        buffer = bytearray(size)
        try:
            count = os.preadv(self._descriptor, [buffer], offset, _NOWAIT)
        except OSError:
            # Not cached, or the file system does not support the flag.
            return None
        return bytes(buffer) if count == size else None


class Found:
    """A file or directory at a path. A regular file has its `file`, unless only its status was requested."""

    # Not a frozen dataclass: that takes 1 us to create, and every request creates one.
    __slots__ = ("_directory", "_path", "file", "stat")

    def __init__(
        self, directory: str | os.PathLike[str], path: str, stat_result: os.stat_result, file: OpenFile | None = None
    ) -> None:
        self._directory = directory
        self._path = path
        self.stat = stat_result
        self.file = file

    @property
    def path(self) -> str:
        return os.path.join(self._directory, self._path)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)


def find_cached(directory: str | os.PathLike[str], path: str, follow_symlink: bool) -> Found | None:
    """Do what `find` does, without blocking. `path` must be normalised and must not start with `..`.

    Raises:
        BlockingIOError: the lookup would block; call `find`.
    """
    descriptor = open_cached(directory, path, follow_symlink)
    if descriptor is None:
        return None
    file = OpenFile(descriptor)
    return Found(directory, path, os.fstat(descriptor), file)


def find(directory: str | os.PathLike[str], path: str, follow_symlink: bool, needs_bytes: bool = True) -> Found | None:
    """Return what a relative path leads to inside a directory, or None. A regular file is opened.

    Symbolic links may lead out of the directory only with `follow_symlink`. Blocks on the disk.

    Raises:
        PermissionError: a directory or the file may not be read.
        ValueError: the path is not a possible file name.
    """
    joined = os.path.join(directory, path)
    resolve = os.path.abspath if follow_symlink else os.path.realpath
    full_path, root = resolve(joined), resolve(os.fspath(directory))
    if os.path.commonpath((full_path, root)) != root:
        return None
    try:
        if follow_symlink or not _WALKS:
            return _open_by_path(full_path, follow_symlink, needs_bytes)
        return _open_by_steps(full_path, root, needs_bytes)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def open_known(path: str | os.PathLike[str], known: os.stat_result) -> OpenFile | None:
    """Open the file at `path` if it is still the one that `known` describes, otherwise return None. Blocks on the disk.

    Raises:
        PermissionError: the file may not be read.
    """
    try:
        file = OpenFile(os.open(path, _READ))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    return file if os.path.samestat(file.stat(), known) else None


def _open_by_path(full_path: str, follow_symlink: bool, needs_bytes: bool) -> Found | None:
    """Check before and after opening, for systems that cannot open relative to a directory (Windows)."""
    seen = os.stat(full_path)
    file = None
    if needs_bytes and stat.S_ISREG(seen.st_mode):
        file = OpenFile(os.open(full_path, _READ))
        seen = file.stat()
    if not follow_symlink and (
        os.path.realpath(full_path) != full_path or not os.path.samestat(os.stat(full_path), seen)
    ):
        return None
    return Found("", full_path, seen, file)


def _open_by_steps(full_path: str, root: str, needs_bytes: bool) -> Found | None:
    """Open one resolved name after another, starting at `root`. A link created in the meantime is not followed."""
    names = [name for name in full_path[len(root) :].split(os.sep) if name]
    last = names.pop() if names else "."
    # The served directory itself is the deployer's choice: anything that can be opened as a directory.
    folder = os.open(root, _STEP)
    try:
        for name in names:
            inner = os.open(name, _STEP | _NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        looked = os.stat(last, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(looked.st_mode):
            return None
        if not needs_bytes or not stat.S_ISREG(looked.st_mode):
            return Found("", full_path, looked)
        file = OpenFile(os.open(last, _READ | _NOFOLLOW, dir_fd=folder))
    finally:
        os.close(folder)
    return Found("", full_path, file.stat(), file)
