"""Forms: fields and files of request bodies, where files are kept, and errors."""

from __future__ import annotations

import asyncio
import codecs
import math
import os
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from tempfile import SpooledTemporaryFile
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pallasite import formparsers
from pallasite._files.spool import Spool
from pallasite.applications import Pallasite
from pallasite.datastructures import FormData, Headers, UploadFile
from pallasite.exceptions import HTTPException, StarletteDeprecationWarning
from pallasite.formparsers import FormMessage, FormParser, MultiPartException, MultiPartParser, MultipartPart
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import JSONResponse
from pallasite.routing import Route
from tests.support.asgi import always

pytestmark = pytest.mark.anyio

MULTIPART = "multipart/form-data; boundary=B"
URLENCODED = "application/x-www-form-urlencoded"
MB = 1024 * 1024
FILE_HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="ore.bin"\r\nContent-Type: a/b\r\n\r\n'
END = b"\r\n--B--\r\n"


def field(name: str, value: str) -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


class Pieces:
    """A stream that need not be closed if it is not read to its end."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        for piece in self.pieces:
            return piece
        raise StopAsyncIteration


def pieces_of(*pieces: bytes) -> Any:
    return Pieces(*pieces)


def in_pieces(body: bytes, size: int) -> Any:
    return pieces_of(*(body[start : start + size] for start in range(0, len(body), size)))


def new_parser(*pieces: bytes, content_type: str = MULTIPART, **limits: Any) -> MultiPartParser:
    return MultiPartParser(Headers({"content-type": content_type}), pieces_of(*pieces), **limits)


def new_request(body: bytes, content_type: str | None, *, app: bool = False) -> Request:
    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    if app:
        scope["app"] = object()

    return Request(scope, always({"type": "http.request", "body": body}))


def file_of(form: FormData, name: str = "file") -> UploadFile:
    upload = form[name]
    assert isinstance(upload, UploadFile)
    return upload


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that forms open, in order."""
    files: list[Any] = []

    def open_file(max_size: int) -> Any:
        files.append(SpooledTemporaryFile(max_size=max_size))  # noqa: SIM115  # closed by the code under test
        return files[-1]

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", open_file)
    return files


# --- what a request's form is


async def describe(request: Request) -> JSONResponse:
    async with request.form() as form:
        described = [
            [name, value if isinstance(value, str) else [value.filename, value.size, value.content_type]]
            for name, value in form.multi_items()
        ]
    return JSONResponse(described)


@pytest.fixture
def client(test_client_factory: Callable[..., Any]) -> Any:
    return test_client_factory(Pallasite(routes=[Route("/", describe, methods=["POST"])]))


def test_urlencoded_fields_come_in_order(client: Any) -> None:
    response = client.post("/", data={"b": ["1", "2"], "a": "é & ="})
    assert response.json() == [["b", "1"], ["b", "2"], ["a", "é & ="]]


def test_multipart_fields_and_files_come_in_order(client: Any) -> None:
    files = [("f", ("x.txt", b"abc", "text/plain")), ("f", ("empty", b"", "a/b")), ("g", (None, b"text"))]
    response = client.post("/", data={"a": "1"}, files=files)
    assert response.json() == [["a", "1"], ["f", ["x.txt", 3, "text/plain"]], ["f", ["empty", 0, "a/b"]], ["g", "text"]]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (None, b"a=1", []),
        ("", b"a=1", []),
        ("text/plain", b"a=1", []),
        ("application/x-www-form-urlencoded-not", b"a=1", []),
        (" Application/X-WWW-Form-URLencoded ;charset=utf-8", b"a=1", [("a", "1")]),
        (URLENCODED, b"", []),
        ('Multipart/Form-Data; BOUNDARY="B"', field("a", "1") + b"--B--", [("a", "1")]),
        (MULTIPART, b"--B--", []),
        (MULTIPART, b"", []),
    ],
)
async def test_content_type_decides_what_the_body_is(
    content_type: str | None, body: bytes, expected: list[tuple[str, str]]
) -> None:
    form = await new_request(body, content_type).form()
    assert isinstance(form, FormData)
    assert form.multi_items() == expected
    assert dict(form) == dict(expected)


@pytest.mark.parametrize(("content_type", "body"), [(URLENCODED, b"a=1"), (MULTIPART, field("a", "1") + b"--B--")])
async def test_form_of_a_body_that_was_read_before(content_type: str, body: bytes) -> None:
    request = new_request(body, content_type)
    assert await request.body() == body
    assert (await request.form()).multi_items() == [("a", "1")]


