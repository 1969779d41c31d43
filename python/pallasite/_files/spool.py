"""Spool uploaded files: in memory while small, then on disk, written in a worker thread."""

from __future__ import annotations

import os
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any

import anyio

from pallasite.concurrency import run_in_threadpool
from pallasite.datastructures import UploadFile

# Bytes collected for one trip to the worker thread, which costs 0.1 to 0.3 ms.
_BATCH_BYTES = 2 * 1024 * 1024
# Chunks collected at most, however small, since each has its own memory overhead. Below the limit of `pwritev` (1024).
_BATCH_PIECES = 256

Piece = bytes | memoryview


class Spool:
    """Receives the files of one form, one after the other, and closes them all if parsing the form fails."""

    def __init__(self) -> None:
        self._uploads: list[UploadFile] = []
        # Chunks of the current file.
        self._pieces: list[Piece] = []
        self._waiting_bytes = 0
        # Work for the next trip: the file, the chunks to append, the file's size, and whether it is then complete.
        self._writes: list[tuple[Any, list[Piece], int, bool]] = []
        # A task may be cancelled while its worker is still writing. Closing the files waits for the worker.
        self._lock = Lock()
        self._discarded = False

    def begin(self, upload: UploadFile) -> None:
        """Start the file of `upload`, which must be empty. The following chunks belong to it."""
        self._uploads.append(upload)

    def write(self, piece: Piece) -> None:
        """Add the next chunk. Once enough is collected, the next `flush` writes it."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)

    def end(self) -> None:
        """Complete the current file: the next `flush` writes and rewinds it."""
        self._settle(complete=True)

    async def flush(self) -> None:
        """Write what is due: to files in memory directly, to others in one trip to a worker thread.

        Raises:
            OSError: writing to disk failed.
        """
        if self._pieces:
            self._settle(complete=False)
        if self._writes:
            writes, self._writes = self._writes, []
            await run_in_threadpool(self._write_all, writes)

    async def discard(self) -> None:
        """Close every file, even if the task is cancelled."""
        if not self.on_disk:
            self.close_all()
            return
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(self.close_all)

    @property
    def on_disk(self) -> bool:
        """True if a file is on disk or about to be."""
        return self._lock.locked() or any(not upload._in_memory for upload in self._uploads)

    def close_all(self) -> None:
        """Close every file in the calling thread."""
        with self._lock:
            self._discarded = True
            for upload in self._uploads:
                # Closing flushes buffers. If that fails, the original error is the one to report.
                with suppress(OSError):
                    upload.file.close()

    def _settle(self, *, complete: bool) -> None:
        # Collected for files in memory too: writing five chunks one by one takes 14 us, together 6 us.
        if not complete and self._waiting_bytes < _BATCH_BYTES and len(self._pieces) < _BATCH_PIECES:
            return
        upload = self._uploads[-1]
        size = upload.size or 0
        if upload._will_roll(self._waiting_bytes):
            self._writes.append((upload.file, self._pieces, size, complete))
        else:
            _write(upload.file, self._pieces)
            if complete:
                upload.file.seek(0)
        upload.size = size + self._waiting_bytes
        self._pieces = []
        self._waiting_bytes = 0

    def _write_all(self, writes: list[tuple[Any, list[Piece], int, bool]]) -> None:
        with self._lock:
            for file, pieces, size, complete in writes:
                if self._discarded:
                    return
                _append(file, pieces, size)
                if complete:
                    file.seek(0)


def _write(file: Any, pieces: list[Piece]) -> None:
    """Write at the file's position. Chunks are written one by one if `write` may be overridden."""
    if type(file) is SpooledTemporaryFile:
        file.writelines(pieces)
        return
    for piece in pieces:
        file.write(piece)


def _append(file: Any, pieces: list[Piece], size: int) -> None:
    """Append to a file that is, or is about to be, on disk."""
    if type(file) is not SpooledTemporaryFile or not hasattr(os, "pwritev"):
        _write(file, pieces)
        return
    # Written directly to disk, many chunks at a time, in two thirds of the time of `write`. The file's own position
    # does not move, so it needs no update.
    descriptor = file.fileno()  # moves the content from memory to disk
    for start in range(0, len(pieces), _BATCH_PIECES):
        size = _write_at(size, descriptor, pieces[start : start + _BATCH_PIECES])


def _write_at(offset: int, descriptor: int, pieces: list[Piece]) -> int:
    """Write the chunks at `offset` and return the offset after them."""
    end = offset + sum(map(len, pieces))
    written = offset + os.pwritev(descriptor, pieces, offset)
    if written < end:
        # Interrupted, or the disk is almost full: the next call raises in that case.
        rest = memoryview(b"".join(pieces))
        while written < end:
            written += os.pwrite(descriptor, rest[written - offset :], written)
    return end
