"""starlette-compress: the codings a client may ask for, on bodies, streams and files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import brotli
import httpx2
import pytest
import zstandard
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette_compress import CompressMiddleware

TEXT = "all work and no play makes a dull page\n" * 200


async def long(request: Request) -> Response:
    return PlainTextResponse(TEXT)


async def short(request: Request) -> Response:
    return JSONResponse({"short": True})


async def stream(request: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        for line in TEXT.splitlines(keepends=True):
            yield line

    return StreamingResponse(lines(), media_type="text/plain")


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    (tmp_path / "page.html").write_text(TEXT)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG" + bytes(5000))
    return Starlette(
        routes=[
            Route("/long", long),
            Route("/short", short),
            Route("/stream", stream),
            Mount("/static", StaticFiles(directory=tmp_path)),
        ],
        middleware=[Middleware(CompressMiddleware, minimum_size=100)],
    )


def unpacked(body: bytes, coding: str) -> str:
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body).decode()
    if coding == "br":
        return brotli.decompress(body).decode()
    return body.decode()


@pytest.mark.parametrize("path", ["/long", "/stream", "/static/page.html"])
@pytest.mark.parametrize(
    ("accepted", "coding"), [("zstd, br, gzip", "zstd"), ("br;q=0.5", "br"), ("zstd;q=0, br", "br")]
)
def test_body_has_first_coding_that_client_takes(
    serve: Callable[..., str], app: Starlette, path: str, accepted: str, coding: str
) -> None:
    # As it is on the wire: the client has no say in decoding.
    with httpx2.stream("GET", serve(app) + path, headers={"Accept-Encoding": accepted}) as response:
        body = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == coding
    assert response.headers["vary"] == "Accept-Encoding"
    assert len(body) < len(TEXT) / 10
    assert unpacked(body, coding) == TEXT


@pytest.mark.parametrize("path", ["/long", "/stream", "/static/page.html"])
def test_gzip_is_undone_by_client(app: Starlette, path: str) -> None:
    response = TestClient(app).get(path, headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert response.text == TEXT


def test_short_bodies_pictures_and_old_clients_get_what_is_there(app: Starlette) -> None:
    client = TestClient(app)
    for path, accepted in [("/short", "gzip"), ("/static/picture.png", "gzip"), ("/long", "identity")]:
        response = client.get(path, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in response.headers, path
        assert int(response.headers["content-length"]) == len(response.content)


def test_range_of_file_is_not_compressed(app: Starlette) -> None:
    response = TestClient(app).get("/static/page.html", headers={"Accept-Encoding": "gzip", "Range": "bytes=4-7"})
    assert (response.status_code, response.text) == (206, "work")
    assert "content-encoding" not in response.headers
