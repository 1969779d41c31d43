"""Raw ASGI messages to and from an application, including those that no client library would send.

The checks that every response must pass are made here too.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, Self

import anyio
import anyio.lowlevel
import pytest

from pallasite.types import ASGIApp, Message, Receive

RawHeaders = list[tuple[bytes, bytes]]

#: The limit for anything that a test waits for. Only a test that fails reaches it.
STALL_SECONDS = 20

# Sixteen times the input may take sixteen times as long. At a quadratic cost it would take 256 times as long. The limit
# is far from both. Time that other processes take does not count.
FACTOR = 16
LIMIT = 80


#: The head of a response without headers, and the end of its body.
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
LAST: Message = {"type": "http.response.body", "body": b"", "more_body": False}
#: Stands for an application, a `receive` or a `send` that must not be called.
UNUSED: Any = None


class Sent(list[Any]):
    """A `send` that keeps the messages."""

    async def __call__(self, message: Any) -> None:
        self.append(message)


async def never() -> Any:
    """A `receive` that never returns: the client stays connected and sends nothing."""
    await anyio.sleep_forever()


def always(message: Message) -> Receive:
    """Return a `receive` that returns the same message each time."""

    async def receive() -> Message:
        return message

    return receive


class Client:
    """Both channels of one connection, as a server provides them.

    `receive` returns `messages`, and then the disconnect as soon as `gone` is set. `send` keeps each message in `sent`
    before it calls `on_send`, whose errors it raises.
    """

    def __init__(self, *messages: Message, on_send: Callable[[Message], Awaitable[None]] | None = None) -> None:
        self.messages = list(messages)
        self.on_send = on_send
        self.sent: list[Message] = []
        self.gone = anyio.Event()

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.on_send is not None:
            await self.on_send(message)

    async def request(self, app: ASGIApp, **scope: Any) -> Self:
        """Run the application on a request. `scope` holds arguments of `scope_of`."""
        with anyio.fail_after(STALL_SECONDS):
            await app(scope_of(**scope), self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return int(self._start["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self._start["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent if message["type"] == "http.response.body")

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)

    @property
    def _start(self) -> Message:
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return start


class Answer(NamedTuple):
    """A complete response."""

    status: int
    headers: RawHeaders
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header that occurs at most once, or None."""
        values = self.values(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    def values(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key == name.encode()]


def scope_of(
    path: str = "/",
    *,
    method: str = "GET",
    headers: Iterable[tuple[bytes, bytes]] = ((b"host", b"testserver"),),
    query: bytes = b"",
    **more: Any,
) -> dict[str, Any]:
    """Return the scope of a request. `more` adds keys and replaces values."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": ("192.0.2.1", 4711),
        "server": ("testserver", 80),
        **more,
    }


def socket_scope_of(path: str = "/", **more: Any) -> dict[str, Any]:
    """Return the scope of a WebSocket. `more` adds keys and replaces values."""
    return scope_of(path, **{"type": "websocket", "scheme": "ws", "subprotocols": [], **more})


async def exchange(app: Any, scope: Any, messages: Iterable[Any] = (), *, stays: bool = False) -> list[Any]:
    """Return the messages that the application sends. After `messages` the client disconnects, unless it `stays`."""
    waiting = list(messages)[::-1]
    sent = Sent()
    goodbye = {"type": "websocket.disconnect" if scope["type"] == "websocket" else "http.disconnect"}

    async def receive() -> Any:
        await anyio.lowlevel.checkpoint()
        if waiting:
            return waiting.pop()
        return await never() if stays else goodbye

    with anyio.fail_after(STALL_SECONDS):
        await app(scope, receive, sent)
    return sent


async def ask(app: Any, path: str = "/", *, body: bytes | Sequence[bytes] = b"", **scope: Any) -> Answer:
    """Return the response to a request with this body, or with a body of these chunks.

    No request may result in a 5xx, a header that breaks the head, or a response that does not end.
    """
    chunks = [body] if isinstance(body, bytes) else list(body)
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, start=1)
    ]
    start, *rest = await exchange(app, scope_of(path, **scope), messages)
    assert start["type"] == "http.response.start"
    assert start["status"] < 500
    headers: RawHeaders = list(start["headers"])
    assert_plain(headers)
    assert [message["type"] for message in rest] == ["http.response.body"] * len(rest)
    assert not rest[-1].get("more_body", False)
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in rest))


async def post(app: Any, body: bytes | Sequence[bytes], content_type: bytes, path: str = "/", **scope: Any) -> Answer:
    """Return the response to a POST request with this body, or with a body of these chunks."""
    headers = [(b"host", b"testserver"), (b"content-type", content_type), *scope.pop("headers", ())]
    return await ask(app, path, method="POST", body=body, headers=headers, **scope)


async def connect(app: Any, path: str = "/", *frames: Any, **scope: Any) -> list[Any]:
    """Return the messages that the application sends on a WebSocket that receives these frames."""
    received = [{"type": "websocket.receive", **frame} for frame in frames]
    sent = await exchange(app, socket_scope_of(path, **scope), [{"type": "websocket.connect"}, *received])
    for message in sent:
        assert_plain(message.get("headers", ()))
    return sent


def assert_plain(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Fail if anything in these headers could end a line or the head."""
    for name, value in headers:
        assert name == name.lower()
        assert not set(name + value) & set(b"\r\n\0"), (name, value)


def assert_linear(make: Callable[[int], Any], work: Callable[[Any], object], small: int = 2_000) -> None:
    """Fail if the cost of `work(make(size))` grows faster than the size."""
    few_input, many_input = make(small), make(small * FACTOR)
    for _ in range(3):  # one interruption must not fail the test
        few, many = max(_shortest(work, few_input), 5e-6), _shortest(work, many_input)
        if many < few * LIMIT:
            return
    pytest.fail(f"{small} take {few * 1e6:.0f} us, {small * FACTOR} take {many * 1e6:.0f} us")


def _shortest(work: Callable[[Any], object], argument: Any) -> float:
    times = []
    for _ in range(5):
        start = time.process_time()
        work(argument)
        times.append(time.process_time() - start)
    return min(times)
