"""GZipMiddleware: the responses that are compressed, those that are not, and their headers."""

from __future__ import annotations

import contextlib
import gzip
import threading
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES as STARLETTES_EXCLUSIONS
from starlette.middleware.gzip import GZipMiddleware as StarlettesGZip

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.gzip import (
    DEFAULT_EXCLUDED_CONTENT_TYPES,
    GZipMiddleware,
    GZipResponder,
    IdentityResponder,
    unattached_send,
)
from pallasite.requests import Request
from pallasite.responses import FileResponse, PlainTextResponse, StreamingResponse
from pallasite.routing import Route, WebSocketRoute
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocket
from tests.support.asgi import UNUSED, Sent, never
from tests.support.clients import ClientFactory

pytestmark = pytest.mark.anyio

TEXT = b"".join(b"line %d of a text that compresses well\n" % number for number in range(100))
ETAG = (b"etag", b'"abc"')


def app_sending(*pieces: Any, status: int = 200, headers: Any = (), **start: Any) -> Any:
    """An application that sends a body in `pieces`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": status, "headers": list(headers), **start}
        await send(head)
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    return app


async def request(
    app: ASGIApp, *, accept: bytes | None = b"gzip", method: str = "GET", extra: Sequence[tuple[bytes, bytes]] = ()
) -> Sent:
    sent = Sent()
    headers = [*extra] if accept is None else [(b"accept-encoding", accept), *extra]
    await app({"type": "http", "method": method, "path": "/", "headers": headers}, never, sent)
    return sent


def head(sent: Sent) -> Any:
    (start,) = (message for message in sent if message["type"] == "http.response.start")
    return dict(start["headers"])


def body(sent: Sent) -> Any:
    return b"".join(message["body"] for message in sent if message["type"] == "http.response.body")


async def test_body_is_compressed_and_the_headers_match() -> None:
    app = GZipMiddleware(app_sending(TEXT, headers=[(b"content-length", b"%d" % len(TEXT)), ETAG]))
    sent = await request(app)
    assert gzip.decompress(body(sent)) == TEXT
    assert head(sent) == {
        b"content-length": str(len(body(sent))).encode(),
        b"content-encoding": b"gzip",
        b"vary": b"Accept-Encoding",
        b"etag": b'W/"abc"',
    }


async def test_body_is_not_larger_than_starlettes() -> None:
    for level in range(10):
        ours = await request(GZipMiddleware(app_sending(TEXT), compresslevel=level))
        theirs = await request(StarlettesGZip(app_sending(TEXT), compresslevel=level))
        assert len(body(ours)) <= len(body(theirs))
        pieces = [TEXT[:100], b"", TEXT[100:3000], TEXT[3000:]]
        ours = await request(GZipMiddleware(app_sending(*pieces), compresslevel=level))
        theirs = await request(StarlettesGZip(app_sending(*pieces), compresslevel=level))
        assert [len(message["body"]) for message in ours[1:]] <= [len(message["body"]) for message in theirs[1:]]


@pytest.mark.parametrize(
    ("accept", "compressed"),
    [
        (b"gzip", True),
        (b"gzip, deflate, br, zstd", True),
        (b"br;q=1.0, GZIP;q=0.2", True),
        (b"*", True),
        (b"identity, *;q=0.5", True),
        (b"gzip;q=0", False),
        (b"*;q=0", False),
        (b"gzip;q=0, *", False),
        (b"x-not-gzip", False),
        (b"gzipped", False),
        (b"gzip;q=nonsense", False),
        (b"", False),
        (b"\xff", False),
        (None, False),
    ],
)
async def test_compressed_only_for_clients_that_accept_it(accept: bytes | None, compressed: bool) -> None:
    sent = await request(GZipMiddleware(app_sending(TEXT, headers=[ETAG])), accept=accept)
    assert (head(sent).get(b"content-encoding") == b"gzip") is compressed
    assert (gzip.decompress(body(sent)) if compressed else body(sent)) == TEXT
    assert head(sent)[b"vary"] == b"Accept-Encoding"
    assert head(sent)[b"etag"] == (b'W/"abc"' if compressed else b'"abc"')


async def test_accept_encoding_in_several_lines_is_one_list() -> None:
    sent = await request(GZipMiddleware(app_sending(TEXT)), accept=b"br", extra=[(b"accept-encoding", b"gzip;q=0.1")])
    assert head(sent)[b"content-encoding"] == b"gzip"


async def test_minimum_size_is_the_smallest_body_compressed() -> None:
    at, below = app_sending(b"x" * 40), app_sending(b"x" * 39)
    assert b"content-encoding" in head(await request(GZipMiddleware(at, minimum_size=40)))
    sent = await request(GZipMiddleware(below, minimum_size=40))
    assert (head(sent), body(sent)) == ({}, b"x" * 39)


@pytest.mark.parametrize("accept", [b"gzip", None], ids=["accepted", "not accepted"])
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [(b"content-encoding", b"br")]),
        (206, [(b"content-range", b"bytes 0-3/9"), (b"content-type", b"image/png")]),
        (200, [(b"content-type", b"text/event-stream; charset=utf-8")]),
        (200, [(b"content-type", b"Image/PNG")]),
        (200, [(b"content-type", b"video/anything")]),
        (200, [(b"content-type", b"application/grpc+proto")]),
    ],
)
async def test_left_alone_whole_and_streamed(accept: bytes | None, status: int, headers: Any) -> None:
    for pieces in ([TEXT], [TEXT, TEXT]):
        sent = await request(GZipMiddleware(app_sending(*pieces, status=status, headers=headers)), accept=accept)
        assert (head(sent), body(sent)) == (dict(headers), b"".join(pieces))


@pytest.mark.parametrize("status", [204, 205])
async def test_response_without_body_gets_none(status: int) -> None:
    sent = await request(GZipMiddleware(app_sending(b"", status=status, headers=[ETAG]), minimum_size=0))
    assert (head(sent), body(sent)) == (dict([ETAG]), b"")


async def test_exclusions_can_be_chosen() -> None:
    svg = app_sending(TEXT, headers=[(b"content-type", b"image/svg+xml")])
    sent = await request(GZipMiddleware(svg, exclude_content_types=("Image/*; x=y",)))
    assert b"content-encoding" not in head(sent)
    sent = await request(
        GZipMiddleware(app_sending(TEXT, headers=[(b"content-type", b"video/x")]), exclude_content_types=())
    )
    assert b"content-encoding" in head(sent)
    assert set(DEFAULT_EXCLUDED_CONTENT_TYPES) == set(STARLETTES_EXCLUSIONS)


async def test_stream_is_flushed_with_every_chunk() -> None:
    pieces = [b"first\n", b"", b"second\n", b"last\n"]
    sent = await request(GZipMiddleware(app_sending(*pieces, headers=[(b"content-length", b"18"), ETAG])))
    assert head(sent) == {b"vary": b"Accept-Encoding", b"content-encoding": b"gzip", b"etag": b'W/"abc"'}
    reader = zlib.decompressobj(wbits=31)
    assert [reader.decompress(message["body"]) for message in sent[1:]] == pieces
    assert reader.eof
    assert [message.get("more_body", False) for message in sent[1:]] == [True, True, True, False]


async def test_stream_not_accepted_goes_through_as_it_is() -> None:
    sent = await request(GZipMiddleware(app_sending(b"a", b"b")), accept=None)
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Accept-Encoding")]},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b"},
    ]


async def test_vary_and_weak_etag_are_kept() -> None:
    headers = [(b"vary", b"Cookie"), (b"vary", b"Origin"), (b"etag", b'W/"x"')]
    sent = await request(GZipMiddleware(app_sending(TEXT, headers=headers)))
    assert head(sent)[b"vary"] == b"Cookie, Origin, Accept-Encoding"
    assert head(sent)[b"etag"] == b'W/"x"'


LENGTH = str(len(TEXT)).encode()


async def test_trailers_leave_no_content_length() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", LENGTH)], "trailers": True}
        )
        await send({"type": "http.response.body", "body": TEXT})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    sent = await request(GZipMiddleware(app))
    assert b"content-length" not in head(sent)
    assert gzip.decompress(body(sent)) == TEXT
    assert sent[-1] == {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}


@pytest.mark.parametrize("accept", [b"gzip", b"identity"])
@pytest.mark.parametrize("pieces", [[TEXT[:-1]], [TEXT + b"x"], [TEXT, b""], [TEXT, b"x", b""], [TEXT[:9], b""]])
async def test_body_of_another_length_than_declared_is_not_completed(pieces: Any, accept: bytes) -> None:
    right = b"".join(pieces) == TEXT

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", LENGTH)]})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    sent = Sent()
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", accept)]}
    with contextlib.nullcontext() if right else pytest.raises(RuntimeError, match="than its Content-Length"):
        await GZipMiddleware(app, minimum_size=1)(scope, UNUSED, sent)
    ends = [message for message in sent if message["type"] == "http.response.body" and not message.get("more_body")]
    assert bool(ends) is right


@pytest.mark.parametrize("length", [b"9", b"9 9", b""])
async def test_length_declared_for_head_is_not_checked(length: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    sent = Sent()
    method = "HEAD" if length == b"9" else "GET"
    scope = {"type": "http", "method": method, "path": "/", "headers": [(b"accept-encoding", b"gzip")]}
    await GZipMiddleware(app, minimum_size=0)(scope, UNUSED, sent)
    assert not sent[-1].get("more_body", False)


async def test_response_started_twice_is_an_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": TEXT, "more_body": True})

    with pytest.raises(RuntimeError, match="started twice"):
        await request(GZipMiddleware(app))


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
async def test_file_that_the_server_sends_itself_is_left_alone(kind: str) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
        await send(dict(start))
        await send({"type": kind, "path": "/a/file"})

    sent = await request(GZipMiddleware(app))
    assert [message["type"] for message in sent] == ["http.response.early_hint", "http.response.start", kind]
    assert sent[1] == start


async def test_early_hint_after_the_start_was_given_does_not_send_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "http.response.body", "body": TEXT})

    sent = await request(GZipMiddleware(app))
    assert [message["type"].rpartition(".")[2] for message in sent] == ["early_hint", "start", "body"]
    assert gzip.decompress(body(sent)) == TEXT


async def test_response_sent_twice_is_compressed_twice_from_the_same_head() -> None:
    response = PlainTextResponse(TEXT, headers={"etag": '"abc"'})
    app = GZipMiddleware(response)
    before = list(response.raw_headers)
    first, second = await request(app), await request(app)
    assert first == second
    assert gzip.decompress(body(second)) == TEXT
    assert response.raw_headers == before
    assert body(await request(app, accept=None)) == TEXT


async def test_head_request_has_the_headers_of_a_get() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(TEXT)(scope, receive, send)

    layer = GZipMiddleware(app)
    assert head(await request(layer, method="HEAD")) == head(await request(layer))


async def test_large_chunk_is_compressed_on_a_worker_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    original = GZipResponder._compress

    def noting(self: Any, data: Any, more_body: bool) -> Any:
        threads.append(threading.get_ident())
        return original(self, data, more_body)

    monkeypatch.setattr(GZipResponder, "_compress", noting)
    here = threading.get_ident()
    sent = await request(GZipMiddleware(app_sending(TEXT, TEXT * 10, TEXT), thread_minimum_size=len(TEXT) * 2))
    assert gzip.decompress(body(sent)) == TEXT * 12
    assert [thread == here for thread in threads] == [True, False, True]
    large = TEXT * 50
    assert gzip.decompress(body(await request(GZipMiddleware(app_sending(large))))) == large
    assert threads[-1] != here


async def test_error_before_the_body_can_still_be_answered() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("half way")

    sent = Sent()
    with pytest.raises(LookupError):
        await GZipMiddleware(app)({"type": "http", "headers": [(b"accept-encoding", b"gzip")]}, UNUSED, sent)
    assert sent == []


async def test_stream_that_fails_is_not_finished() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": TEXT, "more_body": True})
        raise LookupError("half way")

    sent = Sent()
    with pytest.raises(LookupError):
        await GZipMiddleware(app)({"type": "http", "headers": [(b"accept-encoding", b"gzip")]}, UNUSED, sent)
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(sent[1]["body"]) == TEXT
    assert not reader.eof


async def test_client_that_leaves_ends_the_stream() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": TEXT, "more_body": True})

    pieces = []

    async def send(message: Message) -> None:
        pieces.append(message)
        if len(pieces) == 4:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await GZipMiddleware(app)({"type": "http", "headers": [(b"accept-encoding", b"gzip")]}, UNUSED, send)
    assert len(pieces) == 4


@pytest.mark.parametrize("level", [-2, 10])
async def test_level_unknown_is_a_value_error(level: Any) -> None:
    with pytest.raises(ValueError, match="compresslevel"):
        GZipMiddleware(app_sending(b""), compresslevel=level)


async def test_responder_subclass_brings_another_coding() -> None:
    class Reversing(IdentityResponder):
        content_encoding = "reversed"

        async def apply_compression(self, body: Any, *, more_body: bool) -> Any:
            return body[::-1]

    sent = await request(Reversing(app_sending(TEXT), 0))
    assert (body(sent), head(sent)[b"content-encoding"]) == (TEXT[::-1], b"reversed")


async def test_responder_without_request_cannot_send() -> None:
    with pytest.raises(RuntimeError, match="send awaitable not set"):
        await unattached_send({})
    assert IdentityResponder(app_sending(b""), 0).send is unattached_send


def test_application_compresses_responses_of_every_kind(test_client_factory: ClientFactory, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT)
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    async def pieces() -> AsyncIterator[Any]:
        for start in range(0, len(TEXT), 500):
            yield TEXT[start : start + 500]

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    async def fail(request: Request) -> None:
        raise LookupError("no")

    routes = [
        Route("/plain", lambda request: PlainTextResponse(TEXT)),
        Route("/stream", lambda request: StreamingResponse(pieces(), media_type="text/plain")),
        Route("/file", lambda request: FileResponse(path)),
        Route("/fail", fail),
        WebSocketRoute("/echo", echo),
    ]
    app = Pallasite(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=10)], lifespan=lifespan)
    with test_client_factory(app, raise_server_exceptions=False) as client:
        for name in ("plain", "stream", "file"):
            response = client.get(f"/{name}", headers={"accept-encoding": "gzip"})
            assert (response.content, response.headers["content-encoding"]) == (TEXT, "gzip"), name
        assert client.get("/file", headers={"range": "bytes=0-3"}).content == TEXT[:4]
        assert client.get("/fail").status_code == 500
        with client.websocket_connect("/echo") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"
    assert events == ["up", "down"]
