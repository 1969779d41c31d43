"""A form that two recipients would parse differently is rejected."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.formparsers import MultiPartException
from pallasite.requests import Request
from pallasite.responses import JSONResponse
from pallasite.routing import Route
from tests.support.asgi import always, exchange, scope_of

pytestmark = pytest.mark.anyio

MULTIPART = b"multipart/form-data; boundary=B"
URLENCODED = b"application/x-www-form-urlencoded"
BODY = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B--\r\n'


async def show(request: Request) -> JSONResponse:
    async with request.form() as form:
        pairs = [(name, value if isinstance(value, str) else value.filename) for name, value in form.multi_items()]
    return JSONResponse(pairs)


APP = Pallasite(routes=[Route("/", show, methods=["POST"])])


async def submit(types: list[bytes], body: bytes, app: Any = APP) -> tuple[int, bytes]:
    headers = [(b"x", b"y"), *((b"content-type", kind) for kind in types)]
    sent = await exchange(app, scope_of(method="POST", headers=headers), [{"type": "http.request", "body": body}])
    return sent[0]["status"], sent[1]["body"]


def part(header: bytes) -> bytes:
    return b"--B\r\n" + header + b"\r\n\r\n1\r\n--B--\r\n"


async def test_form_with_one_type_is_read() -> None:
    assert await submit([MULTIPART], BODY) == (200, b'[["a","1"]]')
    assert await submit([URLENCODED], b"a=1") == (200, b'[["a","1"]]')


@pytest.mark.parametrize(
    "types",
    [
        [MULTIPART, URLENCODED],
        [URLENCODED, MULTIPART],
        [MULTIPART, MULTIPART],
        [MULTIPART, b"multipart/form-data; boundary=C"],
        [b"application/json", MULTIPART],
        [URLENCODED, b"text/plain"],
        [URLENCODED, b""],
    ],
)
async def test_form_with_two_types_is_refused(types: list[bytes]) -> None:
    assert await submit(types, BODY) == (400, b"Multiple Content-Type headers.")


async def test_form_with_two_types_outside_an_application_is_the_parsers_error() -> None:
    headers = [(b"content-type", URLENCODED), (b"content-type", URLENCODED)]
    with pytest.raises(MultiPartException):
        await Request(
            {"type": "http", "method": "POST", "headers": headers}, always({"type": "http.request", "body": b"a=1"})
        ).form()


async def test_two_types_neither_of_them_a_form_are_not_a_form() -> None:
    assert await submit([b"text/plain", b"application/json"], BODY) == (200, b"[]")
    assert await submit([], BODY) == (200, b"[]")


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data; boundary=B; boundary=B",
        b"multipart/form-data; boundary=B; boundary=C",
        b"multipart/form-data; boundary=C; BOUNDARY=B",
        b'multipart/form-data; boundary="B"; Boundary=B',
        b"multipart/form-data; charset=utf-8; boundary=B; charset=utf-7",
    ],
)
async def test_second_boundary_or_charset_is_refused(kind: bytes) -> None:
    assert (await submit([kind], BODY))[0] == 400


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Disposition: form-data; name=a; name=b",
        b"Content-Disposition: form-data; name=a; name=a",
        b'Content-Disposition: form-data; NAME="a"; name="b"',
        b'Content-Disposition: form-data; name=a; filename="x"; filename="y.php"',
        b'Content-Disposition: form-data; name=a; filename="x"; FileName=',
        b"Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=a",
        b"Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b",
        b'Content-Disposition: form-data; name="a\nContent-Type: text/html"',
        b'Content-Disposition: form-data; name="a\0b"',
        b'Content-Disposition: form-data; name=a; filename="a.txt\0.php"',
        b'Content-Disposition: form-data; name=a; filename="a\n.php"',
        b"Content-Disposition: form-data; name=a\r b",
        b"Content-Disposition: form-data; name=a\r\n continued",
        b"Content-Disposition : form-data; name=a",
        b"Content-Disposition: form-data; name=a\r\nX-Custom: \0",
    ],
)
async def test_part_with_ambiguous_headers_is_refused(header: bytes) -> None:
    assert (await submit([MULTIPART], part(header)))[0] == 400


@pytest.mark.parametrize(
    ("parameter", "filename"),
    [
        (b'filename="../../etc/passwd"', "../../etc/passwd"),
        (b'filename="photos/2026/a.jpg"', "photos/2026/a.jpg"),
        (b'filename="C:\\Users\\me\\a.jpg"', "a.jpg"),
        (b'filename="a%0D%0Ab.txt"', "a%0D%0Ab.txt"),
        (b'filename="a\x01b\x7f.txt"', "a\x01b\x7f.txt"),
        (b"filename=\"a\"; filename*=utf-8''b.php", "a"),
    ],
)
async def test_name_of_an_upload_is_what_the_client_sent(parameter: bytes, filename: str) -> None:
    status, body = await submit([MULTIPART], part(b"Content-Disposition: form-data; name=a; " + parameter))
    assert (status, body) == (200, JSONResponse([["a", filename]]).body)