async def test_form_is_read_once() -> None:
    request = new_request(b"a=1", URLENCODED)
    assert await request.form() is await request.form()


async def test_form_subclass_of_request_has_its_stream_read() -> None:
    class Doubling(Request):
        async def stream(self) -> AsyncGenerator[bytes, None]:
            async for piece in super().stream():
                yield piece.replace(b"1", b"11")

    plain = new_request(b"a=1", URLENCODED)
    assert (await Doubling(plain.scope, plain.receive).form())["a"] == "11"


@pytest.mark.parametrize("backing", ["memory", "disk"])
async def test_form_context_closes_its_files(backing: str, opened: list[Any]) -> None:
    content = b"x" * (10 if backing == "memory" else 2 * MB)
    request = new_request(FILE_HEAD + content + END, MULTIPART)
    async with request.form() as form:
        assert await file_of(form).read() == content
        assert not opened[0].closed
    assert opened[0].closed


# --- errors

REFUSED: list[Any] = [
    pytest.param(URLENCODED, b"a&b&c&d", "Too many fields. Maximum number of fields is 3.", id="urlencoded fields"),
    pytest.param(URLENCODED, b"a=" + b"x" * 2048, "Field exceeded maximum size of 2KB.", id="urlencoded size"),
    pytest.param("multipart/form-data", b"", "Missing boundary in multipart.", id="no boundary"),
    pytest.param("multipart/form-data; boundary=", b"----", "Missing boundary in multipart.", id="empty boundary"),
    pytest.param(MULTIPART + "; boundary=B", b"--B--", "Invalid multipart data.", id="two boundaries"),
    pytest.param(MULTIPART + "B" * 256, b"--B--", "Invalid multipart data.", id="long boundary"),
    pytest.param(MULTIPART, b"a=1", "Invalid multipart data.", id="another body"),
    pytest.param(MULTIPART, field("a", "1"), "Invalid multipart data.", id="cut short"),
    pytest.param(MULTIPART, FILE_HEAD + b"x" * 70_000, "Invalid multipart data.", id="cut short in a file"),
    pytest.param(MULTIPART, b"--B\r\nX: " + b"y" * 5000, "Invalid multipart data.", id="header without end"),
    pytest.param(MULTIPART, b"--B\r\n" + b"X: y\r\n" * 9, "Invalid multipart data.", id="many headers"),
    pytest.param(
        MULTIPART,
        b"--B\r\n\r\n\r\n--B--",
        'The Content-Disposition header field "name" must be provided.',
        id="no name",
    ),
    pytest.param(MULTIPART, field("a", "1") * 4, "Too many fields. Maximum number of fields is 3.", id="fields"),
    pytest.param(MULTIPART, (FILE_HEAD + b"\r\n") * 3, "Too many files. Maximum number of files is 2.", id="files"),
    pytest.param(MULTIPART, field("a", "x" * 2049), "Part exceeded maximum size of 2KB.", id="part size"),
]


@pytest.mark.parametrize(("content_type", "body", "message"), REFUSED)
async def test_refused_form_is_400_in_an_application(
    content_type: str, body: bytes, message: str, opened: list[Any]
) -> None:
    limits: dict[str, Any] = {"max_files": 2, "max_fields": 3, "max_part_size": 2048}
    with pytest.raises(HTTPException) as caught:
        await new_request(body, content_type, app=True).form(**limits)
    assert (caught.value.status_code, caught.value.detail) == (400, message)
    with pytest.raises(MultiPartException) as bare:
        await new_request(body, content_type).form(**limits)
    assert bare.value.message == str(bare.value) == message
    assert all(file.closed for file in opened)


def test_refused_form_is_a_400_response(client: Any) -> None:
    response = client.post("/", content=field("a", "1"), headers={"content-type": MULTIPART})
    assert (response.status_code, response.text) == (400, "Invalid multipart data.")


async def test_multipart_cut_anywhere_is_refused() -> None:
    body = field("a", "1") + FILE_HEAD + b"content" + END
    for end in range(1, len(body) - len(b"\r\n")):
        with pytest.raises(MultiPartException, match="Invalid multipart data"):
            await new_parser(body[:end]).parse()


def file_part(parameters: str) -> bytes:
    return f"--B\r\nContent-Disposition: form-data; name=file; {parameters}\r\n\r\n12345".encode() + END


class WithCallback(MultiPartParser):
    def on_end(self) -> None:
        super().on_end()


