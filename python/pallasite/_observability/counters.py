"""Counters that the workers of a server share, so that each of them can tell the sum.

Each worker maps a file of its own into memory and counts there. A file outlives its worker: the next worker adopts it
and continues, so what a killed worker has counted is not lost, and there are never more files than workers at a time.
The first worker of a group, while no other lives, starts from zero.

A file is an array of 64-bit numbers: a header, then a slot for each combination of method, route and status.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import mmap
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pallasite._core import SharedNumbers

try:
    import fcntl
except ImportError:  # Windows: every worker counts for itself
    fcntl = None  # type: ignore[assignment]

__all__ = ["BOUNDS", "Counters", "Labels", "Totals", "method_label"]

_logger = logging.getLogger(__name__)

#: Upper bounds of the buckets in microseconds. Source: OpenTelemetry's conventions for `http.server.request.duration`.
BOUNDS = tuple(
    1000 * ms for ms in (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000)
)  # fmt: skip

# Numbers of the header.
_VERSION, _USED, _GAUGES = range(3)
_HEADER = 8
# Of those, from the first of the gauges.
_ACTIVE, _WEBSOCKETS = range(2)
_LAYOUT = 0x7061_6C6C_0001  # changes whenever the meaning of a number does
# Numbers of a slot, after its label.
_LABEL = 32
_BUCKETS = len(BOUNDS) + 1
_DURATION_SUM = _BUCKETS
_FIRST_BYTE = _BUCKETS + 1
_FIRST_BYTE_SUM = _FIRST_BYTE + _BUCKETS
_BYTES = _FIRST_BYTE_SUM + 1
_ABANDONED = _BYTES + 1
_COUNTS = _ABANDONED + 1
_SLOT = _LABEL + _COUNTS
#: Combinations that are told apart. All others are counted under a route of `OTHER`.
SLOTS = 4000
OTHER = "_OTHER"
_SPARE = 200  # of these, for methods and statuses of `OTHER`
# Those that are registered. Source: IANA's HTTP Method Registry, as far as HTTP itself defines them.
_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"))
_SIZE = 8 * (_HEADER + SLOTS * _SLOT)


class Labels(NamedTuple):
    """What requests are told apart by. An empty route means that none matched."""

    method: str
    status: str
    route: str


class Totals:
    """The sum of what all workers have counted.

    Attributes:
        active: requests that are being handled.
        websockets: WebSockets that are open.
        rows: for each combination, the numbers of its slot: see `duration`, `first_byte`, `size` and `abandoned`.
    """

    def __init__(self) -> None:
        self.active = self.websockets = 0
        self.rows: dict[Labels, list[int]] = {}

    def add(self, cells: memoryview, alive: bool) -> None:
        """Add the numbers of a worker."""
        if alive:
            self.active += cells[_GAUGES + _ACTIVE]
            self.websockets += cells[_GAUGES + _WEBSOCKETS]
        for start in range(_HEADER, _HEADER + min(cells[_USED], SLOTS) * _SLOT, _SLOT):
            counts = cells[start + _LABEL : start + _SLOT].tolist()
            row = self.rows.setdefault(_labels_at(cells, start), [0] * _COUNTS)
            for index, count in enumerate(counts):
                row[index] += count

    @staticmethod
    def duration(row: list[int]) -> tuple[list[int], int]:
        """Return the buckets and the sum of the durations, in microseconds."""
        return row[:_BUCKETS], row[_DURATION_SUM]

    @staticmethod
    def first_byte(row: list[int]) -> tuple[list[int], int]:
        """Return the buckets and the sum of the times to the start of the response, in microseconds."""
        return row[_FIRST_BYTE:_FIRST_BYTE_SUM], row[_FIRST_BYTE_SUM]

    @staticmethod
    def size(row: list[int]) -> int:
        """Return the bytes of content sent."""
        return row[_BYTES]

    @staticmethod
    def abandoned(row: list[int]) -> int:
        """Return the number of requests whose client left before the response was complete."""
        return row[_ABANDONED]


class Counters:
    """The counters of this process, in a directory that it shares with the other workers of its server.

    A process without such a directory, as on Windows, counts for itself.

    Args:
        number: tells the applications of a process apart. Each worker gives the same one the same number.

    Attributes:
        gauges: the number of requests and of WebSockets that are open. None until `open` is called.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._directory = Path()
        self._file: int | None = None
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_afresh)  # a child process is another worker
        atexit.register(self.close)

    def _start_afresh(self) -> None:
        if self._file is not None:
            os.close(self._file)  # a copy, which would keep the parent's lock beyond its life
        self._file = None
        self._lock = threading.Lock()
        self._cells: memoryview | None = None
        self.gauges: SharedNumbers | None = None
        self._slots: dict[tuple[str, str | None, int], SharedNumbers] = {}
        self._slots_at: dict[int, SharedNumbers] = {}  # each has one writer

    def numbers(self, method: str, route: str | None, status: int) -> SharedNumbers:
        """Return the numbers of a combination. `open` must have been called."""
        return self._slots.get((method, route, status)) or self._slot(method_label(method), route, status)

    def totals(self) -> Totals:
        """Return the sum of all workers. Blocks: reads their files."""
        totals = Totals()
        self.open()
        assert self._cells is not None
        totals.add(self._cells, alive=True)
        if self._file is None:
            return totals
        mine = os.fstat(self._file).st_ino
        for path in self._files():
            with suppress(OSError, ValueError), path.open("rb") as file:
                if os.fstat(file.fileno()).st_ino == mine:
                    continue
                with (
                    mmap.mmap(file.fileno(), _SIZE, access=mmap.ACCESS_READ) as mapped,
                    memoryview(mapped) as view,
                    view.cast("Q") as cells,
                ):
                    if cells[_VERSION] == _LAYOUT:
                        totals.add(cells, alive=not _lock(file.fileno(), fcntl.LOCK_SH))
        return totals

    def close(self) -> None:
        """Leave the group. The last worker removes the files."""
        file, self._file = self._file, None
        if file is None:
            return
        with suppress(OSError), self._group():
            os.close(file)
            if not any(self._is_alive(path) for path in self._files()):
                self._clear()

    def _slot(self, method: str, route: str | None, status: int) -> SharedNumbers:
        """Return the counts of a combination, and write its label if it is new."""
        with self._lock:
            cells = self._cells
            assert cells is not None
            start = _find(cells, Labels(method, str(status), route or ""))
            same = self._slots_at.setdefault(start, SharedNumbers(cells[start + _LABEL : start + _SLOT], BOUNDS))
            return self._slots.setdefault((method, route, status), same)

    def open(self) -> SharedNumbers:
        """Join the other workers, unless that has been done. Blocks."""
        with self._lock:
            if self.gauges is None:
                try:
                    self._file, path = self._join()
                    # Opened again: the mapping keeps a copy of its descriptor, and with it the lock.
                    with path.open("r+b") as file:
                        mapped = mmap.mmap(file.fileno(), _SIZE)
                except OSError as error:
                    _logger.warning("The metrics count this process only: %s", error)
                    self._file, mapped = None, mmap.mmap(-1, _SIZE)
                self._cells = memoryview(mapped).cast("Q")
                if self._cells[_VERSION] != _LAYOUT:  # new, or left by another release
                    mapped[:] = bytes(_SIZE)
                self._cells[_VERSION] = _LAYOUT
                self.gauges = SharedNumbers(self._cells[_GAUGES:_HEADER], ())
                for gauge in (_ACTIVE, _WEBSOCKETS):  # of the worker whose file this was
                    self.gauges.add(gauge, -self._cells[_GAUGES + gauge])
            return self.gauges

    def _join(self) -> tuple[int, Path]:
        """Return the file of this worker, locked for as long as it lives: the system releases it in any case."""
        if fcntl is None:
            raise OSError("this system has no file locks")
        self._directory = _group_directory(self._number)
        with self._group():
            files = self._files()
            if not any(self._is_alive(path) for path in files):
                self._clear()
                files = []
            for path in files:
                file = _open_private(path)
                if _lock(file, fcntl.LOCK_EX):
                    os.ftruncate(file, _SIZE)
                    return file, path
                os.close(file)
            path = self._directory / f"{len(files)}.counts"
            file = _open_private(path)
            os.ftruncate(file, _SIZE)
            fcntl.flock(file, fcntl.LOCK_EX)  # waits for a worker that is just adding up
            return file, path

    @contextmanager
    def _group(self) -> Iterator[None]:
        """Hold the lock of the group, so that only one worker joins or leaves it at a time."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        found = self._directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{self._directory} belongs to another user")
        file = _open_private(self._directory / "lock")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*.counts"))

    def _clear(self) -> None:
        for path in self._files():
            path.unlink(missing_ok=True)

    @staticmethod
    def _is_alive(path: Path) -> bool:
        """Return True if a worker holds the file."""
        with path.open("rb") as file:
            return not _lock(file.fileno(), fcntl.LOCK_SH)


def _group_directory(number: int) -> Path:
    """Return the directory of the workers that were started together. `number` tells their applications apart.

    They have the parent process, the session and the command line in common.
    """
    parts = (os.getppid(), os.getsid(0) if hasattr(os, "getsid") else 0, os.getcwd(), *sys.argv, number)
    name = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    owner = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"pallasite-{owner}-{name}"


def _open_private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lock(file: int, kind: int) -> bool:
    """Lock the file without waiting. Return False if another process or descriptor prevents that."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def method_label(method: str) -> str:
    """Return the method, or `OTHER` for one that is not registered: clients may invent any number of them."""
    return method if method in _METHODS else OTHER


def _find(cells: memoryview, labels: Labels) -> int:
    """Return where the slot of a combination starts. Adds it if it is new, as long as there is room."""
    label = "\n".join(labels).encode()
    used = cells[_USED]
    starts = range(_HEADER, _HEADER + SLOTS * _SLOT, _SLOT)
    for start in starts[:used]:
        if _label_at(cells, start) == label:
            return start
    if labels.route != OTHER and (used >= SLOTS - _SPARE or len(label) > 8 * _LABEL - 2):
        return _find(cells, labels._replace(route=OTHER))
    if used == SLOTS:
        return starts[-1]
    start = starts[used]
    text = len(label).to_bytes(2, "little") + label
    cells[start : start + _LABEL] = memoryview(text.ljust(8 * _LABEL, b"\0")).cast("Q")
    cells[_USED] = used + 1  # last: other workers read up to here
    return start


def _label_at(cells: memoryview, start: int) -> bytes:
    label = cells[start : start + _LABEL].tobytes()
    return label[2 : 2 + int.from_bytes(label[:2], "little")]


def _labels_at(cells: memoryview, start: int) -> Labels:
    return Labels(*_label_at(cells, start).decode().split("\n", 2))
