"""Uploads and downloads over real sockets: streaming, limits, names, ranges, transfers cut short."""

from __future__ import annotations

import html
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.support.serving import MAX_UPLOAD_BYTES, Server, eventually

CONTENT = bytes(range(256)) * 1000

#: What browsers send for a file field in which nothing was chosen.
NO_CHOICE = b'--b\r\ncontent-disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--\r\n'


@pytest.fixture
def address(client: httpx.Client) -> str:
    """Upload a file with CONTENT, and return its URL."""
    return str(client.put("/files/iron.bin", content=CONTENT).json()["url"])


def stored(server: Server) -> set[str]:
    """The names of the files on disk, once no upload is under way any more (an earlier test may have cut one short)."""
    eventually(lambda: not partial(server), "partial files to be removed")
    return names(server)


def partial(server: Server) -> set[str]:
    return {name for name in names(server) if name.endswith(".part")}


def names(server: Server) -> set[str]:
    uploads = server.data / "uploads"
    return {file.name for file in uploads.iterdir()} if uploads.is_dir() else set()


def test_upload_comes_back_as_it_was(client: httpx.Client) -> None:
    answer = client.put("/files/iron.bin", content=CONTENT)
    assert answer.status_code == 201
    assert answer.json() == {"name": "iron.bin", "size": len(CONTENT), "url": answer.headers["location"]}
    download = client.get(answer.headers["location"])
    assert download.status_code == 200
    assert download.content == CONTENT
    assert download.headers["content-disposition"] == 'attachment; filename="iron.bin"'
    assert download.headers["x-content-type-options"] == "nosniff"
    assert "iron.bin" in client.get("/files").text


def test_form_brings_files_that_come_back_as_they_were(client: httpx.Client) -> None:
    names = [f"{uuid.uuid4().hex} {ending}" for ending in ("a.bin", "Übung #2.txt", 'c"d.bin')]
    contents = [CONTENT, b"--boundary\r\n\r\n--", b""]
    parts = [("file", (name, content)) for name, content in zip(names, contents, strict=True)]
    answer = client.post("/files", files=parts)
    assert (answer.status_code, httpx.URL(answer.headers["location"]).path) == (303, "/files")
    page = client.get("/files").text
    for name, content in zip(names, contents, strict=True):
        shown = re.escape(html.escape(name).replace("&quot;", "&#34;"))
        address = re.search(rf'href="([^"]+)" download>{shown}<', page)
        assert address is not None, name
        assert client.get(html.unescape(address[1])).content == content


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"content": NO_CHOICE, "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
        ({"data": {"file": "text"}}, 400),
        ({"files": [("other", ("a.txt", b"x"))]}, 422),
        ({"files": [("file", (f"{number}", b"x")) for number in range(21)]}, 400),
        ({"files": [("file", ("big", b"x" * MAX_UPLOAD_BYTES))]}, 413),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"--b\r\ncut", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400),
        ({"content": b""}, 422),
    ],
    ids=["nothing-chosen", "no-file", "another-field", "too-many", "too-large", "no-boundary", "cut", "nothing"],
)
def test_form_without_usable_files_is_refused_and_nothing_is_kept(
    client: httpx.Client, server: Server, request_of: dict[str, Any], status: int
) -> None:
    before = stored(server)
    answer = client.post("/files", **request_of)
    assert answer.status_code == status
    assert stored(server) == before


def test_form_cut_short_leaves_nothing_behind(client: httpx.Client, server: Server) -> None:
    before = stored(server)
    head = "POST /files HTTP/1.1\r\nhost: demo\r\ncontent-length: 500000\r\n"
    head += "content-type: multipart/form-data; boundary=b\r\n"
    part = '\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="cut.bin"\r\n\r\nbegin'
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall((head + part).encode())
    client.post("/files", files=[("file", ("whole.bin", b"x"))])
    assert len(stored(server)) == len(before) + 1
    assert "cut.bin" not in client.get("/files").text


def test_upload_in_chunks_without_a_length_comes_back_as_it_was(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(CONTENT), 10_000):
            yield CONTENT[start : start + 10_000]

    answer = client.put("/files/pieces.bin", content=pieces())
    assert answer.status_code == 201
    assert client.get(answer.json()["url"]).content == CONTENT


def test_empty_upload_is_an_empty_file(client: httpx.Client) -> None:
    answer = client.put("/files/empty", content=b"")
    assert answer.json()["size"] == 0
    download = client.get(answer.json()["url"])
    assert (download.status_code, download.content) == (200, b"")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("%C3%9Cbung%20%231.txt", "Übung #1.txt"),
        ("..%5C..%5Cevil.exe", "evil.exe"),
        ("%00%01name%0A%7F.txt", "name.txt"),
        ("..", "file"),
        ("%20.%20", "file"),
        ("a%22b%0D%0Ac", 'a"bc'),
        ("%E2%80%AEtxt.exe", "txt.exe"),
        ("n" * 300 + ".html", "n" * 115 + ".html"),
    ],
)
def test_name_of_an_upload_is_made_safe(server: Server, client: httpx.Client, sent: str, kept: str) -> None:
    head = f"PUT /files/{sent} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    status, answer = server.exchange(head.encode())
    assert status == 201
    location = next(line for line in answer.decode().split("\r\n") if line.lower().startswith("location: "))
    path = location.split("//demo", 1)[1]
    assert unquote(path.rsplit("/", 1)[1]) == kept
    download = client.get(path)
    assert download.content == b"ok"
    assert download.headers["content-disposition"].startswith("attachment; filename")


