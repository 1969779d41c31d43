"""Multipart bodies: the events of a chunk, the limits, and hostile bodies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pallasite import _core

HEAD = b'--B\r\nContent-Disposition: form-data; name="a"'
FIELD = HEAD + b"\r\n\r\n1\r\n"
FILE = HEAD + b'; filename="f"\r\nContent-Type: text/plain\r\n\r\n'


def new_parser(
    codec: str = "utf-8", files: int = 10, fields: int = 10, part_bytes: int = 100, *, streamed: bool = False
) -> _core.MultipartParser:
    return _core.MultipartParser(b"B", codec, files, fields, part_bytes, streamed)


def read(*pieces: Any, parser: _core.MultipartParser | None = None) -> list[Any]:
    parser = parser or new_parser()
    items: list[Any] = []
    for piece in pieces:
        parser.feed(piece, items)
    parser.finish()
    return items


def test_feed_finished_fields_are_appended() -> None:
    parser, items = new_parser(), [("before", "0")]
    assert parser.feed(FIELD, items) is None
    assert items == [("before", "0")]  # its end has not been seen
    assert parser.feed(b"--B", items) is None
    assert parser.feed(b"--", items) is None
    assert items == [("before", "0"), ("a", "1")]
    parser.finish()


def test_feed_file_comes_back_as_it_arrives() -> None:
    parser, items = new_parser(), [("before", "0")]
    headers = [(b"content-disposition", b'form-data; name="a"; filename="f"'), (b"content-type", b"text/plain")]
    assert parser.feed(FILE, items) == [(1, "a", "f", headers)]
    assert items == [("before", "0"), None]
    assert parser.feed(b"whole piece", items) == [b"whole piece"]
    events: list[Any] | None = parser.feed(b"\r\n--Bx and\r", items)
    assert events is not None
    assert [bytes(event or b"") for event in events] == [b"\r\n--Bx and"]
    assert parser.feed(b"!\r\n--B--", items) == [b"\r", b"!", None]
    parser.finish()
    assert items == [("before", "0"), None]


@pytest.mark.parametrize("lookalike", [b"\r\n--Bx", b"\r\n--B-", b"\r\n--B\r", b"\r\n", b"\r"])
def test_feed_full_of_lookalikes_makes_one_event(lookalike: bytes) -> None:
    parser = new_parser()
    items: list[Any] = []
    parser.feed(FILE, items)
    content = lookalike * 10_000 + b"."
    assert parser.feed(content, items) == [content]
    before, after = content[:-4], content[-4:]
    parser.feed(before, items)
    events: list[Any] = parser.feed(after, items) or []
    assert len(events) <= 3
    assert b"".join(bytes(event or b"") for event in events).endswith(after)


def test_feed_streamed_fields_come_back_as_files_do() -> None:
    items: list[Any] = []
    events: list[Any] = new_parser(streamed=True).feed(FIELD + b"--B--", items) or []
    [begin, content, end] = events
    assert begin == (0, "a", None, [(b"content-disposition", b'form-data; name="a"')])
    assert (bytes(content or b""), end) == (b"1", None)
    assert items == [None]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_feed_takes_whatever_holds_bytes(kind: Any) -> None:
    assert read(kind(FIELD), kind(b"--B--")) == [("a", "1")]


@pytest.mark.parametrize("piece", [None, "text", 5, [1]])
def test_feed_anything_else_is_type_error(piece: Any) -> None:
    with pytest.raises(TypeError):
        new_parser().feed(piece, [])


@pytest.mark.parametrize(
    ("codec", "sent", "text"),
    [
        ("utf-8", "é€".encode(), "é€"),
        ("utf-8", b"\xe9", "é"),
        ("latin-1", "é".encode(), "Ã©"),
        ("shift_jis", "鉄".encode("shift_jis"), "鉄"),
        ("shift_jis", b"\x81", "\x81"),
    ],
)
def test_codec_decodes_names_and_fields(codec: str, sent: bytes, text: str) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="' + sent + b'"\r\n\r\n' + sent + b"\r\n--B--"
    assert read(body, parser=new_parser(codec)) == [(text, text)]


def test_body_of_no_bytes_is_a_form_without_parts() -> None:
    assert read(b"") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no boundary", "malformed"),
        (FIELD, "malformed"),
        (FIELD + b"--B-", "malformed"),
        (FIELD + b"--B\r\n", "malformed"),
        (b"--B\r\nbroken header\r\n\r\n\r\n--B--", "malformed"),
        (b"--B\r\nX: y\r\n\r\n\r\n--B--", "no_name"),
        (HEAD + b"; name=b\r\n\r\n\r\n--B--", "malformed"),
        (HEAD + b"\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--B--", "malformed"),
        (HEAD + b"\r\nX: " + b"y" * 4300, "malformed"),
        (HEAD + b"x" * 10_000, "malformed"),
        (HEAD + b"\r\nX: y" * 8 + b"\r\n\r\n\r\n--B--", "malformed"),
        (FIELD * 11, "too_many_fields"),
        ((FILE + b"\r\n") * 11, "too_many_files"),
        (HEAD + b"\r\n\r\n" + b"x" * 101, "field_too_long"),
    ],
)
def test_error_has_its_code_and_stays(body: bytes, code: str) -> None:
    parser = new_parser()
    with pytest.raises(_core.FormError) as caught:
        read(body, parser=parser)
    assert caught.value.args[0] == code
    attempts: list[Callable[[], object]] = [lambda: parser.feed(b"--B--", []), parser.finish]
    for again in attempts:
        with pytest.raises(_core.FormError) as same:
            again()
        assert same.value.args == caught.value.args


@pytest.mark.parametrize(
    ("boundary", "code"), [(b"", "no_boundary"), (b"B" * 257, "malformed"), (b"B\r\nB", "malformed")]
)
def test_boundary_that_cannot_be_is_an_error(boundary: bytes, code: str) -> None:
    with pytest.raises(_core.FormError) as caught:
        _core.MultipartParser(boundary, "utf-8", 1, 1, 1)
    assert caught.value.args[0] == code


def test_limits_may_be_reached() -> None:
    body = (FIELD * 10) + (FILE + b"x" * 200 + b"\r\n") * 10 + b"--B--"
    assert read(body, parser=new_parser(part_bytes=1))[:11] == [("a", "1")] * 10 + [None]


@pytest.mark.parametrize(
    "hostile", [b"\r", b"\r\n--B-", b"\r\n--Bx", b"\r\n--B\r", b"-", b"\r\n" + FILE], ids=lambda value: repr(value[:8])
)
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_steps_are_linear_in_hostile_content(hostile: bytes, size: int) -> None:
    parser = new_parser(files=10**6)
    items: list[Any] = []
    body = FILE + hostile * (40_000 // len(hostile)) + b"\r\n--B--"
    for start in range(0, len(body), size):
        parser.feed(body[start : start + size], items)
    parser.finish()
    assert parser.steps <= 4 * len(body)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("opening", "piece", "failing"),
    [
        (b"\r\n", b"x" * 65536, "finish"),
        (HEAD + b"\r\nX: ", b"y" * 65536, "feed"),
        (HEAD + b"\r\n\r\n", b"x" * 65536, "feed"),
        (FILE, b"x" * 65536, "finish"),
        (FIELD + b"--B--", b"x" * 65536, None),
    ],
    ids=["preamble", "header without end", "field without end", "file without end", "epilogue"],
)
def test_memory_does_not_grow_with_the_body(opening: bytes, piece: bytes, failing: str | None) -> None:
    parser = new_parser()
    items: list[Any] = []
    parser.feed(opening, items)
    before = resident_bytes()
    failed = None
    try:
        for _ in range(500):
            parser.feed(piece, items)
        parser.finish()
    except _core.FormError as error:
        failed = "finish" if "ends before" in error.args[1] else "feed"
    assert failed == failing
    assert resident_bytes() - before < 8 * 1024 * 1024  # of the 31 MB that went through


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", (None, None)),
        (b"multipart/form-data", (None, None)),
        (b"multipart/form-data; Boundary=b", (b"b", None)),
        (b'multipart/form-data; charset="a;b"; boundary="x y"', (b"x y", b"a;b")),
        (b"multipart/form-data; boundary", (b"", None)),
        (b"multipart/form-data; boundary*=x", (None, None)),
    ],
)
def test_form_parameters_table(header: bytes, expected: tuple[bytes | None, bytes | None]) -> None:
    assert _core.form_parameters(header, b"boundary", b"charset") == expected


def test_form_parameters_twice_is_an_error() -> None:
    with pytest.raises(_core.FormError):
        _core.form_parameters(b"multipart/form-data; boundary=a; boundary=a", b"boundary", b"charset")
