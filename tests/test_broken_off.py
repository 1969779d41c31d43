"""Streams and downloads that are broken off: generators are closed in their context, and background tasks run.

Sources: the ASGI specification, version 2.3 (a message reports the disconnect) and 2.4 (`send` raises OSError).
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite._compat import mode
from pallasite._runtime import disconnect
from pallasite._runtime.read_ahead import MOST_ITEMS
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.concurrency import iterate_in_threadpool
from pallasite.exceptions import ClientDisconnect
from pallasite.requests import Request
from pallasite.responses import FileResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route
from pallasite.staticfiles import StaticFiles
from tests.support.asgi import STALL_SECONDS, scope_of

span: contextvars.ContextVar[str | None] = contextvars.ContextVar("span", default=None)
VERSIONS = ["2.3", "2.4"]


async def visit(app: Any, version: str, path: str = "/", *, after: int = 4) -> list[Any]:
    """The messages that the application sends to a client that leaves after the given number of them."""
    sent: list[Any] = []
    asked = False
    gone = anyio.Event()

    async def receive() -> Any:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) >= after:
            gone.set()
            if version == "2.4":
                raise ConnectionResetError("the client has gone")
            await anyio.sleep_forever()  # a full buffer
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(STALL_SECONDS):
        await app(scope_of(path, asgi={"version": "3.0", "spec_version": version}), receive, send)
    return sent


def streaming(body: Any, background: BackgroundTask | None = None) -> Pallasite:
    async def endpoint(request: Request) -> Response:
        return StreamingResponse(body, background=background)

    return Pallasite(routes=[Route("/", endpoint)])


@pytest.mark.parametrize("version", VERSIONS)
async def test_async_generator_is_closed_in_its_own_context(version: str, anyio_backend_name: str) -> None:
    events: list[str] = []

    async def rows() -> AsyncIterator[bytes]:
        token = span.set("export")
        try:
            while True:
                yield b"x"
        finally:
            await anyio.lowlevel.checkpoint()  # not cancelled
            span.reset(token)  # a ValueError in another context
            events.append("closed")

    kept = rows()  # so that the garbage collector does not help
    await visit(streaming(kept), version)
    assert events == ["closed"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_sync_generator_is_closed_in_its_own_context(version: str, anyio_backend_name: str) -> None:
    events: list[Any] = []

    def rows() -> Iterator[bytes]:
        token = span.set("export")
        try:
            while True:
                events.append(span.get())
                yield b"x"
        finally:
            span.reset(token)
            events.append(threading.current_thread() is not threading.main_thread())

    kept = rows()
    await visit(streaming(kept), version)
    assert set(events[:-1]) == {"export"}
    assert events[-1] is True
    assert span.get() is None


async def test_sync_generator_that_ends_has_one_context(anyio_backend_name: str) -> None:
    def rows() -> Iterator[str]:
        token = span.set("export")
        for _ in range(3):
            yield str(span.get())
        span.reset(token)

    assert [item async for item in iterate_in_threadpool(rows())] == ["export"] * 3


async def test_iterator_without_close_is_left(anyio_backend_name: str) -> None:
    items = iter(range(100))
    iteration: Any = iterate_in_threadpool(items)
    assert await anext(iteration) == 0
    await iteration.aclose()
    left = list(items)
    assert left == list(range(100 - len(left), 100))
    assert len(left) >= 100 - MOST_ITEMS


async def test_iterator_that_cannot_be_closed_is_broken_off(anyio_backend_name: str) -> None:
    class Endless:
        def __aiter__(self) -> Endless:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

    assert len(await visit(streaming(Endless()), "2.4")) == 4


async def test_generator_that_does_not_end_its_clean_up_is_given_up(
    anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disconnect, "CLEAN_UP_SECONDS", 0)

    async def rows() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            await anyio.sleep_forever()

    assert len(await visit(streaming(rows()), "2.4")) == 4


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["/file", "/stream", "/static/big.bin"])
async def test_download_broken_off_is_no_error_and_its_background_task_runs(
    path: str, version: str, tmp_path: Path, anyio_backend_name: str
) -> None:
    (tmp_path / "big.bin").write_bytes(bytes(3_000_000))
    ran: list[bool] = []

    async def clean() -> None:
        ran.append(True)

    async def download(request: Request) -> Response:
        return FileResponse(tmp_path / "big.bin", background=BackgroundTask(clean))

    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield b"x"

        return StreamingResponse(chunks(), background=BackgroundTask(clean))

    routes = [Route("/file", download), Route("/stream", stream), Mount("/static", StaticFiles(directory=tmp_path))]
    await visit(Pallasite(routes=routes), version, path)
    assert ran == ([] if path == "/static/big.bin" else [True])


async def test_file_broken_off_outside_an_application_is_a_disconnect(
    tmp_path: Path, anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "big.bin").write_bytes(bytes(3_000_000))
    with pytest.raises(ClientDisconnect):
        await visit(FileResponse(tmp_path / "big.bin"), "2.4")
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    with pytest.raises(ConnectionResetError):
        await visit(FileResponse(tmp_path / "big.bin"), "2.4")


async def test_os_error_of_the_application_is_not_taken_for_a_disconnect(anyio_backend_name: str) -> None:
    async def rows() -> AsyncIterator[bytes]:
        yield b"x"
        raise FileNotFoundError("data.csv")

    with pytest.raises(FileNotFoundError, match=r"data\.csv"):
        await visit(StreamingResponse(rows()), "2.4", after=9)


def test_stream_that_is_discarded_with_its_event_loop_awaits_nothing() -> None:
    class Endless:
        def __aiter__(self) -> Endless:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

        async def aclose(self) -> None:
            raise AssertionError("awaited")

    class Waiting:
        def __await__(self) -> Any:
            yield

    async def send(message: Any) -> None:
        await Waiting()

    sending = StreamingResponse(Endless()).stream_response(send)
    sending.send(None)
    sending.close()
