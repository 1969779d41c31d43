"""Uploaded files on their way to where they are kept: memory while small, the disk beyond, in a worker thread."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Any

import anyio

from pallasite.concurrency import run_in_threadpool
from pallasite.datastructures import UploadFile

# Bytes that are gathered for one trip to the worker thread, which costs about 0.1 ms.
_BATCH_BYTES = 1024 * 1024

Piece = bytes | memoryview


class Spool:
    """Takes the files of one form, one after the other, and closes them all if the form comes to nothing."""

    def __init__(self) -> None:
        self._uploads: list[UploadFile] = []
        # Of the file that comes in now.
        self._pieces: list[Piece] = []
        self._waiting_bytes = 0
        # What the next trip does: append these pieces to this file, and whether the file is complete then.
        self._writes: list[tuple[Any, list[Piece], bool]] = []
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
        """Writes what is due: small files at once, for they are in memory, others in one trip to a worker thread.

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
        upload = self._uploads[-1]
        if upload._will_roll(self._waiting_bytes):
            if not complete and self._waiting_bytes < _BATCH_BYTES:
                return
            self._writes.append((upload.file, self._pieces, complete))
        else:
            for piece in self._pieces:
                upload.file.write(piece)
            if complete:
                upload.file.seek(0)
        assert upload.size is not None, "a file in a spool counts its bytes"
        upload.size += self._waiting_bytes
        self._pieces = []
        self._waiting_bytes = 0

    def _write_all(self, writes: list[tuple[Any, list[Piece], bool]]) -> None:
        with self._lock:
            for file, pieces, complete in writes:
                if self._discarded:
                    return
                # The pieces go straight to disk, rather than through the memory that they would overflow.
                if pieces and getattr(file, "_rolled", True) is False:
                    file.rollover()
                for piece in pieces:
                    file.write(piece)
                if complete:
                    file.seek(0)
