"""Conditional requests for files, in the order of RFC 9110 section 13.2.2, by `FileResponse` and `StaticFiles`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pallasite.background import BackgroundTask
from pallasite.datastructures import Headers
from pallasite.exceptions import HTTPException
from pallasite.responses import FileResponse
from pallasite.staticfiles import StaticFiles
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi import Answer, Sent, ask, never, scope_of

pytestmark = pytest.mark.anyio

CONTENT = b"0123456789" * 10
EARLIER = "Sat, 14 Jun 2025 15:06:40 GMT"
MODIFIED = "Sun, 15 Jun 2025 15:06:40 GMT"
LATER = "Mon, 16 Jun 2025 15:06:40 GMT"


class Hooked(StaticFiles):
    """Takes the way of subclasses, which calls the public methods."""

    def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
        return super().is_not_modified(response_headers, request_headers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(CONTENT)
    os.utime(path, (1750000000, 1750000000))
    return path


@pytest.fixture(params=["FileResponse", "StaticFiles", "a subclass of StaticFiles"])
def app(request: pytest.FixtureRequest, path: Path) -> ASGIApp:
    if request.param == "StaticFiles":
        return StaticFiles(directory=path.parent)
    if request.param == "a subclass of StaticFiles":
        return Hooked(directory=path.parent)

    async def download(scope: Scope, receive: Receive, send: Send) -> None:
        await FileResponse(path)(scope, receive, send)

    return download


async def get(app: ASGIApp, method: str = "GET", **fields: str) -> Answer:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return await ask(app, "/a.txt", method=method, headers=headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        # Step 1: If-Match, which compares strongly.
        ({"if_match": "{tag}"}, 200),
        ({"if_match": '"other", {tag}'}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": '"other"'}, 412),
        ({"if_match": "W/{tag}"}, 412),
        ({"if_match": ""}, 412),
        # Step 2: If-Unmodified-Since, unless there is If-Match. What is no date is ignored.
        ({"if_unmodified_since": MODIFIED}, 200),
        ({"if_unmodified_since": LATER}, 200),
        ({"if_unmodified_since": EARLIER}, 412),
        ({"if_unmodified_since": "rubbish"}, 200),
        ({"if_unmodified_since": f"{EARLIER}, {EARLIER}"}, 200),
        ({"if_match": "{tag}", "if_unmodified_since": EARLIER}, 200),
        ({"if_match": '"other"', "if_unmodified_since": LATER}, 412),
        # Step 3: If-None-Match, which compares weakly.
        ({"if_none_match": "{tag}"}, 304),
        ({"if_none_match": "W/{tag}"}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"other"'}, 200),
        ({"if_match": "{tag}", "if_none_match": "{tag}"}, 304),
        ({"if_match": '"other"', "if_none_match": "{tag}"}, 412),
        ({"if_unmodified_since": EARLIER, "if_none_match": "{tag}"}, 412),
        # Step 4: If-Modified-Since, unless there is If-None-Match.
        ({"if_modified_since": MODIFIED}, 304),
        ({"if_modified_since": LATER}, 304),
        ({"if_modified_since": EARLIER}, 200),
        ({"if_modified_since": "rubbish"}, 200),
        ({"if_none_match": '"other"', "if_modified_since": LATER}, 200),
        ({"if_unmodified_since": EARLIER, "if_modified_since": LATER}, 412),
        # Step 5: Range, and If-Range.
        ({"range": "bytes=0-9"}, 206),
        ({"range": "bytes=0-9", "if_range": "{tag}"}, 206),
        ({"range": "bytes=0-9", "if_range": MODIFIED}, 206),
        ({"range": "bytes=0-9", "if_range": "W/{tag}"}, 200),
        ({"range": "bytes=0-9", "if_range": '"other"'}, 200),
        ({"range": "bytes=0-9", "if_range": LATER}, 200),
        ({"range": "bytes=0-9", "if_match": "{tag}"}, 206),
        ({"range": "bytes=0-9", "if_match": '"other"'}, 412),
        ({"range": "bytes=0-9", "if_unmodified_since": EARLIER}, 412),
        ({"range": "bytes=0-9", "if_none_match": "{tag}"}, 304),
        ({"range": "bytes=900-", "if_match": '"other"'}, 412),
        ({"range": "bytes=900-", "if_match": "{tag}"}, 416),
        ({"range": "bytes=900-", "if_range": '"other"'}, 200),
    ],
)
async def test_conditions_are_evaluated_in_their_order(
    app: ASGIApp, method: str, fields: dict[str, str], status: int
) -> None:
    tag = (await get(app)).header("etag")
    answer = await get(app, method, **{name: value.format(tag=tag) for name, value in fields.items()})
    assert answer.status == status
    if status in (200, 206, 304):
        assert answer.header("etag") == tag
    if status in (200, 206):
        size = 10 if status == 206 else len(CONTENT)
        assert answer.header("content-length") == str(size)
        assert answer.body == (b"" if method == "HEAD" else CONTENT[:size])
    if status == 304:
        assert answer.body == b""
        assert answer.header("content-length") is None
        assert answer.header("content-type") is None


async def test_dates_that_are_given_twice_are_ignored(app: ASGIApp) -> None:
    for name, value in ((b"if-modified-since", LATER), (b"if-unmodified-since", EARLIER)):
        answer = await ask(app, "/a.txt", headers=[(name, value.encode())] * 2)
        assert answer.status == 200


@pytest.mark.parametrize(("method", "status_code"), [("POST", 200), ("GET", 404), ("GET", 203)])
async def test_conditions_are_for_successful_reading_only(path: Path, method: str, status_code: int) -> None:
    sent = Sent()
    scope = scope_of(method=method, headers=[(b"if-match", b'"other"'), (b"if-none-match", b"*")])
    await FileResponse(path, status_code)(scope, never, sent)
    assert sent[0]["status"] == status_code
    assert sent[1]["body"] == CONTENT


@pytest.mark.parametrize(
    ("name", "value"), [(b"if-none-match", b"*"), (b"if-match", b'"other"'), (b"range", b"bytes=900-")]
)
async def test_background_task_runs_without_the_file_too(path: Path, name: bytes, value: bytes) -> None:
    done: list[Any] = []
    response = FileResponse(path, background=BackgroundTask(done.append, "task"))
    await response(scope_of(headers=[(name, value)]), never, Sent())
    assert done == ["task"]


async def test_not_modified_keeps_what_does_not_describe_the_content(path: Path) -> None:
    response = FileResponse(path, filename="b.txt", headers={"cache-control": "max-age=5", "x-own": "1"})
    response.set_cookie("a", "b")
    sent = Sent()
    await response(scope_of(headers=[(b"if-none-match", b"*")]), never, sent)
    names = {name for name, _ in sent[0]["headers"]}
    assert names == {b"cache-control", b"x-own", b"set-cookie", b"etag"}


async def test_subclass_of_static_files_may_turn_304_off(path: Path) -> None:
    class Always(StaticFiles):
        def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
            return False

    assert (await get(Always(directory=path.parent), if_none_match="*")).status == 200


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [
        "/a.txt/",
        "/a.txt//",
        "/a.txt/.",
        "/a.txt/./",
        "//a.txt/",
        "/dir/../a.txt/",
        "/a.txt/b",
        "/a.txt/b/",
        "/a.txt/./b",
    ],
)
async def test_path_that_is_not_quite_that_of_a_file_is_404(path: Path, html: bool, hooked: bool, wanted: str) -> None:
    (path.parent / "dir").mkdir()
    (path.parent / "404.html").write_text("nothing here")
    app = (Hooked if hooked else StaticFiles)(directory=path.parent, html=html)
    if html:
        answer = await ask(app, wanted)
        assert (answer.status, answer.body) == (404, b"nothing here")
    else:
        with pytest.raises(HTTPException) as caught:
            await ask(app, wanted)
        assert caught.value.status_code == 404


def test_directory_that_is_a_file_is_called_so(path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"a.txt' is not a directory$"):
        StaticFiles(directory=path)