@pytest.mark.parametrize("parser", [MultiPartParser, WithCallback])
@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=utf-8''%E6%B1%89.txt", "汉.txt"),  # RFC 8187 section 3.2.3; sent by urllib3 below 2
        ("filename*=iso-8859-1'en'%A3%20rates", "£ rates"),
        ("filename=\"a.txt\"; filename*=utf-8''b.txt", "a.txt"),
        ('filename="汉.txt"', "汉.txt"),  # WHATWG HTML section 4.10.21.8: raw UTF-8
        ('filename="a%22b%0D.txt"', "a%22b%0D.txt"),  # there too: a quote and a line break, or these very characters
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
async def test_file_name_is_read_as_clients_send_it(
    parser: type[MultiPartParser], parameters: str, name: str, charset: str
) -> None:
    if charset != "utf-8" and "*" not in parameters:
        pytest.skip("only an extended value has a charset of its own")
    headers = Headers({"content-type": f"{MULTIPART}; charset={charset}"})
    form = await parser(headers, pieces_of(file_part(parameters))).parse()
    upload = file_of(form)
    assert (upload.filename, await upload.read()) == (name, b"12345")
    await form.close()


async def test_file_name_with_a_malformed_extended_value_is_refused() -> None:
    with pytest.raises(MultiPartException, match="Invalid multipart data"):
        await new_parser(file_part("filename*=utf-8''%E6")).parse()


@pytest.mark.parametrize("content_type", [MULTIPART, URLENCODED])
async def test_fields_have_a_limit_together(content_type: str) -> None:
    def body_of(last: int) -> bytes:
        sizes = [1000] * 9 + [last]
        if content_type == MULTIPART:
            return b"".join(field("a", "x" * (size - 1)) for size in sizes) + b"--B--"
        return b"&".join(b"a=" + b"x" * (size - 1) for size in sizes)

    for limits in ({"max_part_size": 1000}, {"max_fields_size": 10_000}):
        async with new_request(body_of(1000), content_type).form(**limits) as form:
            assert len(form.multi_items()) == 10
        with pytest.raises(MultiPartException, match=r"^Fields exceeded maximum size of 9KB together\.$"):
            await new_request(body_of(1001), content_type).form(max_fields_size=10_000)


@pytest.mark.parametrize("content_type", [MULTIPART, URLENCODED])
async def test_fields_together_may_have_ten_times_the_limit_of_one(content_type: str) -> None:
    part = field("a", "x" * 99) if content_type == MULTIPART else b"a=" + b"x" * 99 + b"&"
    for count, is_accepted in ((10, True), (11, False)):
        body = part * count + (b"--B--" if content_type == MULTIPART else b"")
        if is_accepted:
            await new_request(body, content_type).form(max_part_size=100)
        else:
            with pytest.raises(MultiPartException, match="together"):
                await new_request(body, content_type).form(max_part_size=100)


@pytest.mark.parametrize("limit", [math.inf, math.nan, 2.5, 10**30])
async def test_limits_may_be_any_number(limit: float) -> None:
    body = field("a", "1") * 2 + (FILE_HEAD + b"\r\n") * 2 + b"--B--"
    async with new_request(body, MULTIPART).form(max_files=limit, max_fields=limit, max_part_size=10**30) as form:
        assert len(form.multi_items()) == 4


@pytest.mark.parametrize("limit", [0, -1, 0.5, -math.inf])
async def test_limits_below_one_allow_nothing(limit: float) -> None:
    with pytest.raises(MultiPartException, match="Too many fields"):
        await new_parser(field("a", "1"), max_fields=limit).parse()


async def test_thousands_of_parts_are_allowed_where_asked_for() -> None:
    body = b"".join(field(f"n{number}", "") for number in range(5000)) + b"--B--"
    form = await new_parser(body, max_fields=5000).parse()
    assert list(form) == [f"n{number}" for number in range(5000)]


# --- charsets


