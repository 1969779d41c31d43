"""Building blocks of hostile clients: connections over real sockets that behave as no honest client does.

An *opening* is a point at which a client stops, an *ending* is how it then disconnects, a *message* is complete but
malformed, untrue, oversize or fragmented. The tests and the soak run combine them.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

SECONDS = 20.0  # that any single step may take on a busy machine
SMALL_BUFFER = 4096
HEAD = "host: hostile\r\n"
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
BOUNDARY = "b"


@dataclass(frozen=True)
class Site:
    """The port of an application, and the paths that the clients use."""

    port: int
    page: str
    body: str  # POST, any body
    form: str  # POST, a multipart form with files
    upload: str  # PUT
    download: str  # more bytes than fit into the buffers of a connection
    events: str
    websocket: str  # that answers to text
    flood: str  # a WebSocket that sends unasked, or otherwise the one that responds


class Wire:
    """A connection of which every byte is chosen here. As a context manager it is closed at the end."""

    def __init__(self, port: int, *, reads_little: bool = False) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reads_little:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send all of it. The server may have closed the connection in the meantime."""
        with suppress(ConnectionError):
            self.socket.sendall(content)

    def send_bytewise(self, content: bytes) -> None:
        """Send each byte in a separate segment."""
        with suppress(ConnectionError):
            for number in range(len(content)):
                self.socket.sendall(content[number : number + 1])

    def read_until(self, mark: bytes) -> bytes:
        """Return the bytes up to and including `mark`, or until the end."""
        found = b""
        with suppress(ConnectionError):
            while mark not in found and (piece := self.socket.recv(65536)):
                found += piece
        return found

    def read_all(self) -> bytes:
        """Return the bytes until the server closes the connection."""
        pieces = []
        with suppress(ConnectionError):
            while piece := self.socket.recv(65536):
                pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close normally (FIN), even with unread bytes."""
        self.socket.close()

    def close_half(self) -> None:
        """Announce the end of sending, but keep reading."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """A sudden end (RST): SO_LINGER of zero seconds throws away what was not sent."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def statuses(answer: bytes) -> list[int]:
    """Those of all responses in `answer`."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3})[ \r]", answer)]


def get(path: str, lines: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\n{HEAD}{lines}\r\n".encode("latin-1")


def post(path: str, content: bytes, lines: str = "", *, length: int | None = None, method: str = "POST") -> bytes:
    """`length` is what the head claims: that of the content, if None."""
    size = len(content) if length is None else length
    return f"{method} {path} HTTP/1.1\r\n{HEAD}content-length: {size}\r\n{lines}\r\n".encode("latin-1") + content


def chunked(path: str, content: bytes, lines: str = "", *, size: int = 1, method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\n{HEAD}transfer-encoding: chunked\r\n{lines}\r\n".encode("latin-1")
    pieces = (content[start : start + size] for start in range(0, len(content), size))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


MULTIPART = f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n"
URLENCODED = "content-type: application/x-www-form-urlencoded\r\n"
LAST = "connection: close\r\n"


def file_part(content: bytes, *, name: str = "file", filename: str = "a.bin") -> bytes:
    disposition = f'content-disposition: form-data; name="{name}"; filename="{filename}"'
    return f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def handshake(path: str, lines: str = "") -> bytes:
    upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    return get(path, f"{upgrade}sec-websocket-key: {KEY}\r\n{lines}")


TEXT, BINARY, CLOSE, PING, CONTINUATION, RESERVED = 1, 2, 8, 9, 0, 3


def frame(
    opcode: int, content: bytes, *, final: bool = True, masked: bool = True, length: int | None = None, flags: int = 0
) -> bytes:
    """A websocket frame (RFC 6455 section 5.2), masked with zeros as clients must. `length` is its declared length."""
    size = len(content) if length is None else length
    first = (0x80 if final else 0) | flags | opcode
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, mask_bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, size)
    return head + (b"\0\0\0\0" if masked else b"") + content


def open_websocket(site: Site, path: str | None = None, *, reads_little: bool = False) -> Wire:
    """A websocket whose handshake is done."""
    wire = Wire(site.port, reads_little=reads_little)
    wire.send(handshake(path or site.websocket))
    answer = wire.read_until(b"\r\n\r\n")
    assert statuses(answer) == [101], answer
    return wire


def _sends(request: Callable[[Site], bytes], *, reads_little: bool = False) -> Callable[[Site], Wire]:
    def open_wire(site: Site) -> Wire:
        wire = Wire(site.port, reads_little=reads_little)
        wire.send(request(site))
        return wire

    return open_wire


def _begins(path: Callable[[Site], str]) -> Callable[[Site], Wire]:
    """Send a request, wait for the start of the response, and read no more of it."""

    def open_wire(site: Site) -> Wire:
        wire = Wire(site.port, reads_little=True)
        wire.send(get(path(site)))
        assert wire.socket.recv(64)
        return wire

    return open_wire


def _talks(*frames: bytes) -> Callable[[Site], Wire]:
    def open_wire(site: Site) -> Wire:
        wire = open_websocket(site)
        wire.send(b"".join(frames))
        return wire

    return open_wire


#: Clients that stop midway. Each returns a connection that is still open.
OPENINGS: dict[str, Callable[[Site], Wire]] = {
    "silence": _sends(lambda site: b""),
    "half a head": _sends(lambda site: get(site.page)[:-9]),
    "head without a body": _sends(lambda site: post(site.body, b"", length=1000)),
    "half a body": _sends(lambda site: post(site.body, b"x" * 30_000, length=60_000)),
    "half a chunk": _sends(lambda site: chunked(site.body, b"x" * 9000, size=3000)[:-1500]),
    "half a chunk's size": _sends(lambda site: chunked(site.body, b"x" * 3000, size=3000)[:-4] + b"f"),
    "half a form": _sends(
        lambda site: post(site.form, file_part(b"small")[:-2], MULTIPART + "accept: */*\r\n", length=100_000)
    ),
    "half a form on disk": _sends(
        lambda site: chunked(site.form, file_part(bytes(1_500_000)), MULTIPART, size=50_000)[:-5]
    ),
    "half an upload": _sends(lambda site: post(site.upload, bytes(300_000), length=600_000, method="PUT")),
    "answer not waited for": _sends(lambda site: get(site.page), reads_little=True),
    "answers not waited for": _sends(lambda site: get(site.page) * 20, reads_little=True),
    "expectation": _sends(lambda site: post(site.body, b"", "expect: 100-continue\r\n", length=1000)),
    "page unread": _begins(lambda site: site.page),
    "download unread": _begins(lambda site: site.download),
    "events unread": _begins(lambda site: site.events),
    "half a handshake": _sends(lambda site: handshake(site.websocket)[:-2]),
    "idle websocket": _talks(),
    "half a frame": _talks(frame(TEXT, b"x" * 100)[:50]),
    "half a message": _talks(frame(TEXT, b"x" * 100, final=False), frame(CONTINUATION, b"x" * 100, final=False)),
    "closing without an end": _talks(frame(CLOSE, b"\x03\xe8")),
    "pings": _talks(*[frame(PING, b"x" * 100)] * 100),
    "websocket unread": lambda site: open_websocket(site, site.flood, reads_little=True),
}

#: The ways in which a client disconnects.
ENDINGS: dict[str, Callable[[Wire], None]] = {"close": Wire.close, "reset": Wire.reset, "half-close": Wire.close_half}


@dataclass(frozen=True)
class Message:
    """Bytes that are complete in the client's opinion; the server hangs up after its answer, or an error.

    `bytewise` sends each byte in a segment of its own. `ends` says that nothing more will come (FIN), for where a
    server would otherwise be right to wait.
    """

    content: Callable[[Site], bytes]
    bytewise: bool = False
    ends: bool = False
    websocket: bool = False

    def send(self, site: Site) -> list[int]:
        """The statuses that came back, up to the end of the connection."""
        with open_websocket(site) if self.websocket else Wire(site.port) as wire:
            (wire.send_bytewise if self.bytewise else wire.send)(self.content(site))
            if self.ends:
                wire.close_half()
            return statuses(wire.read_all())


def _tiny_parts(count: int) -> bytes:
    return multipart(*[file_part(b"", name="n")] * count)


def _body(lines: str, content: bytes = b"12345678901234567890") -> Callable[[Site], bytes]:
    """A POST with these lines in its head."""
    return lambda site: f"POST {site.body} HTTP/1.1\r\n{HEAD}{LAST}{lines}\r\n".encode("latin-1") + content


#: Complete messages: in crumbs, ill-formed, untrue, oversize.
MESSAGES: dict[str, Message] = {
    "head bytewise": Message(lambda site: get(site.page, LAST), bytewise=True),
    "body bytewise": Message(lambda site: post(site.body, b"a=b&c=d" * 50, URLENCODED + LAST), bytewise=True),
    "chunks of one byte": Message(lambda site: chunked(site.body, b"a=b&c=d" * 500, URLENCODED + LAST)),
    "chunks bytewise": Message(lambda site: chunked(site.body, b"a=b&c=d" * 50, URLENCODED + LAST), bytewise=True),
    "form in chunks of one byte": Message(
        lambda site: chunked(site.form, multipart(file_part(b"content" * 100)), MULTIPART + LAST)
    ),
    "form bytewise": Message(
        lambda site: chunked(site.form, multipart(file_part(b"x")), MULTIPART + LAST), bytewise=True
    ),
    "form cut short": Message(lambda site: post(site.form, file_part(b"content"), MULTIPART + LAST)),
    "form without parts": Message(lambda site: post(site.form, b"", MULTIPART + LAST)),
    "form of nonsense": Message(lambda site: post(site.form, b"\r\n--b" * 5000, MULTIPART + LAST)),
    "form of tiny parts": Message(lambda site: post(site.form, _tiny_parts(5000), MULTIPART + LAST)),
    "form with a long part head": Message(
        lambda site: post(site.form, multipart(file_part(b"", filename="x" * 100_000)), MULTIPART + LAST)
    ),
    "fields without number": Message(lambda site: post(site.body, b"&" * 50_000 + b"a&" * 5_000, URLENCODED + LAST)),
    "fewer bytes than said": Message(lambda site: post(site.body, b"short", LAST, length=5000), ends=True),
    "more bytes than said": Message(lambda site: post(site.body, b"a=b" * 5000, URLENCODED + LAST, length=3)),
    "length and chunks": Message(
        _body("content-length: 3\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\nx"), ends=True
    ),
    "two lengths": Message(_body("content-length: 3\r\ncontent-length: 20\r\n"), ends=True),
    "length below nothing": Message(_body("content-length: -1\r\n"), ends=True),
    "length of words": Message(_body("content-length: many\r\n"), ends=True),
    "length without end": Message(_body(f"content-length: {'9' * 5000}\r\n"), ends=True),
    "length above any memory": Message(_body("content-length: 9223372036854775807\r\n"), ends=True),
    "chunk of no size": Message(_body("transfer-encoding: chunked\r\n", b"zz\r\nxx\r\n"), ends=True),
    "chunk below nothing": Message(_body("transfer-encoding: chunked\r\n", b"-1\r\nx\r\n"), ends=True),
    "chunk above any memory": Message(_body("transfer-encoding: chunked\r\n", b"fffffffffffffffff\r\nx"), ends=True),
    "chunk with a long extension": Message(
        _body("transfer-encoding: chunked\r\n", b"1;" + b"x" * 100_000 + b"\r\nx\r\n0\r\n\r\n"), ends=True
    ),
    "chunks with trailers": Message(
        _body("transfer-encoding: chunked\r\n", b"0\r\n" + b"a: b\r\n" * 50 + b"\r\n"), ends=True
    ),
    "unknown coding": Message(_body("transfer-encoding: gzip\r\n"), ends=True),
    "pipeline": Message(lambda site: get(site.page) * 19 + get(site.page, LAST)),
    "pipeline with bodies": Message(
        lambda site: post(site.body, b"a=b", URLENCODED) * 19 + post(site.body, b"a=b", URLENCODED + LAST)
    ),
    "long path": Message(lambda site: get("/" + "a/" * 50_000, LAST), ends=True),
    "long query": Message(lambda site: get(site.page + "?" + "q=1&" * 15_000, LAST), ends=True),
    "many cookies": Message(lambda site: get(site.page, LAST + f"cookie: {'a=b; ' * 12_000}\r\n"), ends=True),
    "long header": Message(lambda site: get(site.page, LAST + f"x: {'x' * 300_000}\r\n"), ends=True),
    "many headers": Message(lambda site: get(site.page, LAST + "x: y\r\n" * 8_000), ends=True),
    "many languages": Message(
        lambda site: get(site.page, LAST + f"accept-encoding: {'gzip;q=0.1,' * 5000}\r\n"), ends=True
    ),
    "many ranges": Message(lambda site: get(site.download, LAST + f"range: bytes={'0-0,' * 10_000}1-1\r\n"), ends=True),
    "no HTTP": Message(lambda site: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(500), ends=True),
    "HTTP/2 preface": Message(lambda site: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ends=True),
    "folded header": Message(lambda site: get(site.page, LAST + "x: y\r\n z\r\n"), ends=True),
    "bare line feeds": Message(lambda site: get(site.page, LAST).replace(b"\r\n", b"\n"), ends=True),
    "zero bytes in the head": Message(lambda site: get(site.page + "\0", LAST + "x: \0\r\n"), ends=True),
    "handshake without a key": Message(
        lambda site: get(site.websocket, LAST + "connection: upgrade\r\nupgrade: websocket\r\n"), ends=True
    ),
    "handshake of an old version": Message(
        lambda site: handshake(site.websocket).replace(b"version: 13", b"version: 1"), ends=True
    ),
    "message in crumbs": Message(
        lambda site: (
            frame(TEXT, b"a", final=False)
            + frame(CONTINUATION, b"a", final=False) * 300
            + frame(CONTINUATION, b"a")
            + frame(CLOSE, b"\x03\xe8")
        ),
        websocket=True,
    ),
    "frame bytewise": Message(
        lambda site: frame(TEXT, b"a" * 200) + frame(CLOSE, b"\x03\xe8"), bytewise=True, websocket=True
    ),
    "frame above any memory": Message(lambda site: frame(BINARY, b"x", length=2**62), websocket=True, ends=True),
    "message above the limit": Message(
        lambda site: frame(TEXT, b"x" * 999_999, final=False) * 20 + frame(CONTINUATION, b"x"),
        websocket=True,
        ends=True,
    ),
    "frame without a mask": Message(lambda site: frame(TEXT, b"x", masked=False), websocket=True, ends=True),
    "frame of no kind": Message(lambda site: frame(RESERVED, b"x"), websocket=True, ends=True),
    "frame with reserved bits": Message(lambda site: frame(TEXT, b"x", flags=0x30), websocket=True, ends=True),
    "continuation of nothing": Message(lambda site: frame(CONTINUATION, b"x"), websocket=True, ends=True),
    "text that is no UTF-8": Message(lambda site: frame(TEXT, b"\xff\xfe"), websocket=True, ends=True),
    "ping too long": Message(lambda site: frame(PING, b"x" * 200), websocket=True, ends=True),
    "close with no sense": Message(lambda site: frame(CLOSE, b"\x00\x01\xff"), websocket=True, ends=True),
    "binary for text": Message(lambda site: frame(BINARY, b"x") + frame(CLOSE, b""), websocket=True, ends=True),
}


def hold(site: Site, opening: str, count: int) -> Iterator[Wire]:
    """As many connections that stop there."""
    for _ in range(count):
        yield OPENINGS[opening](site)
