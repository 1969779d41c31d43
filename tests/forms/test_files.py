"""Where the files of forms are kept, and what closes them."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from tempfile import SpooledTemporaryFile
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pallasite import formparsers
from pallasite._files.spool import Spool
from pallasite.datastructures import Headers, UploadFile
from pallasite.formparsers import MultiPartException, MultiPartParser
from pallasite.requests import ClientDisconnect, Request
from tests.forms.bodies import END, FILE_HEAD, MB, MULTIPART, field, file_of, in_pieces, new_parser, new_request

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 4 * 3000  # 3 MB


@pytest.mark.parametrize("size", [1000, 65_536, 3 * MB, 10 * MB])
@pytest.mark.parametrize("write", ["pwritev", "in part", "write"])
async def test_large_file_is_on_disk_whole(
    size: int, write: str, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if write == "in part":
        if not hasattr(os, "pwritev"):
            pytest.skip("the platform has none")
        # As when a signal interrupts it, or the disk is almost full.
        monkeypatch.setattr(os, "pwritev", lambda file, pieces, at: os.pwrite(file, b"".join(pieces)[:7000], at))
    elif write == "write":
        monkeypatch.delattr(os, "pwritev", raising=False)
    body = FILE_HEAD + CONTENT + b"\r\n" + field("a", "1") + FILE_HEAD + b"small" + END
    form = await MultiPartParser(Headers({"content-type": MULTIPART}), in_pieces(body, size)).parse()
    large, small = form.getlist("file")
    assert isinstance(large, UploadFile)
    assert isinstance(small, UploadFile)
    assert [large._in_memory, small._in_memory] == [False, True]
    assert (large.size, small.size) == (len(CONTENT), 5)
    assert await large.read() == CONTENT
    assert await small.read() == b"small"
    await large.seek(256)
    assert await large.read(3) == b"\x00\x01\x02"
    await large.write(b"!")
    await large.seek(259)
    assert await large.read(2) == b"!\x04"
    await form.close()
    assert all(file.closed for file in opened)


async def test_file_of_the_limit_stays_in_memory_and_one_byte_more_does_not() -> None:
    for extra in (0, 1):
        parser = new_parser(FILE_HEAD, b"x" * 99, b"x" * (1 + extra), END)
        parser.spool_max_size = 100
        form = await parser.parse()
        assert file_of(form)._in_memory is (extra == 0)
        assert len(await file_of(form).read()) == 100 + extra
        await form.close()


class Watched(SpooledTemporaryFile[bytes]):
    """Notes which threads touch the disk."""

    threads: set[int]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.threads = set()

    def rollover(self) -> None:
        self.threads.add(threading.get_ident())
        super().rollover()

    def write(self, data: Any) -> int:
        if vars(self)["_rolled"] or self.tell() + len(data) > MB:
            self.threads.add(threading.get_ident())
        return super().write(data)


@pytest.mark.parametrize("size", [10_000, 65_536, 3 * MB])
async def test_disk_is_touched_in_worker_threads_only(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Watched)
    body = FILE_HEAD + CONTENT + END
    form = await MultiPartParser(Headers({"content-type": MULTIPART}), in_pieces(body, size)).parse()
    file: Any = file_of(form).file
    assert file.threads
    assert threading.get_ident() not in file.threads
    assert await file_of(form).read() == CONTENT
    await form.close()


async def test_file_class_with_its_own_write_is_written_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    class Noting(SpooledTemporaryFile):  # type: ignore[type-arg]
        def write(self, data: Any) -> int:
            written.append(bytes(data))
            return super().write(data)

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Noting)
    form = await new_parser(FILE_HEAD + b"one", b"two", END).parse()
    assert b"".join(written) == b"onetwo" == await file_of(form).read()
    await form.close()


async def test_memory_stays_flat_however_long_the_file() -> None:
    piece = bytes(65_536)

    async def body() -> AsyncGenerator[bytes, None]:
        yield FILE_HEAD
        for _ in range(32 * 16):
            yield piece + b""
        yield END

    tracemalloc.start()
    try:
        form = await MultiPartParser(Headers({"content-type": MULTIPART}), body()).parse()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file_of(form).size == 32 * MB
    await form.close()
    assert peak < 6 * MB


async def test_tiny_chunks_are_not_gathered_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: list[int] = []
    write = os.pwritev

    def note(file: int, pieces: list[bytes], at: int) -> int:
        gathered.append(len(pieces))
        return write(file, pieces, at)

    monkeypatch.setattr(os, "pwritev", note)
    parser = new_parser(FILE_HEAD, *[b"x"] * 2000, END)
    parser.spool_max_size = 1
    form = await parser.parse()
    assert max(gathered) <= 256
    assert sum(gathered) == 2000
    assert await file_of(form).read() == b"x" * 2000
    await form.close()


@pytest.mark.parametrize("content", [b"x", b"x" * 2 * MB], ids=["memory", "disk"])
async def test_failing_stream_closes_the_files(content: bytes, opened: list[Any]) -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield FILE_HEAD + b"first\r\n"
        yield FILE_HEAD + content
        raise RuntimeError("the stream broke")

    with pytest.raises(RuntimeError, match="the stream broke"):
        await MultiPartParser(Headers({"content-type": MULTIPART}), body()).parse()
    assert [file.closed for file in opened] == [True, True]


async def test_disconnect_closes_the_files(opened: list[Any]) -> None:
    messages = [
        {"type": "http.request", "body": FILE_HEAD + b"x" * 2 * MB, "more_body": True},
        {"type": "http.disconnect"},
    ]
    request = new_request(b"", MULTIPART, app=True)

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(ClientDisconnect):
        await Request(request.scope, receive).form()
    assert [file.closed for file in opened] == [True]


@pytest.mark.skipif(not hasattr(os, "pwritev"), reason="the platform has no pwritev")
async def test_full_disk_is_raised_and_closes_the_files(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", refuse)
    with pytest.raises(OSError, match="No space left"):
        await new_request(FILE_HEAD + b"x" * 2 * MB + END, MULTIPART, app=True).form()
    assert [file.closed for file in opened] == [True]


async def test_file_that_fails_to_close_keeps_the_error_and_the_others_closed(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(SpooledTemporaryFile[bytes]):
        def close(self) -> None:
            super().close()
            raise OSError("no space left to flush to")

    def open_file(max_size: int) -> Any:
        opened.append((Stubborn if not opened else SpooledTemporaryFile)(max_size=max_size))
        return opened[-1]

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", open_file)
    with pytest.raises(MultiPartException):
        await new_parser(FILE_HEAD + b"\r\n" + FILE_HEAD + b"x").parse()
    assert [file.closed for file in opened] == [True, True]


@pytest.mark.parametrize("content", [b"x", b"x" * 3 * MB], ids=["memory", "disk"])
async def test_cancelled_form_closes_the_files(content: bytes, opened: list[Any]) -> None:
    waiting = anyio.Event()

    async def body() -> AsyncGenerator[bytes, None]:
        yield FILE_HEAD + content
        waiting.set()
        await anyio.sleep_forever()

    stream = body()
    async with anyio.create_task_group() as group:
        group.start_soon(MultiPartParser(Headers({"content-type": MULTIPART}), stream).parse)
        await waiting.wait()
        group.cancel_scope.cancel()
    assert [file.closed for file in opened] == [True]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancelled_while_a_worker_writes_closes_the_file_after_it(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio's own cancellation, as of `asyncio.wait_for`, does not wait for the worker."""
    writing, go_on = threading.Event(), threading.Event()
    outcome: list[bool] = []

    def write_slowly(file: Any, pieces: Any, size: int) -> None:
        writing.set()
        assert go_on.wait(30)
        outcome.append(file.closed)

    monkeypatch.setattr("pallasite._files.spool._append", write_slowly)
    parsing = asyncio.create_task(new_parser(FILE_HEAD + b"x" * 3 * MB, END).parse())
    await anyio.to_thread.run_sync(writing.wait, 30)
    parsing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await parsing
    assert outcome == [False]
    assert [file.closed for file in opened] == [True]


def test_spool_that_was_closed_before_its_worker_began_writes_nothing(opened: list[Any]) -> None:
    spool = Spool()
    file: Any = formparsers.SpooledTemporaryFile(max_size=1)  # type: ignore[attr-defined]
    spool.begin(UploadFile(file, size=0))
    spool.write(b"content")
    spool.end()
    spool.close_all()
    writing = spool.flush()
    with pytest.raises(StopIteration):
        run_here(writing)
    assert [file.closed for file in opened] == [True]


def run_here(writing: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pallasite._files.spool.run_in_threadpool", call_here)
        writing.send(None)


async def call_here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class Forever:
    def __await__(self) -> Any:
        yield


@pytest.mark.parametrize("begin", [FILE_HEAD, field("a", "1")], ids=["file", "field"])
def test_abandoned_coroutine_closes_the_files(begin: bytes, opened: list[Any]) -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield begin
        await Forever()

    parser = MultiPartParser(Headers({"content-type": MULTIPART}), body())
    parsing = parser.parse()
    parsing.send(None)
    for file in opened:
        file.write(b"x" * 2 * MB)
    parsing.close()
    assert [file.closed for file in opened] == [True] * (begin == FILE_HEAD)
