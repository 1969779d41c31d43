"""The SQLite file behind the demo, used from worker threads so that the event loop never waits for the disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from .words import Summary

Result = TypeVar("Result")

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    created REAL NOT NULL,
    words INTEGER,
    seconds INTEGER,
    common TEXT
);
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    salt BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    token TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    created REAL NOT NULL
);
"""

#: SQLite's rowid is a signed 64-bit number; a larger one in an address cannot be a note.
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Note:
    id: int
    author: str
    text: str
    created: float
    summary: Summary | None


@dataclass(frozen=True)
class Account:
    name: str
    salt: bytes
    digest: bytes


@dataclass(frozen=True)
class StoredFile:
    token: str
    name: str
    size: int
    created: float


class Store:
    """Notes, accounts and file names in one SQLite database.

    One connection, one piece of work at a time, each in a worker thread and a transaction of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Create the file and its tables if they are missing.

        The lifespan calls this; a server without lifespan support gets the same at the first query.
        """
        await self._run(lambda connection: None)

    async def close(self) -> None:
        def work() -> None:
            with self._turn:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

        await anyio.to_thread.run_sync(work)

    async def add_note(self, author: str, text: str) -> Note:
        created = time.time()

        def work(connection: sqlite3.Connection) -> int | None:
            query = "INSERT INTO notes (author, text, created) VALUES (?, ?, ?)"
            return connection.execute(query, (author, text, created)).lastrowid

        note_id = await self._run(work)
        assert note_id is not None  # an INSERT always gives one
        return Note(note_id, author, text, created, None)

    async def set_summary(self, note_id: int, summary: Summary) -> None:
        values = (summary.words, summary.seconds, " ".join(summary.common), note_id)
        query = "UPDATE notes SET words = ?, seconds = ?, common = ? WHERE id = ?"
        await self._run(lambda connection: connection.execute(query, values))

    async def note(self, note_id: int) -> Note | None:
        if not 0 < note_id <= MAX_ID:
            return None
        query = "SELECT * FROM notes WHERE id = ?"
        row = await self._run(lambda connection: connection.execute(query, (note_id,)).fetchone())
        return _note(row) if row else None

    async def notes(self, search: str = "", limit: int = 10, offset: int = 0) -> tuple[list[Note], int]:
        """The newest notes first whose text or author contains `search`, and how many there are in all."""
        pattern = f"%{_escape_like(search)}%"
        where = r"FROM notes WHERE text LIKE ? ESCAPE '\' OR author LIKE ? ESCAPE '\'"

        def work(connection: sqlite3.Connection) -> tuple[list[sqlite3.Row], int]:
            rows = connection.execute(
                f"SELECT * {where} ORDER BY id DESC LIMIT ? OFFSET ?", (pattern, pattern, limit, offset)
            ).fetchall()
            return rows, connection.execute(f"SELECT COUNT(*) {where}", (pattern, pattern)).fetchone()[0]

        rows, total = await self._run(work)
        return [_note(row) for row in rows], total

    async def delete_note(self, note_id: int) -> bool:
        """True if there was such a note."""
        if not 0 < note_id <= MAX_ID:
            return False
        query = "DELETE FROM notes WHERE id = ?"
        return await self._run(lambda connection: connection.execute(query, (note_id,)).rowcount) == 1

    async def account(self, name: str) -> Account | None:
        """The account of that name, whatever its capitals."""
        query = "SELECT name, salt, digest FROM accounts WHERE name = ?"
        row = await self._run(lambda connection: connection.execute(query, (name,)).fetchone())
        return Account(*row) if row else None

    async def add_account(self, account: Account) -> Account:
        """Store `account` and return it, or the one that somebody else stored under this name meanwhile."""
        values = (account.name, account.salt, account.digest)
        query = "INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        await self._run(lambda connection: connection.execute(query, values))
        return await self.account(account.name) or account

    async def add_file(self, file: StoredFile) -> None:
        values = (file.token, file.name, file.size, file.created)
        await self._run(lambda connection: connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", values))

    async def file(self, token: str) -> StoredFile | None:
        query = "SELECT token, name, size, created FROM files WHERE token = ?"
        row = await self._run(lambda connection: connection.execute(query, (token,)).fetchone())
        return StoredFile(*row) if row else None

    async def files(self, limit: int = 100) -> list[StoredFile]:
        """The newest files first."""
        query = "SELECT token, name, size, created FROM files ORDER BY created DESC LIMIT ?"
        rows = await self._run(lambda connection: connection.execute(query, (limit,)).fetchall())
        return [StoredFile(*row) for row in rows]

    async def delete_file(self, token: str) -> bool:
        """True if there was such a file."""
        query = "DELETE FROM files WHERE token = ?"
        return await self._run(lambda connection: connection.execute(query, (token,)).rowcount) == 1

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await anyio.to_thread.run_sync(self._in_turn, work)

    def _in_turn(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._turn:
            if self._connection is None:
                self._connection = _connect(self.path)
            with self._connection:
                return work(self._connection)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    return connection


def _note(row: sqlite3.Row) -> Note:
    summary = None
    if row["words"] is not None:
        summary = Summary(row["words"], row["seconds"], tuple(row["common"].split()))
    return Note(row["id"], row["author"], row["text"], row["created"], summary)


def _escape_like(text: str) -> str:
    r"""`text` with LIKE's wildcards taken literally: `100%` finds a percent sign."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return text
