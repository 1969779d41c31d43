"""Files as responses: whole, in ranges, or handed to the server by path."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from mimetypes import guess_type
from secrets import token_hex
from typing import Protocol
from urllib.parse import quote

import anyio
import anyio.to_thread

from pallasite._compat.stock import original
from pallasite._http.conditional import entity_tag, last_modified
from pallasite._http.ranges import MalformedRangeHeader, RangeNotSatisfiable, parse_ranges
from pallasite._http.text import encode_text
from pallasite._responses.base import PlainTextResponse, Response, denial_send
from pallasite._runtime.disconnect import reports_disconnect_on_send, run_until_disconnect
from pallasite.background import BackgroundTask
from pallasite.datastructures import Headers, MutableHeaders
from pallasite.types import Receive, Scope, Send

__all__ = ["FileResponse", "MalformedRangeHeader", "RangeNotSatisfiable"]


class FileResponse(Response):
    """A file's bytes, with a length, an entity tag and the time of its last change.

    Answers Range requests, one range or several, and If-Range; a HEAD request gets the headers only. Where the server
    can send files itself (`http.response.pathsend`), it is given the path.

    `filename` is the name for the client to save it under. Without a `stat_result` the file is looked up when the
    response is sent; with one, that lookup is left out and the file trusted to be there.

    Attributes:
        chunk_size: bytes read and sent at once.
        max_ranges: more ranges than this in one request are answered with the whole file.

    Raises:
        RuntimeError: from the call, when the path is no regular file or the file ends before a range does.
    """

    chunk_size: int = 64 * 1024
    max_ranges: int = 100

    # Whether a server that can is given the path in place of the bytes.
    _sends_path: bool = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        filename: str | None = None,
        stat_result: os.stat_result | None = None,
        content_disposition_type: str = "attachment",
    ) -> None:
        self.path = path
        self.filename = filename
        self.background = background
        self.status_code = status_code
        self.media_type = media_type or guess_type(filename or path)[0] or "application/octet-stream"
        self.init_headers(headers)
        self.headers.setdefault("accept-ranges", "bytes")
        if filename is not None:
            self.headers.setdefault("content-disposition", _content_disposition(content_disposition_type, filename))
        self.stat_result = stat_result
        if stat_result is not None:
            self.set_stat_headers(stat_result)

    def set_stat_headers(self, stat_result: os.stat_result) -> None:
        """Adds the length, the date and the entity tag, which changes whenever size or date do."""
        self.headers.setdefault("content-length", str(stat_result.st_size))
        self.headers.setdefault("last-modified", last_modified(stat_result))
        self.headers.setdefault("etag", entity_tag(stat_result))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        method = scope["method"].upper() if is_http else "GET"
        if scope["type"] == "websocket":
            send = denial_send(scope, send)
        only_head = is_http and method == "HEAD"
        by_path = self._sends_path and is_http and "http.response.pathsend" in scope.get("extensions", {})
        found, file = await self._look_up(needs_bytes=not (only_head or by_path))
        try:
            ranges = self._requested_ranges(scope, method, found.st_size)
            if only_head:
                await self._send_head(send, ranges, found.st_size)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif by_path and not ranges:
                await self._send_head(send, ranges, found.st_size)
                await send({"type": "http.response.pathsend", "path": str(self.path)})
            else:
                sending = self._send_file(send, file, ranges, found.st_size)
                if not is_http or reports_disconnect_on_send(scope):
                    await sending
                else:
                    await run_until_disconnect(sending, _wait_for_disconnect, receive, scope)
        except MalformedRangeHeader as error:
            await PlainTextResponse(error.content, 400)(scope, receive, send)
            return
        except RangeNotSatisfiable as error:
            refusal = PlainTextResponse(status_code=416, headers={"content-range": f"bytes */{error.max_size}"})
            await refusal(scope, receive, send)
            return
        finally:
            if isinstance(file, anyio.AsyncFile):
                # Closing waits as well, and has to happen in a cancelled transfer too.
                with anyio.CancelScope(shield=True):
                    await file.aclose()
        if self.background is not None:
            await self.background()

    async def _look_up(self, *, needs_bytes: bool) -> tuple[os.stat_result, _Source | None]:
        """What the file is and, on the way there, the file itself: a trip to a worker thread costs 140 us."""
        file: _Source | None
        known = self.stat_result
        try:
            # Fast path: copies `anyio.open_file`; a trip to a worker thread, 140 us of 400 (bench: file-response).
            if needs_bytes and anyio.open_file is _STOCK_OPEN_FILE:
                found, file = await anyio.to_thread.run_sync(_open, self.path, known, self.chunk_size)
            else:
                file = None
                found = await anyio.to_thread.run_sync(_stat_file, self.path) if known is None else known
        except FileNotFoundError as error:
            raise RuntimeError(f"File at path {self.path} does not exist.") from error
        if known is None:
            self.set_stat_headers(found)
        return found, file

    def _requested_ranges(self, scope: Scope, method: str, size: int) -> list[tuple[int, int]]:
        """Empty for the whole file."""
        if self.status_code != 200 or method not in ("GET", "HEAD"):
            return []
        headers = Headers(scope=scope)
        header = headers.get("range")
        if header is None:
            return []
        condition = headers.get("if-range")
        # A weak tag says "much the same": not enough to join pieces on. Source: RFC 9110 section 13.1.5
        if condition is not None and condition not in (self.headers["etag"], self.headers["last-modified"]):
            return []
        if condition is not None and condition.startswith("W/"):
            return []
        return parse_ranges(header, size, self.max_ranges)

    async def _send_head(self, send: Send, ranges: list[tuple[int, int]], size: int) -> str:
        """Gives back the boundary between several ranges, empty with fewer."""
        headers = MutableHeaders(raw=list(self.raw_headers))
        boundary = ""
        if len(ranges) == 1:
            [(start, end)] = ranges
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
            headers["content-length"] = str(end - start)
        elif ranges:
            boundary = token_hex(13)
            length, _ = self.generate_multipart(ranges, boundary, size, self.headers["content-type"])
            headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
            headers["content-length"] = str(length)
        status = 206 if ranges else self.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers.raw})
        return boundary

    async def _send_file(self, send: Send, file: _Source | None, ranges: list[tuple[int, int]], size: int) -> None:
        boundary = await self._send_head(send, ranges, size)
        opened = None
        if file is None:
            file = opened = await anyio.open_file(self.path, mode="rb")
        try:
            if boundary:
                await self._send_parts(send, file, ranges, size, boundary)
            elif ranges:
                await file.seek(ranges[0][0])
                await self._send_bytes(send, file, ranges[0][1] - ranges[0][0])
            else:
                # Never more than announced, should the file grow meanwhile (a log): the server would break it off.
                is_announced = self.headers.get("content-length") == str(size)
                await self._send_bytes(send, file, size if is_announced else None)
        finally:
            if opened is not None:
                with anyio.CancelScope(shield=True):
                    await opened.aclose()

    async def _send_bytes(self, send: Send, file: _Source, left: int | None) -> None:
        """From where the file stands: `left` bytes, or all there are."""
        more_body = True
        while more_body:
            chunk = await file.read(self.chunk_size if left is None else min(self.chunk_size, left))
            more_body = len(chunk) == self.chunk_size
            if left is not None:
                left -= len(chunk)
                more_body = left > 0
                if more_body and not chunk:
                    raise self._too_short()
            await send({"type": "http.response.body", "body": chunk, "more_body": more_body})

    async def _send_parts(
        self, send: Send, file: _Source, ranges: list[tuple[int, int]], size: int, boundary: str
    ) -> None:
        _, part_header = self.generate_multipart(ranges, boundary, size, self.headers["content-type"])
        for start, end in ranges:
            await send({"type": "http.response.body", "body": part_header(start, end), "more_body": True})
            await file.seek(start)
            left = end - start
            while left > 0:
                chunk = await file.read(min(self.chunk_size, left))
                if not chunk:
                    raise self._too_short()
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"\r\n", "more_body": True})
        await send({"type": "http.response.body", "body": f"--{boundary}--".encode(), "more_body": False})

    def _too_short(self) -> RuntimeError:
        return RuntimeError(f"File at path {self.path} is shorter than expected.")

    def generate_multipart(
        self, ranges: Sequence[tuple[int, int]], boundary: str, max_size: int, content_type: str
    ) -> tuple[int, Callable[[int, int], bytes]]:
        """The length in bytes of a multipart/byteranges body, and a function that makes a part's header.

        Each part is the header of its (start, end), the bytes and CRLF; after the last one stands `--boundary--`.
        Source: RFC 9110 section 14.6.
        """

        def part_header(start: int, end: int) -> bytes:
            content_range = f"Content-Range: bytes {start}-{end - 1}/{max_size}"
            lines = (f"--{boundary}", f"Content-Type: {content_type}", content_range, "", "")
            return "\r\n".join(lines).encode("latin-1")

        parts = sum(len(part_header(start, end)) + end - start + len("\r\n") for start, end in ranges)
        return parts + len(f"--{boundary}--"), part_header


class _Source(Protocol):
    """What a file's bytes are read from."""

    async def seek(self, offset: int, /) -> int: ...
    async def read(self, size: int, /) -> bytes: ...