def test_slash_in_the_name_of_an_upload_is_not_a_path(server: Server) -> None:
    head = "PUT /files/a%2Fb HTTP/1.1\r\nhost: demo\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    assert server.exchange(head.encode())[0] in (404, 405)


def test_upload_declared_too_large_is_413_and_nothing_is_kept(client: httpx.Client, server: Server) -> None:
    before = stored(server)
    head = (
        f"PUT /files/big HTTP/1.1\r\nhost: demo\r\ncontent-length: {MAX_UPLOAD_BYTES + 1}\r\nconnection: close\r\n\r\n"
    )
    assert server.exchange(head.encode())[0] == 413
    assert stored(server) == before


def test_upload_that_grows_too_large_is_413_and_nothing_is_kept(client: httpx.Client, server: Server) -> None:
    before = stored(server)

    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_UPLOAD_BYTES // 50_000 + 1):
            yield b"x" * 50_000

    assert client.put("/files/big", content=pieces()).status_code == 413
    assert stored(server) == before


def test_upload_of_the_largest_size_is_stored(client: httpx.Client) -> None:
    answer = client.put("/files/largest", content=b"x" * MAX_UPLOAD_BYTES)
    assert (answer.status_code, answer.json()["size"]) == (201, MAX_UPLOAD_BYTES)


def test_upload_cut_short_leaves_nothing_behind(client: httpx.Client, server: Server) -> None:
    before = stored(server)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"PUT /files/cut.bin HTTP/1.1\r\nhost: demo\r\ncontent-length: 500000\r\n\r\n" + b"x" * 1000)
        eventually(lambda: partial(server), "the upload to begin")
    assert stored(server) == before
    assert "cut.bin" not in client.get("/files").text


def test_download_cut_short_leaves_the_server_well(client: httpx.Client, address: str) -> None:
    for _ in range(3):
        with client.stream("GET", address) as download:
            next(download.iter_bytes(100))
    assert client.get(address).content == CONTENT


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, None), ("bytes=-5", -5, None), ("bytes=10-99999999", 10, None)],
)
def test_range_returns_that_part(client: httpx.Client, address: str, value: str, start: int, end: int | None) -> None:
    answer = client.get(address, headers={"range": value})
    part = CONTENT[start:end]
    first = start % len(CONTENT)
    assert answer.status_code == 206
    assert answer.content == part
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(len(part))


def test_ranges_in_one_request_give_one_multipart_answer(client: httpx.Client, address: str) -> None:
    answer = client.get(address, headers={"range": "bytes=0-3,1000-1003"})
    assert answer.status_code == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = answer.content.split(b"--" + boundary.encode())
    assert [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:3]] == [
        CONTENT[0:4],
        CONTENT[1000:1004],
    ]
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("value", ["bytes=256000-", "bytes=9999999-10000000"])
def test_range_beyond_the_end_is_416(client: httpx.Client, address: str, value: str) -> None:
    answer = client.get(address, headers={"range": value})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "value", ["bytes=", "bytes=-", "bytes=9-1", "lines=1-2", "bytes=x-y", "nonsense", "bytes=" + "0-0," * 500 + "1-1"]
)
def test_range_that_makes_no_sense_is_refused_or_ignored(client: httpx.Client, address: str, value: str) -> None:
    assert client.get(address, headers={"range": value}).status_code in (200, 206, 400, 416)


# As download managers ask for files.
PLAIN = {"accept-encoding": "identity"}


def test_range_is_resumed_only_if_the_file_is_the_same(client: httpx.Client, address: str) -> None:
    # A compressed response has other bytes and so another, weak tag, which resumes nothing.
    assert client.head(address).headers["etag"].startswith("W/")
    etag = client.head(address, headers=PLAIN).headers["etag"]
    assert client.get(address, headers={"range": "bytes=0-9", "if-range": etag}).status_code == 206
    assert client.get(address, headers={"range": "bytes=0-9", "if-range": '"other"'}).status_code == 200


def test_head_of_a_file_has_its_size(client: httpx.Client, address: str) -> None:
    answer = client.head(address, headers=PLAIN)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_deleted_file_is_gone_from_the_disk_and_from_its_address(
    client: httpx.Client, server: Server, address: str, method: str
) -> None:
    token = Path(httpx.URL(address).path).parts[2]
    assert token in stored(server)
    target, status = (address, 204) if method == "DELETE" else (f"/files/{token}/delete", 303)
    assert client.request(method, target).status_code == status
    assert token not in stored(server)
    assert client.get(address).status_code == 404
    assert client.request(method, target).status_code == 404


@pytest.mark.parametrize("token", ["unknown", "%2e%2e", "..%5c", "%00", "a" * 3000])
def test_unknown_file_is_404(server: Server, token: str) -> None:
    head = f"GET /files/{token}/demo.sqlite3 HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n"
    assert server.exchange(head.encode())[0] == 404
