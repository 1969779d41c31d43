"""Charsets of form fields and file names."""

from __future__ import annotations

import codecs

import pytest

from pallasite import formparsers
from pallasite.datastructures import Headers
from pallasite.formparsers import MultiPartException, MultiPartParser
from tests.forms.bodies import END, FILE_HEAD, MULTIPART, field, file_of, new_parser, new_request, pieces_of

pytestmark = pytest.mark.anyio


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
