"""One request on the event loop of the test, with everything between client and application that a server would do."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from pallasite._testing.background import Background
from pallasite.types import ASGIApp, Message, Scope

__all__ = ["Faults", "Served", "where"]


@dataclass(frozen=True)
class Faults:
    """What a client or a network does to a request. None leaves a fault out.

    Attributes:
        chunk_size: the body arrives in parts of this many bytes.
        cut_body_after: the client disconnects after this many bytes of the request's body.
        cut_response_after: the client disconnects after this many bytes of the response's body.
    """

    chunk_size: int | None = None
    cut_body_after: int | None = None
    cut_response_after: int | None = None


# Whose frames say nothing about an application.
_NOT_OWN = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"))


class Served:
    """A request that an application responds to.

    Attributes:
        status: None before the response has started.
        started: set once it has started or the application has returned.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: AsyncIterator[bytes] | bytes,
        faults: Faults,
        note: Callable[[str, Message], object] | None,
    ) -> None:
        self._app = app
        self._scope = scope
        self._body: _Parts | None = _Parts(body, faults.chunk_size)
        self._faults = faults
        self._note = note
        self._received = 0
        self._raises = scope["asgi"]["spec_version"] >= "2.4"
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.trailers: list[tuple[bytes, bytes]] | None = None
        self.debug_info: dict[str, Any] | None = None
        self.size = 0
        self.complete = False
        self.is_cut = False  # by a fault
        self.started = anyio.Event()
        self._gone = anyio.Event()
        # Only with a reader that takes the chunks as they come.
        self.chunks: list[bytes] = []
        self._is_live = False
        self._wanted = anyio.Event()
        self._arrived = anyio.Event()
        self.task: Background | None = None

    async def run(self) -> None:
        """Run the application until it returns."""
        try:
            await self._app(self._scope, self.receive, self.send)
        finally:
            self._gone.set()
            self.started.set()
            self._arrived.set()

    def run_beside(self) -> None:
        """Run the application in a task of its own. The body is read with `read`."""
        self._is_live = True
        self.task = Background(self.run)

    def disconnect(self) -> None:
        """Let the application see that the client has gone."""
        self._gone.set()
        self._wanted.set()

    async def receive(self) -> Message:
        message = await self._next()
        if self._note is not None:
            self._note("receive", message)
        return message

    async def _next(self) -> Message:
        if self._body is not None and not self._gone.is_set():
            chunk, more = await self._body.next()
            cut = self._faults.cut_body_after
            if cut is not None and self._received + len(chunk) >= cut:
                chunk, more = chunk[: cut - self._received], True
                self.is_cut = True
                self._gone.set()
            self._received += len(chunk)
            if not more:
                self._body = None
            return {"type": "http.request", "body": chunk, "more_body": more}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message of the application.

        Raises:
            AssertionError: the message is out of order.
            OSError: the client has gone. From ASGI 2.4 on; before, messages are lost.
        """
        if self._note is not None:
            self._note("send", message)
        if self._gone.is_set() and not self.complete:
            await anyio.lowlevel.checkpoint()
            if self._raises:
                raise OSError("the client has disconnected")
            return
        kind = message["type"]
        if kind == "http.response.start":
            assert self.status is None, "the application has started the response twice"
            self.headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self.trailers = [] if message.get("trailers", False) else None
            self.status = message["status"]
            self.started.set()
        elif kind == "http.response.body":
            assert self.status is not None, "the application has sent a body before the start of the response"
            assert not self.complete, "the application has sent a body after the end of the response"
            await self._take(bytes(message.get("body", b"")))
            if not message.get("more_body", False) and self.trailers is None:
                self._finish()
        elif kind == "http.response.trailers":
            assert self.trailers is not None, "the application has sent trailers without announcing them"
            self.trailers.extend(message.get("headers", ()))
            if not message.get("more_trailers", False):
                self._finish()
        elif kind == "http.response.debug":
            self.debug_info = message["info"]

    async def _take(self, chunk: bytes) -> None:
        cut = self._faults.cut_response_after
        if cut is not None and self.size + len(chunk) >= cut:
            chunk = chunk[: cut - self.size]
            self.is_cut = True
            self.disconnect()
        self.size += len(chunk)
        if chunk:
            self.chunks.append(chunk)
        if self._is_live:
            self._arrived.set()
            if not self._gone.is_set():
                # As a server does: a slow reader holds the application up.
                await self._wanted.wait()
                self._wanted = anyio.Event()
        else:
            await anyio.lowlevel.checkpoint()  # otherwise an endless body could not be cancelled

    def _finish(self) -> None:
        self.complete = True
        self._gone.set()
        self._arrived.set()

    async def read(self) -> bytes | None:
        """Return the next part of the body, None after the last one."""
        while not self.chunks:
            if self.complete or self._gone.is_set():
                return None
            self._arrived = anyio.Event()
            self._wanted.set()
            await self._arrived.wait()
        return self.chunks.pop(0)


class _Parts:
    """The request's body in the parts that arrive, each with whether there is more."""

    def __init__(self, body: AsyncIterator[bytes] | bytes, size: int | None) -> None:
        self._live = None if isinstance(body, bytes) else aiter(body)
        self._rest = body if isinstance(body, bytes) else b""
        self._size = size or max(len(self._rest), 1)

    async def next(self) -> tuple[bytes, bool]:
        if self._live is not None:
            chunk = await anext(self._live, None)
            return (b"", False) if chunk is None else (chunk, True)
        chunk, self._rest = self._rest[: self._size], self._rest[self._size :]
        return chunk, bool(self._rest)


def where(error: BaseException | None) -> str:
    """Return where the application was when it was cancelled: file, line, function and source of its own frames."""
    frames = traceback.extract_tb(None if error is None else error.__traceback__)
    own = [
        frame for frame in frames if not frame.filename.startswith(_NOT_OWN) and "site-packages" not in frame.filename
    ]
    return "".join(f"\n  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in own[-3:])
