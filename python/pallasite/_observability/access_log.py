"""The access log. A request leaves a few values in a queue, and a thread formats and writes them.

Sources: RFC 8259 (JSON), Apache's Combined Log Format.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote_plus

from pallasite._core import find_header

__all__ = ["FORMATS", "AccessLog", "Entry"]

#: Where lines go. Without a handler of its own it writes to standard output.
logger = logging.getLogger("pallasite.access")

# About ten seconds of a busy process. Beyond that lines are dropped and counted, so that memory is bounded.
CAPACITY = 50_000
# Lines are written together: a thread that wakes up for each would compete with the event loop.
SECONDS_BETWEEN_WRITES = 0.05

HIDDEN = "[hidden]"
# Everything that could end a line, a quoted string, or confuse a terminal.
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


class Entry(NamedTuple):
    """One line of the log. Times are in seconds since 1970, durations in microseconds."""

    time: float
    kind: str
    request_id: str | None
    trace_id: int | None
    client: str | None
    method: str
    path: str
    query: bytes
    http_version: str
    route: str | None
    status: int
    size: int
    duration: int
    first_byte: int
    client_gone: bool
    error: str | None
    headers: Iterable[tuple[bytes, bytes]]


class AccessLog:
    """Writes entries in a thread of its own, which the first entry starts. Does not block the caller.

    Args:
        format: one of `FORMATS`.
        hidden: names of query parameters whose values are not written.
    """

    def __init__(self, format: Callable[[Entry, str], str], hidden: Iterable[str]) -> None:
        self._format = format
        self._hidden = frozenset(name.lower() for name in hidden)
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # threads do not survive a fork
        atexit.register(self.flush)

    def _forget(self) -> None:
        self._entries: deque[Entry] = deque()
        self._waiting = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._dropped = 0

    def add(self, entry: Entry) -> None:
        """Put an entry in the queue. It is dropped if the queue is full."""
        if len(self._entries) >= CAPACITY:
            self._dropped += 1
            return
        self._entries.append(entry)
        if not self._waiting.is_set():
            self._waiting.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pallasite access log", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write everything in the queue."""
        with self._writing:
            handler = None if logger.hasHandlers() else logging.StreamHandler(sys.stdout)
            while self._entries:
                self._write(self._line(self._entries.popleft()), logging.INFO, handler)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self._write(f"{dropped} lines of the access log were dropped", logging.WARNING, handler)

    def _run(self) -> None:
        while True:
            self._waiting.wait()
            time.sleep(SECONDS_BETWEEN_WRITES)
            self._waiting.clear()  # before the queue is read, so that no entry is left behind
            self.flush()

    def _line(self, entry: Entry) -> str:
        return self._format(entry, self._query(entry.query))

    def _query(self, query: bytes) -> str:
        text = query.decode("latin-1")
        if not self._hidden:
            return text
        return "&".join(self._parameter(part) for part in text.split("&"))

    def _parameter(self, text: str) -> str:
        name, equals, _ = text.partition("=")
        return f"{name}={HIDDEN}" if equals and unquote_plus(name).lower() in self._hidden else text

    def _write(self, line: str, level: int, handler: logging.Handler | None) -> None:
        record = logger.makeRecord(logger.name, level, "(access log)", 0, "%s", (line,), None)
        try:
            if handler is not None:
                handler.emit(record)
            elif logger.isEnabledFor(level):
                logger.handle(record)
        except Exception:  # a handler's own fault ends neither the thread nor the interpreter's exit
            sys.stderr.write("a handler of the logger pallasite.access failed\n")


def json_line(entry: Entry, query: str) -> str:
    """Return an entry as a JSON object, without members that say nothing."""
    at = datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="milliseconds")
    members = {
        "time": at.replace("+00:00", "Z"),
        "type": entry.kind,
        "request_id": entry.request_id,
        "trace_id": None if entry.trace_id is None else f"{entry.trace_id:032x}",
        "client": entry.client,
        "method": entry.method,
        "path": entry.path,
        "query": query or None,
        "route": entry.route,
        "status": entry.status,
        "bytes": entry.size,
        "duration": entry.duration / 1_000_000,
        "first_byte": entry.first_byte / 1_000_000,
        "client_gone": entry.client_gone or None,
        "error": entry.error,
    }
    return json.dumps({name: value for name, value in members.items() if value is not None})


def combined_line(entry: Entry, query: str) -> str:
    """Return an entry in the Combined Log Format. The user's name is not known, so it is a hyphen."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(entry.time))
    target = f"{entry.path}?{query}" if query else entry.path
    request = f"{entry.method} {target} HTTP/{entry.http_version}"
    referer, agent = (find_header(entry.headers, name) or "-" for name in ("referer", "user-agent"))
    return (
        f'{_safe(entry.client or "-")} - - [{at}] "{_safe(request)}" {entry.status} {entry.size or "-"}'
        f' "{_safe(referer)}" "{_safe(agent)}"'
    )


def _safe(text: str) -> str:
    """Return the text with quotation marks, backslashes and all but visible ASCII as escapes, as Apache writes them."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return "\\" + character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


FORMATS: dict[str, Callable[[Entry, str], str]] = {"json": json_line, "combined": combined_line}
