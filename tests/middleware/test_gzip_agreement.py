"""Responses to HEAD, partial and not modified ones agree with the compressed response to GET."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pallasite.middleware.gzip import GZipMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Route, Router
from pallasite.staticfiles import StaticFiles
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi import Answer, ask

pytestmark = pytest.mark.anyio

TEXT = "all work and no play\n" * 2000
#: The headers that must be those of the response to GET. Source: RFC 9110 sections 9.3.2 and 15.4.5
FIELDS = ("vary", "etag", "content-encoding", "content-type", "cache-control")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "small.txt").write_text("short")
    (tmp_path / "a.png").write_text(TEXT)
    return tmp_path


@pytest.fixture(params=["StaticFiles", "FileResponse"])
def app(request: pytest.FixtureRequest, folder: Path) -> ASGIApp:
    if request.param == "StaticFiles":
        return GZipMiddleware(StaticFiles(directory=folder))

    async def download(scope: Scope, receive: Receive, send: Send) -> None:
        await FileResponse(folder / scope["path"].lstrip("/"))(scope, receive, send)

    return GZipMiddleware(download)


async def get(app: ASGIApp, path: str, method: str = "GET", *, accept: bool = True, **fields: str) -> Answer:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    headers += [(b"accept-encoding", b"gzip")] if accept else []
    return await ask(app, path, method=method, headers=headers)


def fields(answer: Answer) -> dict[str, Any]:
    return {name: answer.header(name) for name in FIELDS}


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("path", ["/a.txt", "/small.txt", "/a.png"])
async def test_head_has_the_headers_of_get(app: ASGIApp, path: str, accept: bool) -> None:
    whole, head = await get(app, path, accept=accept), await get(app, path, "HEAD", accept=accept)
    assert fields(head) == fields(whole)
    assert head.body == b""
    # It may be left out, but never be another one.
    assert head.header("content-length") in (None, str(len(whole.body)))
    assert (whole.header("content-encoding") == "gzip") is (accept and path == "/a.txt")


@pytest.mark.parametrize("condition", ["if_none_match", "if_modified_since"])
@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_not_modified_agrees_with_the_response_that_the_client_has(
    app: ASGIApp, condition: str, accept: bool, method: str
) -> None:
    whole = await get(app, "/a.txt", accept=accept)
    known = whole.header("etag" if condition == "if_none_match" else "last-modified")
    assert known is not None
    answer = await get(app, "/a.txt", method, accept=accept, **{condition: known})
    assert answer.status == 304
    assert answer.header("etag") == whole.header("etag")
    assert answer.header("vary") == whole.header("vary") == "Accept-Encoding"
    assert answer.header("content-encoding") is None


async def test_not_modified_keeps_the_strong_tag_of_what_is_not_compressed(app: ASGIApp) -> None:
    for path in ("/a.png", "/small.txt"):
        whole = await get(app, path)
        tag = whole.header("etag")
        assert tag is not None
        assert not tag.startswith("W/")
        answer = await get(app, path, if_none_match=tag)
        assert (answer.status, answer.header("etag"), answer.header("vary")) == (304, tag, None)


@pytest.mark.parametrize("accept", [True, False])
async def test_partial_response_varies_and_keeps_the_tag_of_its_bytes(app: ASGIApp, accept: bool) -> None:
    strong = (await get(app, "/a.txt", accept=False)).header("etag")
    answer = await get(app, "/a.txt", accept=accept, range="bytes=0-9")
    assert (answer.status, answer.body) == (206, TEXT[:10].encode())
    assert answer.header("vary") == "Accept-Encoding"
    assert answer.header("etag") == strong
    # The compressed response has other bytes, so its tag resumes nothing.
    weak = (await get(app, "/a.txt", accept=True)).header("etag")
    assert (await get(app, "/a.txt", range="bytes=0-9", if_range=weak or "")).status == 200


async def test_partial_response_of_what_is_not_compressed_does_not_vary(app: ASGIApp) -> None:
    assert (await get(app, "/a.png", range="bytes=0-9")).header("vary") is None


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("kind", ["plain", "short", "stream", "declared", "empty", "no length"])
async def test_head_of_any_endpoint_has_the_headers_of_get(kind: str, accept: bool) -> None:
    async def endpoint(request: Request) -> Response:
        headers = {"etag": '"x"', "cache-control": "no-cache"}
        if kind == "stream":
            return StreamingResponse([TEXT[:9], TEXT[9:]], headers=headers)
        if kind == "declared":  # as a handler that saves itself the work
            length = {"content-length": str(len(TEXT))}
            return Response(b"" if request.method == "HEAD" else TEXT, headers={**headers, **length})
        if kind == "no length":
            return StreamingResponse([] if request.method == "HEAD" else ["short"], headers=headers)
        return PlainTextResponse({"plain": TEXT, "short": "short", "empty": ""}[kind], headers=headers)

    app = GZipMiddleware(Router([Route("/", endpoint)]))
    whole, head = await get(app, "/", accept=accept), await get(app, "/", "HEAD", accept=accept)
    if kind != "no length":  # nothing says what GET would send
        assert fields(head) == fields(whole)
    assert head.header("content-length") in (None, str(len(whole.body)))
