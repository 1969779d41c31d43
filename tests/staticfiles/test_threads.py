"""Static files: trips to a worker thread, and other tasks in the meantime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pallasite._files import lookup
from pallasite.responses import FileResponse
from pallasite.staticfiles import StaticFiles
from tests.staticfiles.files import BIG, _answer, _nothing_in_memory, _scope
from tests.support.asgi import always

pytestmark = pytest.mark.anyio


def _in_memory(root: Path, name: str) -> bool:
    try:
        found = lookup.find_cached(root, name, False)
    except BlockingIOError:
        return False
    return found is not None and found.file is not None and found.file.read_cached(0, 1) is not None


@pytest.mark.parametrize(("path", "headers", "method"), [
    ("/small.css", {}, "GET"),
    ("/small.css", {}, "HEAD"),
    ("/small.css", {"range": "bytes=1-2"}, "GET"),
    ("/small.css", {"if-none-match": "*"}, "GET"),
    ("/big.bin", {}, "GET"),
    ("/dir/", {}, "GET"),
    ("/dir", {}, "GET"),
])  # fmt: skip
async def test_file_in_memory_takes_no_trip_to_a_thread(
    root: Path, trips: list[str], path: str, headers: dict[str, str], method: str
) -> None:
    for name in ("small.css", "big.bin", "dir/index.html"):
        (root / name).read_bytes()
        if not _in_memory(root, name):
            pytest.skip("this system cannot say what it has in memory")
    app = StaticFiles(directory=root, html=True)
    app.config_checked = True
    assert (await _answer(app, _scope(path, headers, method))).status < 400
    assert trips == []


@pytest.mark.parametrize("path", ["/small.css", "/dir/", "/missing", "/dir"])
async def test_file_on_disk_takes_one_trip(
    root: Path, trips: list[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    _nothing_in_memory(monkeypatch)
    app = StaticFiles(directory=root, html=True)
    app.config_checked = True
    await _answer(app, _scope(path))
    assert len(trips) == 1


async def test_big_file_on_disk_is_read_a_megabyte_at_a_time(
    root: Path, trips: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _nothing_in_memory(monkeypatch)
    app = StaticFiles(directory=root)
    app.config_checked = True
    assert (await _answer(app, _scope("/big.bin"))).body == BIG
    assert len(trips) == -(-len(BIG) // (1024 * 1024))


async def test_other_tasks_run_while_a_big_file_is_sent(root: Path, storage: str) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        app = StaticFiles(directory=root)
        app.config_checked = True
        group.start_soon(other)
        await _answer(app, _scope("/big.bin"))
        group.cancel_scope.cancel()
    assert turns >= 2


@pytest.mark.parametrize("chunk_size", [1000, 300 * 1024, 2 * 1024 * 1024])
async def test_chunk_size_is_the_size_of_messages(
    root: Path, storage: str, monkeypatch: pytest.MonkeyPatch, chunk_size: int
) -> None:
    monkeypatch.setattr(FileResponse, "chunk_size", chunk_size)
    (root / "medium.bin").write_bytes(BIG[: 400 * 1024])
    for name in ("medium.bin", "big.bin"):
        answer = await _answer(StaticFiles(directory=root), _scope(f"/{name}"))
        assert answer.body == (root / name).read_bytes()
        assert max(answer.sizes) == min(chunk_size, len(answer.body))


async def test_disconnect_ends_the_sending(root: Path, storage: str) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        await anyio.lowlevel.checkpoint()

    await StaticFiles(directory=root)(
        _scope("/big.bin", asgi={"spec_version": "2.0"}), always({"type": "http.disconnect"}), send
    )
    assert sum(len(message.get("body", b"")) for message in sent) < len(BIG)
