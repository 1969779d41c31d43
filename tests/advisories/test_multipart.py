"""Bodies of `multipart/form-data`: boundaries, parts, their headers and their files."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import pytest

from pallasite import _core, formparsers
from pallasite.applications import Pallasite
from pallasite.datastructures import UploadFile
from pallasite.middleware import Middleware
from pallasite.middleware.body_limit import RequestBodyLimitMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route
from tests.support.asgi import ask, assert_linear, post

pytestmark = pytest.mark.anyio

KIND = b"multipart/form-data; boundary=B"
FIELD = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
FILE = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\n'
END = b"\r\n--B--\r\n"


async def read_form(request: Request) -> Response:
    """Names, and texts or (file name, size), in order."""
    async with request.form() as form:
        seen = [
            [name, value if isinstance(value, str) else [value.filename, value.size]]
            for name, value in form.multi_items()
        ]
    return JSONResponse(seen)


async def read_body(request: Request) -> Response:
    return JSONResponse(len(await request.body()))


app = Pallasite(routes=[Route("/", read_form, methods=["POST"]), Route("/body", read_body, methods=["POST"])])


def new_parser(files: float = 1000, fields: float = 1000, part_bytes: float = 1024 * 1024) -> _core.MultipartParser:
    return _core.MultipartParser(b"B", "utf-8", files, fields, part_bytes)


def feed_all(parser: _core.MultipartParser, body: bytes, step: int) -> None:
    items: list[Any] = []
    for at in range(0, len(body), step):
        parser.feed(body[at : at + step], items)


# --- headers with parameters

HARD_PARAMETERS = {
    "backslashes": lambda size: b'a/b; x="' + b"\\" * size,
    "escaped quotes": lambda size: b'a/b; x="' + b'\\"' * size,
    "no end of value": lambda size: b"a/b; !=" + b'"' + b"\\\\" * size + b"\\",
    "semicolons in quotes": lambda size: b'a/b; x="' + b";" * size,
    "semicolons in quotes, escaped quotes": lambda size: b'a/b; x="' + b'\\";' * size + b'"',
    "parameters": lambda size: b"a/b" + b";x=y" * size,
    "parameters without a value": lambda size: b"a/b" + b";" * size,
    "quotes": lambda size: b"a/b;x=" + b'"' * size,
    "blanks": lambda size: b"a/b;" + b" \t" * size + b"x=y",
    "equals signs": lambda size: b"a/b;" + b"=" * size,
}


def parameters(header: bytes) -> None:
    try:
        _core.form_parameters(header, b"boundary", b"charset")
    except _core.FormError:
        pass


@pytest.mark.advisory("CVE-2024-24762", "GHSA-93gm-qmq6-w238", "CVE-2026-28356", "CVE-2025-67726")
@pytest.mark.parametrize("make", HARD_PARAMETERS.values(), ids=HARD_PARAMETERS.keys())
@pytest.mark.parametrize(
    "read", [parameters, _core.parse_content_type, _core.parse_accept], ids=["form", "content-type", "accept"]
)
def test_parameters_are_read_in_one_pass(make: Any, read: Any) -> None:
    assert_linear(make, read)


@pytest.mark.advisory("CVE-2024-24762")
@pytest.mark.parametrize("make", HARD_PARAMETERS.values(), ids=HARD_PARAMETERS.keys())
async def test_content_type_of_any_length_is_a_bad_request_at_most(make: Any) -> None:
    header = make(50_000)
    answer = await post(app, FIELD + b"x" + END, header.replace(b"a/b", b"multipart/form-data"))
    assert answer.status == 400
    answer = await post(app, b"a=b", header.replace(b"a/b", b"application/x-www-form-urlencoded"))
    assert (answer.status, answer.body) == (200, b'[["a","b"]]')


@pytest.mark.advisory("CVE-2025-67726")
@pytest.mark.parametrize("make", HARD_PARAMETERS.values(), ids=HARD_PARAMETERS.keys())
async def test_disposition_of_any_length_is_refused_at_its_limit(make: Any) -> None:
    line = b"Content-Disposition: " + make(50_000).replace(b"a/b", b"form-data; name=a")
    parser = new_parser()
    with pytest.raises(_core.FormError):
        parser.feed(b"--B\r\n" + line + b"\r\n\r\nx" + END, [])
    assert parser.steps < 5_000
    assert (await post(app, b"--B\r\n" + line + b"\r\n\r\nx" + END, KIND)).status == 400


# --- how many parts, how large

MANY = {
    "CVE-2023-30798": FIELD + b"\r\n",
    "CVE-2023-25577": FIELD + b"x\r\n",
    "CVE-2023-25578": FILE + b"\r\n",
    "CVE-2023-24580": FILE + b"x\r\n",
    "CVE-2024-52581": FIELD.replace(b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n") + b"{}\r\n",
    "CVE-2026-31958": FILE.replace(b"f.txt", b"") + b"\r\n",
}


@pytest.mark.parametrize("part", MANY.values(), ids=MANY.keys())
async def test_parts_of_a_form_are_counted(part: bytes) -> None:
    answer = await post(app, part * 1000 + b"--B--", KIND)
    assert answer.status == 200
    for pieces in ([part * 1001 + b"--B--"], [part] * 1001 + [b"--B--"]):
        answer = await post(app, pieces, KIND)
        assert answer.status == 400
        assert answer.body.startswith(b"Too many f")


@pytest.mark.advisory("GHSA-8423-8fgw-73vq")
@pytest.mark.parametrize("part", MANY.values(), ids=MANY.keys())
def test_parts_past_the_limit_are_not_looked_at(part: bytes) -> None:
    parser = new_parser()
    items: list[Any] = []
    with pytest.raises(_core.FormError, match="too_many"):
        parser.feed(part * 100_000, items)
    assert parser.steps <= 2 * len(part) * 1_001
    assert len(items) <= 1_000


@pytest.mark.parametrize("part", MANY.values(), ids=MANY.keys())
async def test_no_file_of_a_form_with_too_many_parts_stays_open(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    make = tempfile.SpooledTemporaryFile

    def opens(**options: Any) -> Any:
        opened.append(make(**options))
        return opened[-1]

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", opens)
    answer = await post(app, [FILE + b"x" + b"\r\n", *[part] * 1001], KIND)
    assert answer.status == 400
    assert opened
    assert all(file.closed for file in opened)


@pytest.mark.advisory("CVE-2024-47874", "CVE-2026-34517")
async def test_field_is_refused_once_it_is_too_long() -> None:
    parser = new_parser()
    items: list[Any] = []
    parser.feed(FIELD, items)
    for _ in range(16):
        parser.feed(b"x" * 65_536, items)
    with pytest.raises(_core.FormError, match="field_too_long"):
        parser.feed(b"x", items)
    for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 400)):
        body = FIELD + b"x" * size + END
        answer = await post(app, [body[at : at + 65_536] for at in range(0, len(body), 65_536)], KIND)
        assert answer.status == status


@pytest.mark.advisory("CVE-2024-47874")
@pytest.mark.parametrize("name", [b'"a"', b'"a"; filename*=x', b"a", b'"a"; size=9'], ids=repr)
async def test_part_without_a_file_name_is_a_field_whatever_its_other_headers(name: bytes) -> None:
    head = b"--B\r\nContent-Disposition: form-data; name=" + name
    for line in (b"", b"\r\nContent-Type: application/octet-stream", b"\r\nContent-Length: 3"):
        body = head + line + b"\r\n\r\n" + b"x" * (1024 * 1024 + 1) + END
        assert (await post(app, body, KIND)).status == 400


@pytest.mark.advisory("CVE-2025-69228", "CVE-2026-33034", "CVE-2026-53540")
async def test_body_limit_counts_all_that_comes() -> None:
    limited = Pallasite(
        routes=[Route("/", read_form, methods=["POST"]), Route("/body", read_body, methods=["POST"])],
        middleware=[Middleware(RequestBodyLimitMiddleware, max_body_size=100_000)],
    )
    form = (FIELD + b"x" * 2_000 + b"\r\n") * 100 + b"--B--"
    urlencoded = b"&".join([b"a=" + b"x" * 2_000] * 100)
    for path, kind, body in (
        ("/", KIND, form),
        ("/", b"application/x-www-form-urlencoded", urlencoded),
        ("/body", b"text/plain", urlencoded),
    ):
        pieces = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
        for declared in (None, b"0", b"5", b"-1", b"+5", b"1e9", b"\xb2", b"", b"9" * 5000, b"200000"):
            headers = [] if declared is None else [(b"content-length", declared)]
            answer = await post(limited, pieces, kind, path, headers=headers)
            assert answer.status == 413, declared


@pytest.mark.advisory("CVE-2024-49767")
async def test_form_takes_no_more_memory_than_four_times_its_body() -> None:
    bodies = {
        "fields": (FIELD + b"x" * 1_000 + b"\r\n") * 900 + b"--B--",
        "one field": FIELD + b"x" * 1_000_000 + END,
        "file": FILE + b"x" * 1_000_000 + END,
        "lookalikes": FILE + b"\r\n--" * 250_000 + END,
    }
    for name, body in bodies.items():
        pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
        tracemalloc.start()
        try:
            answer = await post(app, pieces, KIND)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer.status == 200
        assert peak < 4 * len(body), name


# --- bytes between and around the parts

LINE_ENDS = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "cr crlf": b"\r\r\n", "dashes": b"\r\n--", "near": b"\r\n--A"}


@pytest.mark.advisory("CVE-2023-46136")
@pytest.mark.parametrize("text", LINE_ENDS.values(), ids=LINE_ENDS.keys())
@pytest.mark.parametrize("begin", [FIELD, FILE], ids=["field", "file"])
def test_part_of_line_ends_is_searched_in_one_pass(begin: bytes, text: bytes) -> None:
    size = 400_000
    body = begin + text * (size // len(text)) + END
    for step in (1, 7, 1024, len(body)):
        pieces = range(0, 20_000 if step == 1 else len(body), step)
        parser = new_parser(part_bytes=1e9)
        feed_all(parser, body[: pieces[-1] + step], step)
        assert parser.steps <= 4 * (pieces[-1] + step)


@pytest.mark.advisory("CVE-2024-53981", "CVE-2026-40347")
@pytest.mark.parametrize("text", LINE_ENDS.values(), ids=LINE_ENDS.keys())
@pytest.mark.parametrize("place", ["before", "after"])
async def test_preamble_and_epilogue_are_ignored(place: str, text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    form = FIELD + b"1" + END
    noise = text * (400_000 // len(text))
    body = noise + b"\r\n" + form if place == "before" else form + noise
    parser = new_parser()
    try:
        parser.feed(body, [])
    except _core.FormError:
        pass
    assert parser.steps <= 4 * len(body)
    answer = await post(app, [body[at : at + 65_536] for at in range(0, len(body), 65_536)], KIND)
    assert answer.status in (200, 400)
    assert caplog.records == []


# --- headers of parts


@pytest.mark.advisory("CVE-2026-42561", "CVE-2026-34516")
@pytest.mark.parametrize(
    "headers",
    [
        b"X: y\r\n" * 1000,
        b"X: " + b"y" * 100_000 + b"\r\n",
        b"X" * 100_000 + b": y\r\n",
        b"X" * 100_000,
        b"X: y\r\n y" * 1000,
        b": \r\n" * 1000,
    ],
    ids=["many", "long value", "long name", "no end", "folded", "nameless"],
)
@pytest.mark.parametrize("step", [1, 1000, 1_000_000], ids=str)
async def test_headers_of_a_part_have_a_limit(headers: bytes, step: int) -> None:
    body = b"--B\r\n" + headers + b'Content-Disposition: form-data; name="a"\r\n\r\nx' + END
    parser = new_parser()
    with pytest.raises(_core.FormError):
        feed_all(parser, body, step)
    assert parser.steps < 10_000
    assert (await post(app, body, KIND)).status == 400


# --- bodies that do not end, or that differ from their declaration

ODD = {
    "nothing": b"",
    "boundary": b"--B",
    "boundary of another": b"--C\r\n\r\n\r\n--C--",
    "head": b'--B\r\nContent-Disposition: form-data; name="a"',
    "no name": b"--B\r\nContent-Disposition: form-data\r\n\r\nx" + END,
    "no disposition": b"--B\r\n\r\nx" + END,
    "not a form": b'--B\r\nContent-Disposition: attachment; name="a"\r\n\r\nx' + END,
    "mixed within": FIELD.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n") + b"--C--",
    "negative length": FIELD.replace(b"\r\n\r\n", b"\r\nContent-Length: -1\r\n\r\n") + b"x" + END,
    "closed twice": FIELD + b"x" + END + END,
    "lone surrogate": FIELD.replace(b'"a"', b'"\xed\xa0\x80"') + b"\xed\xa0\x80" + END,
    "nuls": b"\0" * 1000,
}


@pytest.mark.advisory("CVE-2022-23833", "CVE-2024-30251", "CVE-2025-69227")
@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
async def test_odd_body_is_read_or_refused_and_done_with(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))], [b"", body, b""]):
        answer = await post(app, pieces or [b""], KIND)
        assert answer.status in (200, 400)
    assert caplog.records == []


@pytest.mark.advisory("CVE-2024-30251")
async def test_body_cut_off_anywhere_is_refused() -> None:
    body = FIELD + b"x\r\n" + FILE + b"y" + END
    complete = body.index(b"--B--") + len(b"--B--")
    for length in range(1, complete):
        assert (await post(app, body[:length], KIND)).status == 400, body[:length]
    for length in range(complete, len(body) + 1):
        assert (await post(app, body[:length], KIND)).body == b'[["a","x"],["f",["f.txt",1]]]'


@pytest.mark.advisory("CVE-2025-47287")
async def test_thousand_errors_are_one_refusal_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for part in (b"--B\r\nbroken\r\n\r\n", b"--B\r\n\r\nx\r\n", b"--B\r\nContent-Disposition: x\r\n\r\nx\r\n"):
        body = part * 1000 + b"--B--"
        parser = new_parser()
        with pytest.raises(_core.FormError):
            parser.feed(body, [])
        assert parser.steps < 200
        assert (await post(app, body, KIND)).status == 400
    assert caplog.records == []


@pytest.mark.advisory("CVE-2026-33033")
def test_transfer_encoding_of_a_part_is_not_undone() -> None:
    head = FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    content = b"eA==" + b" \t\r\n" * 100_000
    parser = new_parser()
    items: list[Any] = []
    events: list[Any] | None = parser.feed(head + content + END, items)
    assert events is not None
    assert b"".join(bytes(event) for event in events[1:-1] if event is not None) == content
    assert parser.steps <= 4 * len(content)


@pytest.mark.advisory("CVE-2023-31047")
async def test_every_file_under_one_name_is_there() -> None:
    files = b"".join(FILE.replace(b"f.txt", name) + b"x\r\n" for name in (b"a.png", b"b.exe", b"c.png"))
    answer = await post(app, files + b"--B--", KIND)
    assert answer.body == b'[["f",["a.png",1]],["f",["b.exe",1]],["f",["c.png",1]]]'


@pytest.mark.advisory("CVE-2025-69229")
def test_body_in_chunks_of_a_byte_costs_no_more_than_its_length() -> None:
    async def send(body: list[bytes]) -> None:
        assert (await post(app, body, b"text/plain", "/body")).body == str(len(body)).encode()

    assert_linear(lambda size: [b"x"] * size, lambda body: anyio.run(send, body), 500)


@pytest.mark.advisory("CVE-2025-69229")
def test_form_in_chunks_of_a_byte_is_read_in_one_pass() -> None:
    for begin in (FIELD, FILE, b""):
        body = begin + b"\r\n-" * 5_000 + END
        parser = new_parser()
        items: list[Any] = []
        for at in range(len(body)):
            try:
                parser.feed(body[at : at + 1], items)
            except _core.FormError:
                break
        assert parser.steps <= 4 * len(body)


# --- files

NAMES = {
    "CVE-2026-24486": "/tmp/evil",
    "CVE-2021-28658": "../../evil",
    "CVE-2021-31542": "../" * 50 + "tmp/evil",
    "CVE-2021-45452": "..\\..\\evil",
    "CVE-2024-39330": "..",
    "drive": "C:\\evil",
    "share": "\\\\evil.example\\share\\evil",
    "dot": ".",
    "empty": "",
    "nul": "evil\0.png",
    "line break": "evil\r.png",
    "percent": "..%2F..%2Fevil",
    "full width": "\uff0e\uff0e\uff0fevil",
    "device": "CON",
    "stream": "evil.php::$DATA",
    "long": "e" * 3_000,
}


KEPT_OF_NAMES = {NAMES["drive"]: "evil", NAMES["share"]: NAMES["share"][1:]}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("size", [3, 1024 * 1024 + 1], ids=["in memory", "on disk"])
async def test_file_name_from_a_client_is_never_used_as_a_path(
    name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    during: list[list[str]] = []

    async def look(request: Request) -> Response:
        async with request.form() as form:
            upload = form["f"]
            assert isinstance(upload, UploadFile)
            during.append(os.listdir(tmp_path))
            return JSONResponse([upload.filename, upload.size])

    inside = Pallasite(routes=[Route("/", look, methods=["POST"])])
    body = FILE.replace(b"f.txt", name.encode()) + b"x" * size + END
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    answer = await post(inside, pieces, KIND)
    if answer.status == 200:
        # Of a whole path on Windows, which old browsers sent, the last name is left; two backslashes are one, escaped.
        assert answer.body == JSONResponse([KEPT_OF_NAMES.get(name, name), size]).body
        assert during == [[]]  # its file has no name at all
    else:
        assert answer.status == 400
    assert os.listdir(tmp_path) == []


@pytest.mark.advisory("CVE-2026-5766")
@pytest.mark.parametrize("declared", [None, b"0", b"10", b"99999999999", b"-1"], ids=repr)
async def test_large_file_goes_to_disk_whatever_its_length_is_said_to_be(declared: bytes | None) -> None:
    async def look(request: Request) -> Response:
        async with request.form() as form:
            upload = form["f"]
            assert isinstance(upload, UploadFile)
            return JSONResponse([upload._in_memory, upload.size])

    inside = Pallasite(routes=[Route("/", look, methods=["POST"])])
    head = FILE.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
    for size, in_memory in ((1_000, "true"), (1024 * 1024 + 1, "false")):
        body = head + b"x" * size + END
        pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
        headers = [] if declared is None else [(b"content-length", declared)]
        answer = await post(inside, pieces, KIND, headers=headers)
        assert answer.body == f"[{in_memory},{size}]".encode()


@pytest.mark.advisory("CVE-2025-54121")
async def test_large_file_goes_to_disk_in_a_worker_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    make = tempfile.SpooledTemporaryFile

    class Watched(make):  # type: ignore[valid-type,misc]
        def rollover(self) -> None:
            threads.add(threading.get_ident())
            super().rollover()

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Watched)
    body = FILE + b"x" * (3 * 1024 * 1024) + END
    for step in (65_536, 1024 * 1024, len(body)):
        answer = await post(app, [body[at : at + step] for at in range(0, len(body), step)], KIND)
        assert answer.status == 200
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.advisory("CVE-2025-54121")
@pytest.mark.parametrize("before", [0, 900, 1_000, 1_024], ids=str)
async def test_write_that_makes_a_file_large_runs_in_a_worker_thread(before: int) -> None:
    threads: list[int] = []

    class Watched(tempfile.SpooledTemporaryFile[bytes]):
        def rollover(self) -> None:
            threads.append(threading.get_ident())
            super().rollover()

    with Watched(max_size=1_024) as file:
        upload = UploadFile(file, size=0)  # type: ignore[arg-type]
        await upload.write(b"x" * before)
        assert threads == []
        await upload.write(b"x" * (1_025 - before))
        assert len(threads) == 1
        assert threads[0] != threading.get_ident()


# --- other content types


@pytest.mark.advisory("CVE-2014-3137")
@pytest.mark.parametrize(
    "kind",
    [
        b"text/plain",
        b"text/plain; multipart/form-data; boundary=B",
        b"text/plain;application/x-www-form-urlencoded",
        b"text/plain; x=multipart/form-data",
        b"multipart/mixed; boundary=B",
        b"multipart/form-data-x; boundary=B",
        b"xmultipart/form-data; boundary=B",
        b"application/json",
        b"",
    ],
    ids=repr,
)
async def test_body_of_another_type_is_not_a_form(kind: bytes) -> None:
    for body in (FIELD + b"x" + END, b"a=b"):
        answer = await post(app, body, kind)
        assert (answer.status, answer.body) == (200, b"[]")


@pytest.mark.advisory("CVE-2014-3137")
async def test_request_without_a_type_is_not_a_form() -> None:
    assert (await ask(app, method="POST", body=b"a=b")).body == b"[]"
