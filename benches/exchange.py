"""One request as a server would hand it over, and the record of what an application sent back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a browser sends, about; granian and uvicorn both pass names in lower case.
BROWSER_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"host", b"www.example.org"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-GB,en;q=0.8,de;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"connection", b"keep-alive"),
    (b"cache-control", b"no-cache"),
    (b"x-request-id", b"7f9c24e8-3b1d-4a58-9c0e-5d6f7a8b9c01"),
)

# uvicorn 0.54 and granian 2.8 announce this for HTTP. At 2.4 a failing `send` tells of a disconnect, and
# streams need no second task that listens for one, so streams are measured at both.
SPEC_VERSION = "2.3"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to repeat: every call of `scope` and `receive` gives new objects, as each real request does."""

    method: str = "GET"
    path: str = "/"
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = BROWSER_HEADERS
    body: tuple[bytes, ...] = (b"",)
    spec_version: str = SPEC_VERSION
    texts: tuple[str, ...] | None = None
    """Text messages of a websocket client that then leaves; None for HTTP."""

    def scope(self) -> Scope:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "root_path": "",
            "headers": list(self.headers),
            "state": {},
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode("utf-8"),
            "query_string": self.query,
        }
        if self.texts is not None:
            del scope["method"]
            scope.update(type="websocket", scheme="ws", subprotocols=[])
        return scope

    def receive(self) -> Receive:
        return Inbox(self.messages())

    def messages(self) -> list[Message]:
        if self.texts is not None:
            texts: list[Message] = [{"type": "websocket.receive", "text": text} for text in self.texts]
            return [{"type": "websocket.connect"}, *texts, {"type": "websocket.disconnect", "code": 1000}]
        last = len(self.body) - 1
        return [{"type": "http.request", "body": part, "more_body": i < last} for i, part in enumerate(self.body)]

    def with_headers(self, *headers: tuple[bytes, bytes]) -> Exchange:
        """The same request with `headers` in place of those of the same names."""
        names = {name for name, _ in headers}
        return replace(self, headers=(*(pair for pair in self.headers if pair[0] not in names), *headers))


def get(path: str = "/", query: bytes = b"") -> Exchange:
    return Exchange(path=path, query=query)


def post(path: str, body: bytes, content_type: bytes, *, chunk_bytes: int = 64 * 1024) -> Exchange:
    """A POST whose body arrives in pieces of `chunk_bytes`, the size in which uvicorn reads from its socket."""
    parts = tuple(body[i : i + chunk_bytes] for i in range(0, len(body), chunk_bytes)) or (b"",)
    length = str(len(body)).encode("ascii")
    request = Exchange(method="POST", path=path, body=parts)
    return request.with_headers((b"content-type", content_type), (b"content-length", length))


class Inbox:
    """`receive` of one request; once the messages are used up it waits, as a server does for the client to leave."""

    __slots__ = ("messages",)

    def __init__(self, messages: list[Message]) -> None:
        messages.reverse()
        self.messages = messages

    async def __call__(self) -> Message:
        if self.messages:
            return self.messages.pop()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody completes this future")


async def discard(message: Message) -> None:
    """`send` of a client that is always ready."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an application sent, in a form that two applications can be compared by."""

    status: int | None
    headers: tuple[tuple[bytes, bytes], ...]
    """Sorted: the order of different names carries no meaning."""
    chunks: tuple[bytes, ...]
    events: tuple[str, ...] = field(default=())
    """Websocket messages, each in one line."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    def without(self, *names: bytes) -> Reply:
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0] not in names))

    def joined(self) -> Reply:
        return replace(self, chunks=(self.body,))


class HasParts(Protocol):
    """A response of httpx or httpx2."""

    status_code: int
    content: bytes

    @property
    def headers(self) -> Any: ...


def reply_of_client(response: HasParts) -> Reply:
    return Reply(response.status_code, tuple(sorted(response.headers.raw)), (response.content,))


def reply_of_messages(messages: Iterable[Message]) -> Reply:
    """Raises ValueError when the messages are not one complete response."""
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    chunks: list[bytes] = []
    events: list[str] = []
    complete = False
    for message in messages:
        kind = message["type"]
        if kind == "http.response.start":
            status = message["status"]
            headers = tuple(sorted((bytes(name), bytes(value)) for name, value in message.get("headers", ())))
        elif kind == "http.response.body":
            if chunk := bytes(message.get("body", b"")):
                chunks.append(chunk)
            complete = not message.get("more_body", False)
        elif kind.startswith("websocket."):
            shown = {key: value for key, value in message.items() if value not in (None, "", [], ())}
            events.append(json.dumps(shown, sort_keys=True, default=repr))
            complete = True
    if not complete:
        raise ValueError(f"the response is not complete: status {status}, {len(chunks)} chunks")
    return Reply(status, headers, tuple(chunks), tuple(events))
