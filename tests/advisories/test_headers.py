"""Headers of responses, statuses, and headers of requests that repeat or resemble each other."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from pallasite import _core
from pallasite.applications import Pallasite
from pallasite.datastructures import Headers, MutableHeaders
from pallasite.exceptions import HTTPException, StarletteDeprecationWarning
from pallasite.middleware import Middleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.requests import Request
from pallasite.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from pallasite.routing import Route
from pallasite.sse import EventSourceResponse, ServerSentEvent
from tests.support.asgi import UNUSED, Sent, always, ask, assert_linear, scope_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from pallasite.middleware.wsgi import WSGIMiddleware, build_environ

pytestmark = pytest.mark.anyio

BREAKS = [
    "\r\nset-cookie: a=b",
    "\nset-cookie: a=b",
    "\rset-cookie: a=b",
    "\r\n\r\n<script>",
    "\0",
    "a\n",
    "\n",
    "\r\n ",
]

KINDS: list[Callable[..., Response]] = [
    Response,
    PlainTextResponse,
    HTMLResponse,
    lambda **more: JSONResponse({}, **more),
    lambda **more: RedirectResponse("/", **more),
    lambda **more: StreamingResponse([b"x"], **more),
    lambda **more: FileResponse(__file__, **more),
    lambda **more: EventSourceResponse(iter(()), **more),
]
KIND_NAMES = ["plain", "text", "html", "json", "redirect", "stream", "file", "events"]


# --- headers of responses


@pytest.mark.advisory("CVE-2020-7695", "CVE-2026-0865", "CVE-2026-22779", "CVE-2026-34520")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize("kind", KINDS, ids=KIND_NAMES)
def test_header_that_ends_its_line_is_refused(kind: Any, text: str) -> None:
    for headers in ({"x-a": text}, {"x-a": f"b{text}c"}, {f"x{text}": "a"}, {text: "a"}):
        with pytest.raises(ValueError):
            kind(headers=headers)


@pytest.mark.advisory("CVE-2026-0865")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize(
    "change",
    [
        lambda headers, text: headers.__setitem__("x-a", text),
        lambda headers, text: headers.__setitem__(text, "a"),
        lambda headers, text: headers.append("x-a", text),
        lambda headers, text: headers.setdefault("x-a", text),
        lambda headers, text: headers.update({"x-a": text}),
        lambda headers, text: headers.__ior__({"x-a": text}),
        lambda headers, text: headers | {"x-a": text},
        lambda headers, text: headers.add_vary_header(text),
        lambda headers, text: MutableHeaders({"x-a": text}),
    ],
)
def test_header_that_ends_its_line_is_refused_where_it_is_changed(change: Any, text: str) -> None:
    headers = MutableHeaders({"x-a": "before"})
    del headers["x-a"]
    with pytest.raises(ValueError):
        change(headers, text)
    assert headers.raw == []


@pytest.mark.advisory("CVE-2026-34519", "CVE-2025-67724")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
async def test_reason_reaches_no_status_line_and_no_head(text: str) -> None:
    async def fails(request: Request) -> Response:
        raise HTTPException(418, detail=f"<b>{text}", headers={"x-a": "b"})

    answer = await ask(Pallasite(routes=[Route("/", fails)]))
    assert (answer.status, answer.body.decode()) == (418, f"<b>{text}")
    assert answer.header("content-type") == "text/plain; charset=utf-8"  # shown as it is, markup included
    assert answer.values("set-cookie") == []


@pytest.mark.advisory("CVE-2026-34519")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
async def test_header_of_an_exception_is_refused_before_it_is_sent(text: str) -> None:
    async def fails(request: Request) -> Response:
        raise HTTPException(418, headers={"x-a": text})

    started = Sent()

    with pytest.raises(ValueError):
        await Pallasite(routes=[Route("/", fails)])(
            scope_of("/"), always({"type": "http.request", "body": b""}), started
        )
    for message in started:
        assert b"x-a" not in dict(message.get("headers", ()))


@pytest.mark.advisory("CVE-2025-67724")
@pytest.mark.parametrize("reason", ["200 OK\r\nset-cookie: a=b", "200 \nx: y", "200", "200  ", "200 <script>"])
async def test_reason_of_a_wsgi_application_is_dropped(reason: str) -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response(reason, [("content-type", "text/plain")])
        return [b"x"]

    answer = await ask(WSGIMiddleware(wsgi))
    assert (answer.status, answer.headers) == (200, [(b"content-type", b"text/plain")])


@pytest.mark.advisory("CVE-2026-0865")
@pytest.mark.parametrize("text", ["a\r\nb: c", "a\nb: c", "a\rb", "a\0b"], ids=repr)
async def test_header_of_a_wsgi_application_is_refused(text: str) -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        for pair in (("x-a", text), (text, "a")):
            with pytest.raises(ValueError):
                start_response("200 OK", [pair])
        start_response("204 No Content", [])
        return []

    assert (await ask(WSGIMiddleware(wsgi))).status == 204


@pytest.mark.advisory("CVE-2026-50269", "CVE-2021-32052")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
def test_media_type_that_ends_its_line_is_refused(text: str) -> None:
    for media_type in (f"text/html{text}", f"text/html; charset={text}", f"a/b{text}"):
        with pytest.raises(ValueError):
            Response(media_type=media_type)
        with pytest.raises(ValueError):
            FileResponse(__file__, media_type=media_type)


@pytest.mark.advisory("CVE-2012-2374")
@pytest.mark.parametrize("text", ["a\r\n\r\ndata: evil", "a\ndata: evil", "a\rid: 1", "\r\n", "\n\n"], ids=repr)
async def test_event_cannot_bring_another_event_or_field(text: str) -> None:
    for field in ("event", "id"):
        with pytest.raises(ValueError):
            bytes(str(ServerSentEvent(**{field: text})), "utf-8")  # type: ignore[arg-type]
    answer = await ask(EventSourceResponse([ServerSentEvent(data=text, event="mine")]))
    lines = answer.body.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [line for line in lines if line.startswith("event:")] == ["event: mine"]
    assert all(line.startswith(("data:", "event:", ":")) or not line for line in lines)


@pytest.mark.advisory("CVE-2020-7695")
@pytest.mark.filterwarnings("ignore:allow_credentials with every origin")
@pytest.mark.parametrize("origin", [b"https://a\r\nx: y", b"https://a\nb", b"https://a\0", b"\xa0"], ids=repr)
@pytest.mark.parametrize("options", [{"allow_credentials": True}, {"allow_origin_regex": "(?s).*"}], ids=str)
async def test_origin_that_ends_its_line_is_not_mirrored(origin: bytes, options: Any) -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    app = Pallasite(
        routes=[Route("/", page)],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["*"], **options)],
    )
    asked = [
        (b"origin", origin),
        (b"access-control-request-method", b"GET"),
        (b"access-control-request-headers", origin),
    ]
    for method in ("GET", "OPTIONS"):
        answer = await ask(app, method=method, headers=asked)
        assert answer.header("access-control-allow-origin") in (None, "*")
        assert answer.header("access-control-allow-headers") in (None, "*")


@pytest.mark.advisory("CVE-2020-7695")
async def test_early_hint_and_push_cannot_bring_a_header() -> None:
    sent = Sent()

    scope = scope_of("/", extensions={"http.response.early_hint": {}, "http.response.push": {}})
    request = Request(scope, UNUSED, sent)
    for text in BREAKS:
        with pytest.raises(ValueError):
            await request.send_early_hints(f"</a>{text}")
    assert sent == []


# --- headers that repeat

REPEATED: dict[str, Callable[[int], list[tuple[bytes, bytes]]]] = {
    "one name": lambda size: [(b"x-a", b"b")] * size,
    "cookies": lambda size: [(b"cookie", b"a=b")] * size,
    "long values": lambda size: [(b"x-a", b"b" * 100)] * size,
    "names": lambda size: [(b"x-%d" % number, b"b") for number in range(size)],
    "accept": lambda size: [(b"accept-encoding", b"gzip")] * size,
    "vary": lambda size: [(b"vary", b"a")] * size,
}


def read_headers(raw: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(raw=raw)
    headers.getlist("x-a")
    assert "x-none" not in headers
    dict(headers)
    headers.items()
    request = Request(scope_of("/", headers=raw))
    request.cookies  # noqa: B018
    request.url  # noqa: B018


def change_headers(raw: list[tuple[bytes, bytes]]) -> None:
    headers = MutableHeaders(raw=list(raw))
    headers["x-a"] = "c"
    headers.add_vary_header("Origin")
    del headers["cookie"]


@pytest.mark.advisory("CVE-2025-67725", "CVE-2025-14550")
@pytest.mark.parametrize("make", REPEATED.values(), ids=REPEATED.keys())
@pytest.mark.parametrize("work", [read_headers, change_headers], ids=["read", "changed"])
def test_headers_that_repeat_cost_their_number(make: Any, work: Any) -> None:
    assert_linear(make, work, 1_000)


@pytest.mark.advisory("CVE-2025-14550")
@pytest.mark.parametrize("make", REPEATED.values(), ids=REPEATED.keys())
def test_headers_that_repeat_cost_a_wsgi_application_their_number(make: Any) -> None:
    assert_linear(make, lambda raw: build_environ(scope_of("/", headers=raw), b""), 1_000)


@pytest.mark.advisory("CVE-2025-67725")
async def test_request_with_thousands_of_headers_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def page(request: Request) -> Response:
        return JSONResponse([len(request.headers), len(request.headers.getlist("x-a")), len(request.cookies)])

    app = Pallasite(routes=[Route("/", page)])
    headers = [(b"x-a", b"b" * 100)] * 10_000 + [(b"cookie", b"c%d=d" % number) for number in range(10_000)]
    assert (await ask(app, headers=headers)).body == b"[20000,10000,10000]"
    assert caplog.records == []


# --- names that resemble each other


@pytest.mark.advisory("CVE-2015-0219", "CVE-2026-3902")
@pytest.mark.parametrize(
    ("real", "forged"),
    [
        (b"x-user", b"x_user"),
        (b"x-forwarded-for", b"x_forwarded-for"),
        (b"x-auth-user", b"x-auth_user"),
        (b"content-length", b"content_length"),
        (b"content-type", b"content_type"),
        (b"cookie", b"cookie_"),
        (b"x-user", b"X_User"),
    ],
)
def test_underscore_is_not_a_hyphen(real: bytes, forged: bytes) -> None:
    name = real.decode()
    for pairs in ([(real, b"1"), (forged, b"2")], [(forged, b"2"), (real, b"1")]):
        assert Headers(raw=pairs).getlist(name) == ["1"]
        environ = build_environ(scope_of("/", headers=pairs), b"x")  # of the one byte that Content-Length declares
        assert "2" not in environ.values()
        assert "1" in environ.values()
    alone = build_environ(scope_of("/", headers=[(forged, b"2")]), b"")
    assert "2" not in alone.values()
    assert Headers(raw=[(forged, b"2")]).get(name) is None


@pytest.mark.advisory("CVE-2016-1000110")
def test_header_does_not_set_a_proxy() -> None:
    for name in (b"proxy", b"Proxy", b"PROXY"):
        environ = build_environ(scope_of("/", headers=[(name, b"http://evil.example")]), b"")
        assert "HTTP_PROXY" not in environ


@pytest.mark.advisory("CVE-2015-0219")
@pytest.mark.parametrize("name", ["\uff58-a", "\u017fet-cookie", "content-length\u0130", "\uff38-a", "caf\u00e9"])
def test_name_in_other_letters_is_not_a_header(name: str) -> None:
    raw = [(b"xk", b"1"), (b"set-cookie", b"2"), (b"content-lengthi", b"3"), (b"x-a", b"4")]
    assert Headers(raw=raw).get(name) is None
    assert _core.find_header(raw, name) is None
    with pytest.raises(ValueError):
        MutableHeaders()[name] = "a"


# --- requests that cannot be bound to anything


@pytest.mark.advisory("CVE-2022-31799")
@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"\xff")],
        [(b"content-type", b"\xff"), (b"content-length", b"x")],
        [(b"cookie", b"\xff=\xff")],
        [(b"accept", b"\0")],
        [],
    ],
    ids=str,
)
async def test_error_while_a_request_is_read_is_answered(headers: Any) -> None:
    async def fails(request: Request) -> Response:
        raise HTTPException(400, detail=str(request.url))

    async def answer(request: Request, exc: Exception) -> Response:
        return PlainTextResponse(f"{request.url} {request.headers} {request.cookies} {request.query_params}", 400)

    for handlers in ({}, {400: answer}, {HTTPException: answer}, {404: answer, 405: answer}):
        app = Pallasite(
            routes=[Route("/", fails), Route("/post", fails, methods=["POST"])], exception_handlers=handlers
        )
        for path, status in (("/", 400), ("/post", 405), ("/none\ud800", 404), ("*", 404), ("", 307)):
            for query in (b"", b"\xff", b"%"):
                found = await ask(app, path, headers=headers, query=query)
                assert found.status in (status, 400)


@pytest.mark.advisory("CVE-2025-48432")
async def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def page(request: Request) -> Response:
        raise HTTPException(403)

    app = Pallasite(routes=[Route("/{rest:path}", page), Route("/post", page, methods=["POST"])])
    for path in ("/a\nERROR forged", "/\x1b[2J", "/a\r\nb", "/%0a", "\n"):
        for method in ("GET", "POST", "BREW\nforged"):
            await ask(app, path, method=method, headers=[(b"x-a", b"\x1b[31m\nforged")])
    assert caplog.records == []