@pytest.mark.parametrize(
    ("charset", "sent", "text"),
    [
        ("utf-8", "鉄".encode(), "鉄"),
        ("UTF8", "鉄".encode(), "鉄"),
        ("utf-8", b"\xe9", "é"),
        ("iso-8859-1", b"\xe9", "é"),
        ("us-ascii", b"\xe9", "é"),
        ("windows-1252", b"\x80", "€"),
        ("Shift_JIS", "鉄".encode("shift_jis"), "鉄"),
        ("utf-16le", "鉄".encode("utf-16le"), "鉄"),
        ("utf-7", b"+AOk-", "+AOk-"),
        ("punycode", b"caf-dma", "caf-dma"),
        ("idna", b"xn--caf-dma", "xn--caf-dma"),
        ("zlib", b"x", "x"),
        ("rot13", b"x", "x"),
        ("no-such-charset", b"\xe9", "é"),
        ("\xe9" * 40, b"\xe9", "é"),
        ("x" * 4000, b"\xe9", "é"),
    ],
)
async def test_charset_is_one_of_the_web_or_latin1(charset: str, sent: bytes, text: str) -> None:
    body = field("a", "@").replace(b"@", sent) + b"--B--"
    form = await new_parser(body, content_type=f"{MULTIPART}; charset={charset}").parse()
    assert form["a"] == text


async def test_charset_unknown_is_never_looked_up() -> None:
    """A lookup would search the disk, and Python would remember the name for ever."""
    searched: list[str] = []
    codecs.register(searched.append)
    try:
        for number in range(3):
            await new_parser(field("a", "1") + b"--B--", content_type=f"{MULTIPART}; charset=x-{number}").parse()
    finally:
        codecs.unregister(searched.append)
    assert searched == []


def test_web_codecs_are_codecs_under_their_own_names() -> None:
    for name in formparsers._WEB_CODECS:
        assert codecs.lookup(name) is codecs.lookup(codecs.lookup(name).name), name


async def test_filename_is_decoded_and_freed_of_windows_paths() -> None:
    head = FILE_HEAD.replace(b"ore.bin", 'C:\\fakepath\\鉄 \\"1\\".bin'.encode())
    async with new_request(head + END, MULTIPART).form() as form:
        assert file_of(form).filename == '鉄 "1".bin'
        assert file_of(form).headers.getlist("content-type") == ["a/b"]


# --- where files are kept

CONTENT = bytes(range(256)) * 4 * 3000  # 3 MB


@pytest.mark.parametrize("size", [1000, 65_536, 3 * MB, 10 * MB])
@pytest.mark.parametrize("write", ["pwritev", "in part", "write"])
async def test_large_file_is_on_disk_whole(
    size: int, write: str, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if write == "in part":
        if not hasattr(os, "pwritev"):
            pytest.skip("the platform has none")
        # As when a signal interrupts it, or the disk is almost full.
        monkeypatch.setattr(os, "pwritev", lambda file, pieces, at: os.pwrite(file, b"".join(pieces)[:7000], at))
    elif write == "write":
        monkeypatch.delattr(os, "pwritev", raising=False)
    body = FILE_HEAD + CONTENT + b"\r\n" + field("a", "1") + FILE_HEAD + b"small" + END
    form = await MultiPartParser(Headers({"content-type": MULTIPART}), in_pieces(body, size)).parse()
    large, small = form.getlist("file")
    assert isinstance(large, UploadFile)
    assert isinstance(small, UploadFile)
    assert [large._in_memory, small._in_memory] == [False, True]
    assert (large.size, small.size) == (len(CONTENT), 5)
    assert await large.read() == CONTENT
    assert await small.read() == b"small"
    await large.seek(256)
    assert await large.read(3) == b"\x00\x01\x02"
    await large.write(b"!")
    await large.seek(259)
    assert await large.read(2) == b"!\x04"
    await form.close()
    assert all(file.closed for file in opened)


async def test_file_of_the_limit_stays_in_memory_and_one_byte_more_does_not() -> None:
    for extra in (0, 1):
        parser = new_parser(FILE_HEAD, b"x" * 99, b"x" * (1 + extra), END)
        parser.spool_max_size = 100
        form = await parser.parse()
        assert file_of(form)._in_memory is (extra == 0)
        assert len(await file_of(form).read()) == 100 + extra
        await form.close()


class Watched(SpooledTemporaryFile[bytes]):
    """Notes which threads touch the disk."""

    threads: set[int]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.threads = set()

    def rollover(self) -> None:
        self.threads.add(threading.get_ident())
        super().rollover()

    def write(self, data: Any) -> int:
        if vars(self)["_rolled"] or self.tell() + len(data) > MB:
            self.threads.add(threading.get_ident())
        return super().write(data)


@pytest.mark.parametrize("size", [10_000, 65_536, 3 * MB])
async def test_disk_is_touched_in_worker_threads_only(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Watched)
    body = FILE_HEAD + CONTENT + END
    form = await MultiPartParser(Headers({"content-type": MULTIPART}), in_pieces(body, size)).parse()
    file: Any = file_of(form).file
    assert file.threads
    assert threading.get_ident() not in file.threads
    assert await file_of(form).read() == CONTENT
    await form.close()


async def test_file_class_with_its_own_write_is_written_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    class Noting(SpooledTemporaryFile):  # type: ignore[type-arg]
        def write(self, data: Any) -> int:
            written.append(bytes(data))
            return super().write(data)

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Noting)
    form = await new_parser(FILE_HEAD + b"one", b"two", END).parse()
    assert b"".join(written) == b"onetwo" == await file_of(form).read()
    await form.close()


