"""Uploaded files on their way to where they are kept: memory while small, the disk beyond, in a worker thread."""

from __future__ import annotations

import os
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any

import anyio

from pallasite.concurrency import run_in_threadpool
from pallasite.datastructures import UploadFile

# Bytes that are gathered for one trip to the worker thread, which costs 0.1 to 0.3 ms.
_BATCH_BYTES = 2 * 1024 * 1024
# As many at most, small as they may be: each costs memory of its own. Also below what one `pwritev` takes (1024).
_BATCH_PIECES = 256

Piece = bytes | memoryview


class Spool:
    """Takes the files of one form, one after the other, and closes them all if the form comes to nothing."""

    def __init__(self) -> None:
        self._uploads: list[UploadFile] = []
        # Of the file that comes in now.
        self._pieces: list[Piece] = []
        self._waiting_bytes = 0
        # What the next trip does: append these pieces to this file, which is so long, and whether it is complete then.
        self._writes: list[tuple[Any, list[Piece], int, bool]] = []
        # A task may be cancelled while its worker still writes; whoever closes the files waits for that.
        self._lock = Lock()
        self._discarded = False

    def begin(self, upload: UploadFile) -> None:
        """The following pieces are `upload`'s, which is empty."""
        self._uploads.append(upload)

    def write(self, piece: Piece) -> None:
        """Takes the next piece. It is written by `flush` at the latest once there is enough."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)

    def end(self) -> None:
        """The file is complete: the next `flush` writes and rewinds it."""
        self._settle(complete=True)

    async def flush(self) -> None:
        """Writes what is due: to files in memory at once, to others in one trip to a worker thread.

        Raises OSError where the disk refuses.
        """
        if self._pieces:
            self._settle(complete=False)
        if self._writes:
            writes, self._writes = self._writes, []
            await run_in_threadpool(self._write_all, writes)

    async def discard(self) -> None:
        """Closes every file, also in a cancelled task."""
        if not self.on_disk:
            self.close_all()
            return
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(self.close_all)

    @property
    def on_disk(self) -> bool:
        """Whether a file is, or is about to be, on disk."""
        return self._lock.locked() or any(not upload._in_memory for upload in self._uploads)

    def close_all(self) -> None:
        """Closes every file here and now."""
        with self._lock:
            self._discarded = True
            for upload in self._uploads:
                # Closing writes what is buffered; where that fails the error that led here is the one to tell.
                with suppress(OSError):
                    upload.file.close()

    def _settle(self, *, complete: bool) -> None:
        # Gathered for the memory too: five pieces written one by one take 14 us, at once 6 us.
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
    """Writes at the file's position: one by one where `write` may be somebody else's."""
    if type(file) is SpooledTemporaryFile:
        file.writelines(pieces)
        return
    for piece in pieces:
        file.write(piece)


def _append(file: Any, pieces: list[Piece], size: int) -> None:
    """Appends to a file on disk, or one that is to go there."""
    if type(file) is not SpooledTemporaryFile or not hasattr(os, "pwritev"):
        _write(file, pieces)
        return
    # Straight to disk, many pieces at a time: two thirds of the time that `write` takes. The file's own position stays
    # where it was, which is why it need not be told.
    descriptor = file.fileno()  # moves what is in memory to disk
    for start in range(0, len(pieces), _BATCH_PIECES):
        size = _write_at(size, descriptor, pieces[start : start + _BATCH_PIECES])


def _write_at(offset: int, descriptor: int, pieces: list[Piece]) -> int:
    """Where the pieces end."""
    end = offset + sum(map(len, pieces))
    written = offset + os.pwritev(descriptor, pieces, offset)
    if written < end:
        # Interrupted, or the disk is almost full: the next call says which.
        rest = memoryview(b"".join(pieces))
        while written < end:
            written += os.pwrite(descriptor, rest[written - offset :], written)
    return end
