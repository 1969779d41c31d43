"""Subclasses of the form parsers."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.datastructures import Headers
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.formparsers import FormMessage, FormParser, MultiPartException, MultiPartParser, MultipartPart
from tests.forms.bodies import FILE_HEAD, MULTIPART, field, file_of, pieces_of

pytestmark = pytest.mark.anyio


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