async def test_memory_stays_flat_however_long_the_file() -> None:
    piece = bytes(65_536)

    async def body() -> AsyncGenerator[bytes, None]:
        yield FILE_HEAD
        for _ in range(32 * 16):
            yield piece + b""
        yield END

    tracemalloc.start()
    try:
        form = await MultiPartParser(Headers({"content-type": MULTIPART}), body()).parse()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file_of(form).size == 32 * MB
    await form.close()
    assert peak < 6 * MB


async def test_tiny_chunks_are_not_gathered_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: list[int] = []
    write = os.pwritev

    def note(file: int, pieces: list[bytes], at: int) -> int:
        gathered.append(len(pieces))
        return write(file, pieces, at)

    monkeypatch.setattr(os, "pwritev", note)
    parser = new_parser(FILE_HEAD, *[b"x"] * 2000, END)
    parser.spool_max_size = 1
    form = await parser.parse()
    assert max(gathered) <= 256
    assert sum(gathered) == 2000
    assert await file_of(form).read() == b"x" * 2000
    await form.close()


# --- when it comes to nothing


@pytest.mark.parametrize("content", [b"x", b"x" * 2 * MB], ids=["memory", "disk"])
async def test_failing_stream_closes_the_files(content: bytes, opened: list[Any]) -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield FILE_HEAD + b"first\r\n"
        yield FILE_HEAD + content
        raise RuntimeError("the stream broke")

    with pytest.raises(RuntimeError, match="the stream broke"):
        await MultiPartParser(Headers({"content-type": MULTIPART}), body()).parse()
    assert [file.closed for file in opened] == [True, True]


async def test_disconnect_closes_the_files(opened: list[Any]) -> None:
    messages = [
        {"type": "http.request", "body": FILE_HEAD + b"x" * 2 * MB, "more_body": True},
        {"type": "http.disconnect"},
    ]
    request = new_request(b"", MULTIPART, app=True)

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(ClientDisconnect):
        await Request(request.scope, receive).form()
    assert [file.closed for file in opened] == [True]


