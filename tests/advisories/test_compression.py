"""Compressed bodies, of requests and of responses."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Route
from tests.support.asgi import ask

pytestmark = pytest.mark.anyio


async def read(request: Request) -> Response:
    match request.url.path:
        case "/form":
            return JSONResponse(len((await request.form()).multi_items()))
        case "/json":
            return JSONResponse(await request.json())
    return JSONResponse(len(await request.body()))


app = Pallasite(
    routes=[Route(path, read, methods=["POST"]) for path in ("/body", "/form", "/json")],
    middleware=[Middleware(GZipMiddleware)],
)

PLAIN = b'"' + b"x" * 20_000_000 + b'"'
BOMBS = {
    b"gzip": gzip.compress(PLAIN),
    b"deflate": zlib.compress(PLAIN),
    b"gzip, gzip": gzip.compress(gzip.compress(PLAIN)),
}
BOMBS[b"br"] = BOMBS[b"gzip"]


@pytest.mark.advisory("CVE-2025-69223", "CVE-2026-54278")
@pytest.mark.parametrize("coding", BOMBS.keys(), ids=repr)
@pytest.mark.parametrize("name", [b"content-encoding", b"transfer-encoding", b"te"])
async def test_body_that_is_packed_stays_packed(name: bytes, coding: bytes) -> None:
    body = BOMBS[coding]
    headers = [(name, coding), (b"content-type", b"application/json")]
    tracemalloc.start()
    try:
        answer = await ask(app, "/body", method="POST", body=body, headers=headers)
        assert answer.body == str(len(body)).encode()
        assert (await ask(app, "/json", method="POST", body=body, headers=headers)).status == 400
        # Nor is one that is never read.
        assert (await ask(app, "/nowhere", method="POST", body=[body, body], headers=headers)).status == 404
        form = [(name, coding), (b"content-type", b"application/x-www-form-urlencoded")]
        assert (await ask(app, "/form", method="POST", body=body, headers=form)).status in (200, 400)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(PLAIN) / 5  # of which nothing was unpacked


@pytest.mark.advisory("CVE-2025-69223")
async def test_field_of_a_form_that_is_packed_stays_packed() -> None:
    packed = BOMBS[b"gzip"]
    head = b'--B\r\nContent-Disposition: form-data; name="a"\r\nContent-Encoding: gzip\r\n\r\n'
    headers = [(b"content-type", b"multipart/form-data; boundary=B")]
    answer = await ask(app, "/form", method="POST", body=head + packed + b"\r\n--B--", headers=headers)
    assert answer.body == b"1"


ACCEPTED: dict[bytes, Any] = {
    b"gzip": "gzip",
    b"*": "gzip",
    b"gzip;q=0": None,
    b"identity": None,
    b"gzip;q=0.0001": None,
    b"gzip\r\n": None,
    b"gzip;q=\xd9\xa1": None,
    b"gzip" * 100_000: None,
    b"gzip," * 100_000: "gzip",
    b"gzip;q=" + b"0" * 100_000: None,
    b"\xff": None,
}


@pytest.mark.advisory("CVE-2014-1418")
@pytest.mark.parametrize("accept", ACCEPTED, ids=lambda text: repr(text[:16]))
async def test_compressed_response_has_vary(accept: bytes) -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse("x" * 2_000)

    pages = Pallasite(routes=[Route("/", page)], middleware=[Middleware(GZipMiddleware)])
    answer = await ask(pages, headers=[(b"accept-encoding", accept)])
    assert answer.header("vary") == "Accept-Encoding"
    coding = answer.header("content-encoding")
    assert coding in (None, "gzip")
    text = gzip.decompress(answer.body) if coding else answer.body
    assert text == b"x" * 2_000
    if ACCEPTED[accept] == "gzip" or accept in (b"gzip;q=0", b"identity"):
        assert coding == ACCEPTED[accept]
