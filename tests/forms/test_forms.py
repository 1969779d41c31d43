"""Forms: fields and files of request bodies, limits and errors."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from pallasite.datastructures import FormData
from pallasite.exceptions import HTTPException
from pallasite.formparsers import MultiPartException
from pallasite.requests import Request
from tests.forms.bodies import END, FILE_HEAD, MB, MULTIPART, URLENCODED, field, file_of, new_parser, new_request

pytestmark = pytest.mark.anyio


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