@pytest.mark.skipif(not hasattr(os, "pwritev"), reason="the platform has no pwritev")
async def test_full_disk_is_raised_and_closes_the_files(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", refuse)
    with pytest.raises(OSError, match="No space left"):
        await new_request(FILE_HEAD + b"x" * 2 * MB + END, MULTIPART, app=True).form()
    assert [file.closed for file in opened] == [True]


async def test_file_that_fails_to_close_keeps_the_error_and_the_others_closed(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(SpooledTemporaryFile[bytes]):
        def close(self) -> None:
            super().close()
            raise OSError("no space left to flush to")

    def open_file(max_size: int) -> Any:
        opened.append((Stubborn if not opened else SpooledTemporaryFile)(max_size=max_size))
        return opened[-1]

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", open_file)
    with pytest.raises(MultiPartException):
        await new_parser(FILE_HEAD + b"\r\n" + FILE_HEAD + b"x").parse()
    assert [file.closed for file in opened] == [True, True]


@pytest.mark.parametrize("content", [b"x", b"x" * 3 * MB], ids=["memory", "disk"])
async def test_cancelled_form_closes_the_files(content: bytes, opened: list[Any]) -> None:
    waiting = anyio.Event()

    async def body() -> AsyncGenerator[bytes, None]:
        yield FILE_HEAD + content
        waiting.set()
        await anyio.sleep_forever()

    stream = body()
    async with anyio.create_task_group() as group:
        group.start_soon(MultiPartParser(Headers({"content-type": MULTIPART}), stream).parse)
        await waiting.wait()
        group.cancel_scope.cancel()
    assert [file.closed for file in opened] == [True]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancelled_while_a_worker_writes_closes_the_file_after_it(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio's own cancellation, as of `asyncio.wait_for`, does not wait for the worker."""
    writing, go_on = threading.Event(), threading.Event()
    outcome: list[bool] = []

    def write_slowly(file: Any, pieces: Any, size: int) -> None:
        writing.set()
        assert go_on.wait(30)
        outcome.append(file.closed)

    monkeypatch.setattr("pallasite._files.spool._append", write_slowly)
    parsing = asyncio.create_task(new_parser(FILE_HEAD + b"x" * 3 * MB, END).parse())
    await anyio.to_thread.run_sync(writing.wait, 30)
    parsing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await parsing
    assert outcome == [False]
    assert [file.closed for file in opened] == [True]


def test_spool_that_was_closed_before_its_worker_began_writes_nothing(opened: list[Any]) -> None:
    spool = Spool()
    file: Any = formparsers.SpooledTemporaryFile(max_size=1)  # type: ignore[attr-defined]
    spool.begin(UploadFile(file, size=0))
    spool.write(b"content")
    spool.end()
    spool.close_all()
    writing = spool.flush()
    with pytest.raises(StopIteration):
        run_here(writing)
    assert [file.closed for file in opened] == [True]


def run_here(writing: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pallasite._files.spool.run_in_threadpool", call_here)
        writing.send(None)


async def call_here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class Forever:
    def __await__(self) -> Any:
        yield


@pytest.mark.parametrize("begin", [FILE_HEAD, field("a", "1")], ids=["file", "field"])
def test_abandoned_coroutine_closes_the_files(begin: bytes, opened: list[Any]) -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield begin
        await Forever()

    parser = MultiPartParser(Headers({"content-type": MULTIPART}), body())
    parsing = parser.parse()
    parsing.send(None)
    for file in opened:
        file.write(b"x" * 2 * MB)
    parsing.close()
    assert [file.closed for file in opened] == [True] * (begin == FILE_HEAD)


# --- for subclasses


async def test_multipart_subclass_has_its_callbacks_called() -> None:
    calls: list[Any] = []

    class Counting(MultiPartParser):
        def on_part_begin(self) -> None:
            calls.append("begin")
            super().on_part_begin()

        def on_header_field(self, data: bytes, start: int, end: int) -> None:
            calls.append(data[start:end])
            super().on_header_field(data, start, end)

        def on_part_data(self, data: bytes, start: int, end: int) -> None:
            calls.append(data[start:end])
            super().on_part_data(data, start, end)

        def on_end(self) -> None:
            calls.append("end")

    body = field("é", "ü") + FILE_HEAD + b"content\r\n" + field("last", "") + b"--B--"
    form = await Counting(Headers({"content-type": MULTIPART}), pieces_of(body)).parse()
    upload = file_of(form)
    assert form.multi_items() == [("é", "ü"), ("file", upload), ("last", "")]
    assert (upload.filename, upload.size, upload.content_type) == ("ore.bin", 7, "a/b")
    assert await upload.read() == b"content"
    await form.close()
    disposition = b"content-disposition"
    assert calls == [
        *["begin", disposition, "ü".encode()],
        *["begin", disposition, b"content-type", b"content"],
        *["begin", disposition, "end"],
    ]


async def test_multipart_subclass_still_has_limits_and_latin1() -> None:
    class Passing(MultiPartParser):
        def on_part_end(self) -> None:
            super().on_part_end()

    headers = Headers({"content-type": MULTIPART})
    form = await Passing(headers, pieces_of(field("a", "@").replace(b"@", b"\xe9") + b"--B--")).parse()
    assert form["a"] == "é"
    with pytest.raises(MultiPartException, match="Part exceeded maximum size of 1KB"):
        await Passing(headers, pieces_of(field("a", "x" * 1025)), max_part_size=1024).parse()


async def test_urlencoded_subclass_has_its_callbacks_called() -> None:
    class Shouting(FormParser):
        def on_field_data(self, data: bytes, start: int, end: int) -> None:
            super().on_field_data(data.upper(), start, end)

    form = await Shouting(Headers(), pieces_of(b"a=b+%26c&d=", b"\xe9")).parse()
    assert form.multi_items() == [("a", "B &C"), ("d", "é")]


def test_multipart_part_starts_empty() -> None:
    part = MultipartPart()
    assert (part.content_disposition, part.field_name, part.file) == (None, "", None)
    assert (part.data, part.item_headers) == (bytearray(), [])
    assert part.data is not MultipartPart().data


def test_form_message_warns_when_called() -> None:
    with pytest.warns(StarletteDeprecationWarning, match="`FormMessage` is deprecated"):
        assert FormMessage(5) is FormMessage.END
