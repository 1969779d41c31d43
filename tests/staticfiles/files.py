"""Requests for static files, and their responses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pallasite import staticfiles
from pallasite._files.lookup import OpenFile
from pallasite.datastructures import Headers
from pallasite.staticfiles import StaticFiles
from pallasite.types import Scope
from tests.support.asgi import Sent, never, scope_of

WRITTEN = 1_750_000_000  # Sun, 15 Jun 2025 15:06:40 GMT
BIG = bytes(range(256)) * 4 * 1024 * 3 + b"the end"  # above 3 MB: several reads, many messages
SMALL = b"/* iron and crystal */"


def _unknown(*args: Any) -> Any:
    raise BlockingIOError


def _nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staticfiles, "find_cached", _unknown)
    monkeypatch.setattr(OpenFile, "read_cached", lambda self, offset, size: None)


def _fill(root: Path) -> None:
    files = {
        "small.css": SMALL,
        "empty.txt": b"",
        "big.bin": BIG,
        "archive.tar.gz": b"not really",
        "no-extension": b"?",
        "dir/index.html": b"<h1>index</h1>",
        "dir/page.html": b"<h1>page</h1>",
        "bare/file.js": b"1",
        "ümlaut äß.txt": "grüß".encode(),
        "..hidden": b"two dots",
        "404.html": b"<h1>not here</h1>",
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (WRITTEN, WRITTEN))


def _scope(path: str, headers: dict[str, str] | None = None, method: str = "GET", **more: Any) -> Scope:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    raw.append((b"host", b"example.org"))
    scope = {"server": ("example.org", 80), "asgi": {"spec_version": "2.4"}, **more}
    return scope_of(path, method=method, headers=raw, **scope)


class Answer:
    """The response that an application sent."""

    def __init__(self, sent: list[Any]) -> None:
        start, *bodies = sent
        self.status: int = start["status"]
        self.headers: list[tuple[bytes, bytes]] = start["headers"]
        self.sizes = [len(message.get("body", b"")) for message in bodies]
        self.body = b"".join(message.get("body", b"") for message in bodies)
        assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]

    def header(self, name: str) -> str | None:
        return Headers(raw=self.headers).get(name)


async def _answer(app: Any, scope: Scope) -> Answer:
    """The answer, an HTTPException made one of its status."""
    sent = Sent()
    try:
        await app(scope, never, sent)
    except Exception as error:
        # Starlette's own class counts as well: it is the reference here.
        if type(error).__name__ != "HTTPException" or sent:
            raise
        status = getattr(error, "status_code")  # noqa: B009
        headers = getattr(error, "headers") or {}  # noqa: B009
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        return Answer([{"status": status, "headers": raw}, {"body": b""}])
    return Answer(sent)


class _Hooked(StaticFiles):
    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path)
