"""Requests as raw ASGI messages, which no client library would let through, and what must hold of every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import anyio
import pytest

RawHeaders = list[tuple[bytes, bytes]]

STALL_SECONDS = 20  # far more than anything here takes

# Sixteen times the input may take sixteen times as long; it would be 256 times where the cost is quadratic. The limit
# lies between, far from both. Time that other processes take does not count.
FACTOR = 16
LIMIT = 80


#: In place of an application, a `receive` or a `send` that must not be called.
UNUSED: Any = None


class Sent(list[Any]):
    """The messages that an application sends, where this is its `send`."""

    async def __call__(self, message: Any) -> None:
        self.append(message)


async def never() -> Any:
    """The `receive` of a client that stays and sends nothing."""
    await anyio.sleep_forever()


class Answer(NamedTuple):
    status: int
    headers: RawHeaders
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of a header, None if there is none."""
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
    """The scope of a request, as a server fills it; `more` adds to it and replaces what it has."""
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
    """The scope of a WebSocket."""
    return scope_of(path, **{"type": "websocket", "scheme": "ws", "subprotocols": [], **more})


async def exchange(app: Any, scope: Any, messages: Iterable[Any] = (), *, stays: bool = False) -> list[Any]:
    """The messages that the application sends. After the given messages the client goes away, or `stays`."""
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
    """The answer to a request, its body in one piece or in several.

    No request may get a 5xx, a header that breaks the head, or a response that does not end.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)
    messages = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, start=1)
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
    headers = [(b"host", b"testserver"), (b"content-type", content_type), *scope.pop("headers", ())]
    return await ask(app, path, method="POST", body=body, headers=headers, **scope)


async def connect(app: Any, path: str = "/", *frames: Any, **scope: Any) -> list[Any]:
    """What the application sends on a WebSocket that gets these frames."""
    received = [{"type": "websocket.receive", **frame} for frame in frames]
    sent = await exchange(app, socket_scope_of(path, **scope), [{"type": "websocket.connect"}, *received])
    for message in sent:
        assert_plain(message.get("headers", ()))
    return sent


def assert_plain(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Nothing in these headers could end a line or a head."""
    for name, value in headers:
        assert name == name.lower()
        assert not set(name + value) & set(b"\r\n\0"), (name, value)


def assert_linear(make: Callable[[int], Any], work: Callable[[Any], object], small: int = 2_000) -> None:
    """The cost of `work(make(size))` grows with the size and no faster."""
    few_input, many_input = make(small), make(small * FACTOR)
    for _ in range(3):  # a moment's interruption is no growth
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
