"""Files as responses: headers, ranges, conditions, disconnects, and errors of the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.responses import FileResponse as StarletteFileResponse

from pallasite._compat import mode
from pallasite._responses import file as file_module
from pallasite.background import BackgroundTask
from pallasite.responses import FileResponse
from tests.support.asgi import STALL_SECONDS, Sent, never

_CONTENT = bytes(range(256)) * 4  # 1,024 bytes

pytestmark = pytest.mark.anyio


async def _call(
    response: Any, headers: Mapping[str, str] | None = None, receive: Any = never, **scope: Any
) -> list[Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    sent = Sent()
    await response({"type": "http", "method": "GET", "headers": raw, **scope}, receive, sent)
    return sent


def _headers(head: Any) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in head["headers"]}


def _body(sent: list[Any]) -> bytes:
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    return b"".join(message["body"] for message in sent[1:])


def _rewrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(_CONTENT)
    return path


@pytest.mark.parametrize("chunk_size", [1, 100, 1023, 1024, 1025, 64 * 1024])
@pytest.mark.parametrize("spec_version", ["2.0", "2.4"])
async def test_file_is_sent_whole(path: Path, chunk_size: int, spec_version: str) -> None:
    events: list[str] = []
    response = FileResponse(path, background=BackgroundTask(events.append, "done"))
    response.chunk_size = chunk_size
    head, *rest = sent = await _call(response, asgi={"spec_version": spec_version})
    assert head["status"] == 200
    assert _body(sent) == _CONTENT
    assert max(len(message["body"]) for message in rest) <= chunk_size
    assert events == ["done"]


async def test_file_headers_are_starlettes(path: Path) -> None:
    os.utime(path, (784_111_777.25, 784_111_777.25))
    arguments: dict[str, Any] = {"filename": "résumé.txt", "headers": {"x-a": "b"}}
    ours, *_ = await _call(FileResponse(path, **arguments))
    theirs, *_ = await _call(StarletteFileResponse(path, **arguments))
    assert _headers(ours) == _headers(theirs)
    assert _headers(ours)["last-modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"


async def test_file_empty_is_sent(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    sent = await _call(FileResponse(empty))
    assert _headers(sent[0])["content-length"] == "0"
    assert _body(sent) == b""


async def test_file_given_headers_win(path: Path) -> None:
    given = {"etag": '"mine"', "accept-ranges": "none", "content-disposition": "inline", "last-modified": "never"}
    sent = await _call(FileResponse(path, headers=given, filename="x", media_type="a/b"))
    assert {name: value for name, value in _headers(sent[0]).items() if name in given} == given
    assert _headers(sent[0])["content-type"] == "a/b"


@pytest.mark.parametrize(
    ("name", "filename", "media_type"),
    [
        ("a.html", None, "text/html; charset=utf-8"),
        ("a.xyzzy", None, "application/octet-stream"),
        ("a", "b.png", "image/png"),
    ],
)
async def test_file_type_is_guessed_from_the_name(
    tmp_path: Path, name: str, filename: str | None, media_type: str
) -> None:
    file = tmp_path / name
    file.touch()
    sent = await _call(FileResponse(str(file), filename=filename))
    assert _headers(sent[0])["content-type"] == media_type


@pytest.mark.parametrize(
    ("filename", "kind", "expected"),
    [
        ("plain.txt", "attachment", 'attachment; filename="plain.txt"'),
        ("plain.txt", "inline", 'inline; filename="plain.txt"'),
        ('a"b.txt', "attachment", "attachment; filename*=utf-8''a%22b.txt"),
        ("é€.txt", "attachment", "attachment; filename*=utf-8''%C3%A9%E2%82%AC.txt"),
        ("a\r\nb: c", "attachment", "attachment; filename*=utf-8''a%0D%0Ab%3A%20c"),
        ("\x00\x7f", "attachment", "attachment; filename*=utf-8''%00%7F"),
        (os.fsdecode(b"\xff.txt"), "attachment", "attachment; filename*=utf-8''%FF.txt"),
    ],
)
async def test_file_name_to_save_under_is_quoted(path: Path, filename: str, kind: str, expected: str) -> None:
    response = FileResponse(path, filename=filename, content_disposition_type=kind)
    assert response.headers["content-disposition"] == expected


async def test_file_disposition_that_would_split_is_refused(path: Path) -> None:
    with pytest.raises(ValueError):
        FileResponse(path, filename="a", content_disposition_type="inline\r\nx: y")


async def test_file_stat_result_given_is_used(path: Path) -> None:
    response = FileResponse(path, stat_result=os.stat(path))
    assert response.headers["content-length"] == "1024"
    assert _body(await _call(response)) == _CONTENT


async def test_file_head_request_sends_no_bytes(path: Path) -> None:
    sent = await _call(FileResponse(path), method="HEAD")
    assert _headers(sent[0])["content-length"] == "1024"
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]


async def test_file_path_is_handed_to_a_server_that_sends_files(path: Path) -> None:
    sent = await _call(FileResponse(path), extensions={"http.response.pathsend": {}})
    assert sent[1:] == [{"type": "http.response.pathsend", "path": str(path)}]
    sent = await _call(FileResponse(path), {"range": "bytes=0-1"}, extensions={"http.response.pathsend": {}})
    assert _body(sent) == _CONTENT[:2]
    sent = await _call(FileResponse(path), method="HEAD", extensions={"http.response.pathsend": {}})
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]


async def test_file_refuses_a_websocket(path: Path) -> None:
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    sent = await _call(FileResponse(path, 403), type="websocket", extensions=extensions)
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    sent = await _call(FileResponse(path), {"range": "bytes=5000-"}, type="websocket", extensions=extensions)
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 416


@pytest.mark.parametrize("with_stat", [False, True])
async def test_file_missing_is_a_runtime_error(tmp_path: Path, path: Path, with_stat: bool) -> None:
    response = FileResponse(tmp_path / "nowhere", stat_result=os.stat(path) if with_stat else None)
    with pytest.raises(RuntimeError, match="does not exist"):
        await _call(response)


async def test_file_directory_is_a_runtime_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is not a file"):
        await _call(FileResponse(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
async def test_file_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with anyio.fail_after(STALL_SECONDS), pytest.raises(RuntimeError, match="is not a file"):
        await _call(FileResponse(tmp_path / "pipe"))


# --- ranges

_RANGES = [
    "bytes=0-0", "bytes=0-9", "bytes=10-", "bytes=-10", "bytes=-5000", "bytes=1000-5000", "bytes=1023-1023",
    "BYTES = 0-9", "bytes= 0 - 9 ", "bytes=0-9,20-29", "bytes=20-29,0-9", "bytes=0-9,5-15", "bytes=0-9,10-19",
    "bytes=0-9,0-9", "bytes=-1,0-0", "bytes=0-1,,4-5", "bytes=0-1,-", "bytes=0-1,abc", "bytes=0-1,a-b,4-5",
    "bytes=1024-", "bytes=5000-6000", "bytes=-0", "bytes=0-1,1024-", "bytes=9-0", "bytes=0-1,9-5", "bytes=",
    "bytes=-", "bytes=,", "bytes=a-b", "bytes", "bytes:0-1", "items=0-1", "", "=", "bytes=1",
    "bytes=0-1,2-3,4-5,6-7", "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(100)),
    "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(101)), "bytes=0-" + "9" * 100,
]  # fmt: skip


def _comparable(sent: list[Any]) -> Any:
    headers = _headers(sent[0])
    boundary = headers.get("content-type", "").partition("boundary=")[2]
    if boundary:
        headers["content-type"] = headers["content-type"].replace(boundary, "BOUNDARY")
    return sent[0]["status"], headers, _body(sent).replace(boundary.encode() or b"\xff" * 99, b"BOUNDARY")


@pytest.mark.parametrize("header", _RANGES, ids=range(len(_RANGES)))
async def test_range_is_answered_as_by_starlette_in_its_place(
    path: Path, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mode, "current", mode.PALLASITE._replace(refuses_malformed_ranges=True))
    ours = await _call(FileResponse(path), {"range": header})
    theirs = await _call(StarletteFileResponse(path), {"range": header})
    assert _comparable(ours) == _comparable(theirs)


@pytest.mark.parametrize(
    ("header", "status", "content_range"),
    [
        ("bytes=0-9", 206, "bytes 0-9/1024"),
        ("bytes=-1", 206, "bytes 1023-1023/1024"),
        ("bytes=9-0", 200, None),
        ("bytes=\u00b2-5", 200, None),
        ("bytes=1_0-2_0", 200, None),
        ("bytes=+1-2", 200, None),
        ("bytes=0x1-2", 200, None),
        ("bytes=--1", 200, None),
        ("bytes=" + "9" * 5000 + "-", 416, "bytes */1024"),
        ("bytes=0-" + "9" * 5000, 206, "bytes 0-1023/1024"),
        ("bytes=-" + "9" * 5000, 206, "bytes 0-1023/1024"),
        ("bytes=" + "0" * 5000 + "1-2", 206, "bytes 1-2/1024"),
    ],
)
async def test_range_numbers_are_ascii_digits_of_any_length(
    path: Path, header: str, status: int, content_range: str | None
) -> None:
    sent = await _call(FileResponse(path), {"range": header})
    assert sent[0]["status"] == status
    assert _headers(sent[0]).get("content-range") == content_range


@pytest.mark.parametrize(
    ("header", "status", "content_range"),
    [
        # A header that is not understood is ignored. Source: RFC 9110 section 14.2
        ("items=0-1", 200, None),
        ("bytes", 200, None),
        ("bytes:0-1", 200, None),
        ("bytes=", 200, None),
        ("bytes=0-1,abc", 200, None),
        ("bytes=9-0,0-1", 200, None),
        ("bytes=5000-4000", 200, None),
        # One range within the file is enough. Source: RFC 9110 section 14.1.1
        ("bytes=0-1,5000-", 206, "bytes 0-1/1024"),
        ("bytes=-0,0-1", 206, "bytes 0-1/1024"),
        ("bytes=0-1,,", 206, "bytes 0-1/1024"),
        ("bytes=1024-,5000-", 416, "bytes */1024"),
        ("bytes=-0", 416, "bytes */1024"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_range_that_is_not_understood_is_ignored_and_one_within_the_file_is_enough(
    path: Path, header: str, status: int, content_range: str | None, method: str
) -> None:
    sent = await _call(FileResponse(path), {"range": header}, method=method)
    assert sent[0]["status"] == status
    assert _headers(sent[0]).get("content-range") == content_range


async def test_range_of_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for header, status in (("bytes=0-", 416), ("bytes=-5", 200), ("bytes=-0", 416)):
        sent = await _call(FileResponse(tmp_path / "empty"), {"range": header})
        assert sent[0]["status"] == status
        assert _headers(sent[0])["content-length"] == "0"
        assert _body(sent) == b""


@pytest.mark.parametrize("chunk_size", [1, 7, 1024])
async def test_range_is_cut_into_chunks(path: Path, chunk_size: int) -> None:
    response = FileResponse(path)
    response.chunk_size = chunk_size
    sent = await _call(response, {"range": "bytes=100-199"})
    assert _body(sent) == _CONTENT[100:200]
    assert max(len(message["body"]) for message in sent[1:]) <= chunk_size


@pytest.mark.parametrize("chunk_size", [1, 7, 1024])
async def test_ranges_are_parts_of_the_announced_length(path: Path, chunk_size: int) -> None:
    response = FileResponse(path, media_type="image/png")
    response.chunk_size = chunk_size
    sent = await _call(response, {"range": "bytes=900-, 0-9"})
    headers, body = _headers(sent[0]), _body(sent)
    boundary = headers["content-type"].removeprefix("multipart/byteranges; boundary=").encode()
    assert int(headers["content-length"]) == len(body)
    assert body == b"".join(
        [
            b"--%s\r\nContent-Type: image/png\r\nContent-Range: bytes 0-9/1024\r\n\r\n" % boundary,
            _CONTENT[:10],
            b"\r\n--%s\r\nContent-Type: image/png\r\nContent-Range: bytes 900-1023/1024\r\n\r\n" % boundary,
            _CONTENT[900:],
            b"\r\n--%s--" % boundary,
        ]
    )


async def test_range_head_request_sends_its_headers(path: Path) -> None:
    sent = await _call(FileResponse(path), {"range": "bytes=0-9"}, method="HEAD")
    assert sent[0]["status"] == 206
    assert _headers(sent[0])["content-length"] == "10"
    assert _body(sent) == b""


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_range_is_for_reading_only(path: Path, method: str) -> None:
    assert (await _call(FileResponse(path), {"range": "bytes=0-9"}, method=method))[0]["status"] == 200


async def test_range_is_for_status_200_only(path: Path) -> None:
    assert (await _call(FileResponse(path, 404), {"range": "bytes=0-9"}))[0]["status"] == 404


async def test_range_max_ranges_of_a_subclass_counts(path: Path) -> None:
    class Strict(FileResponse):
        max_ranges = 2

    assert (await _call(Strict(path), {"range": "bytes=0-0,2-2"}))[0]["status"] == 206
    assert (await _call(Strict(path), {"range": "bytes=0-0,2-2,4-4"}))[0]["status"] == 200


async def test_range_condition_that_holds_returns_the_range(path: Path) -> None:
    response = FileResponse(path, stat_result=os.stat(path))
    for condition in (response.headers["etag"], response.headers["last-modified"]):
        sent = await _call(response, {"range": "bytes=0-9", "if-range": condition})
        assert sent[0]["status"] == 206


@pytest.mark.parametrize("condition", ['"other"', "", "Sun, 06 Nov 1994 08:49:37 GMT", "W/{etag}"])
async def test_range_condition_that_fails_returns_the_whole_file(path: Path, condition: str) -> None:
    response = FileResponse(path, stat_result=os.stat(path))
    condition = condition.format(etag=response.headers["etag"])
    sent = await _call(response, {"range": "bytes=0-9", "if-range": condition})
    assert sent[0]["status"] == 200


async def test_range_weak_tag_never_matches(path: Path) -> None:
    response = FileResponse(path, headers={"etag": 'W/"x"'})
    sent = await _call(response, {"range": "bytes=0-9", "if-range": 'W/"x"'})
    assert sent[0]["status"] == 200


# --- while the file is sent


async def test_file_that_grew_is_sent_as_announced(path: Path) -> None:
    known = os.stat(path)
    _rewrite(path, _CONTENT + b"more")
    for chunk_size in (100, 1024, 64 * 1024):
        response = FileResponse(path, stat_result=known)
        response.chunk_size = chunk_size
        assert _body(await _call(response)) == _CONTENT


@pytest.mark.parametrize("chunk_size", [100, 1024, 64 * 1024])
async def test_file_of_a_length_given_by_hand_is_sent_to_its_end(path: Path, chunk_size: int) -> None:
    response = FileResponse(path, headers={"content-length": "2048"})
    response.chunk_size = chunk_size
    assert _body(await _call(response)) == _CONTENT


@pytest.mark.parametrize("header", [None, "bytes=0-1000", "bytes=0-1000,1010-1020"])
@pytest.mark.parametrize("chunk_size", [100, 64 * 1024])
async def test_file_that_shrank_is_a_runtime_error(path: Path, header: str | None, chunk_size: int) -> None:
    known = os.stat(path)
    _rewrite(path, b"x" * 500)
    response = FileResponse(path, stat_result=known)
    response.chunk_size = chunk_size
    with pytest.raises(RuntimeError, match="shorter than expected"):
        await _call(response, {"range": header} if header else None)


async def test_file_disconnect_stops_the_transfer(path: Path) -> None:
    gone = anyio.Event()
    sent = 0

    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if len(messages) == 1:
            await gone.wait()
        return messages.pop()

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 5:
            gone.set()
        await anyio.lowlevel.checkpoint()

    response = FileResponse(path)
    response.chunk_size = 1
    with anyio.fail_after(STALL_SECONDS):
        await response({"type": "http", "method": "GET", "headers": []}, receive, send)
    assert 5 <= sent < 100


@pytest.mark.parametrize("loaded", [False, True])
def test_open_file_of_anyio_is_not_imported(monkeypatch: pytest.MonkeyPatch, loaded: bool) -> None:
    assert callable(anyio.open_file)  # imports it, as others may have
    if not loaded:
        monkeypatch.delattr(anyio, "open_file")
    assert file_module._opens_in_stock_way()
    assert ("open_file" in vars(anyio)) is loaded


@pytest.mark.parametrize("patched", [False, True])
@pytest.mark.parametrize("header", [None, "bytes=0-900", "bytes=0-100,500-600"])
async def test_file_is_closed_whatever_happens(
    path: Path, monkeypatch: pytest.MonkeyPatch, patched: bool, header: str | None
) -> None:
    opened: list[Any] = []
    open_file = anyio.open_file

    class Noting(file_module._Opened):
        def __init__(self, file: Any) -> None:
            super().__init__(file)
            opened.append(file)

    async def noting_open(*arguments: Any, **options: Any) -> Any:
        file = await open_file(*arguments, **options)
        opened.append(file.wrapped)
        return file

    if patched:
        monkeypatch.setattr(anyio, "open_file", noting_open)
    else:
        monkeypatch.setattr(file_module, "_Opened", Noting)

    async def failing_send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise LookupError("server bug")

    async def stuck_send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    scope = {"type": "http", "method": "GET", "headers": [(b"range", header.encode())] if header else []}
    response = FileResponse(path)
    response.chunk_size = 100
    with pytest.raises(LookupError):
        await response(dict(scope), never, failing_send)
    with anyio.move_on_after(0.05):
        await response(dict(scope), never, stuck_send)
    assert len(opened) == 2
    assert all(file.closed for file in opened)


async def test_file_open_put_in_its_place_is_called(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    open_file = anyio.open_file

    async def noting(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return await open_file(*arguments, **options)

    monkeypatch.setattr(anyio, "open_file", noting)
    assert _body(await _call(FileResponse(path))) == _CONTENT
    assert calls == [(path,)]


async def test_multipart_length_is_the_sum_of_its_parts(path: Path) -> None:
    length, part_header = FileResponse(path).generate_multipart([(0, 1), (10, 1000)], "b", 1024, "a/b")
    headers = part_header(0, 1), part_header(10, 1000)
    assert headers[1] == b"--b\r\nContent-Type: a/b\r\nContent-Range: bytes 10-999/1024\r\n\r\n"
    assert length == sum(map(len, headers)) + 1 + 990 + 2 * len("\r\n") + len("--b--")