class _Loaded:
    """The face of an open file for one that is in memory already."""

    def __init__(self, content: bytes) -> None:
        self._buffer = io.BytesIO(content)

    async def seek(self, offset: int) -> int:
        return self._buffer.seek(offset)

    async def read(self, size: int) -> bytes:
        return self._buffer.read(size)


_STOCK_OPEN_FILE = original(anyio, "open_file")


def _stat_file(path: str | os.PathLike[str]) -> os.stat_result:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise RuntimeError(f"File at path {path} is not a file.")
    return found


def _open(
    path: str | os.PathLike[str], known: os.stat_result | None, chunk_size: int
) -> tuple[os.stat_result, _Source]:
    """Runs in a worker thread: stat, open and, for a file of one chunk, read and close.

    Looked at before it is opened: opening a pipe waits for somebody to write into it.
    """
    found = known or _stat_file(path)
    file = open(path, "rb")  # noqa: SIM115 - a long file is closed by whoever sends it
    if found.st_size > chunk_size:
        return found, anyio.wrap_file(file)
    with file:
        return found, _Loaded(file.read(chunk_size))


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _content_disposition(kind: str, filename: str) -> str:
    """Source: RFC 6266, and RFC 8187 for names beyond the plainest ASCII."""
    try:
        # Names that the file system holds but that are no UTF-8 keep their bytes.
        encoded = quote(filename, errors="surrogateescape")
    except UnicodeEncodeError:  # another lone surrogate, which a client can send as JSON
        encoded = quote(encode_text(filename, "utf-8"))
    return f'{kind}; filename="{filename}"' if encoded == filename else f"{kind}; filename*=utf-8''{encoded}"
