"""The one table that maps errors of the core to Python exceptions: class and message of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pallasite import _core


def feed_multipart(body: bytes, files: int = 1, fields: int = 1, part_bytes: int = 1) -> None:
    parser = _core.MultipartParser(b"B", "utf-8", files, fields, part_bytes)
    parser.feed(body, [])
    parser.finish()


def feed_urlencoded(body: bytes) -> None:
    _core.UrlencodedParser(1, 1).feed(body, [])


def compress_after_end() -> None:
    stream = _core.GzipStream()
    stream.flush()
    stream.compress(b"more")


def set_cookie(key: str = "a", value: str = "b", path: str | None = None, expires: Any = None) -> None:
    _core.set_cookie(key, value, None, expires, path, None, False, False, None, False)


HEAD = b'--B\r\nContent-Disposition: form-data; name="a"'

FORM_ERRORS: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: _core.MultipartParser(b"", "utf-8", 1, 1, 1), "no_boundary", "no boundary"),
    (lambda: _core.MultipartParser(b"\n", "utf-8", 1, 1, 1), "malformed", "line break"),
    (lambda: feed_multipart(b"no"), "malformed", "boundary is missing"),
    (lambda: feed_multipart(b"--B\r\nx\r\n"), "malformed", "malformed header"),
    (lambda: feed_multipart(b"--B\r\n" + b"x" * 5000), "malformed", "too long"),
    (lambda: feed_multipart(b"--B\r\n" + b"x: y\r\n" * 9), "malformed", "too many headers"),
    (lambda: feed_multipart(b"--B\r\n\r\n"), "no_name", "no name"),
    (lambda: feed_multipart(HEAD + b"; name=b\r\n\r\n"), "malformed", "more than one name"),
    (lambda: feed_multipart(HEAD + b"; filename=f\r\n\r\n", files=0), "too_many_files", "too many files"),
    (lambda: feed_multipart(HEAD + b"\r\n\r\n", fields=0), "too_many_fields", "too many fields"),
    (lambda: feed_multipart(HEAD + b"\r\n\r\n12"), "field_too_long", "too long"),
    (lambda: feed_multipart(HEAD + b"\r\n\r\n1"), "malformed", "closing boundary"),
    (lambda: feed_urlencoded(b"a&b&"), "too_many_fields", "too many fields"),
    (lambda: feed_urlencoded(b"a=bc&"), "field_too_long", "too long"),
    (lambda: _core.form_parameters(b"x; a=1; a=2", b"a", b"b"), "malformed", "more than one name"),
]


@pytest.mark.parametrize(("fail", "code", "message"), FORM_ERRORS)
def test_form_error_has_the_public_code_and_the_message_of_the_core(
    fail: Callable[[], Any], code: str, message: str
) -> None:
    with pytest.raises(_core.FormError) as caught:
        fail()
    assert type(caught.value) is _core.FormError
    assert caught.value.args[0] == code
    assert message in caught.value.args[1]


@pytest.mark.parametrize(
    ("fail", "error", "message"),
    [
        (compress_after_end, RuntimeError, "the stream is finished"),
        (lambda: _core.parse_ranges("bytes", 1, 1), ValueError, "Malformed range header."),
        (lambda: _core.parse_ranges("rows=1", 1, 1), ValueError, "Only support bytes range"),
        (lambda: _core.parse_ranges("bytes=", 1, 1), ValueError, "Range header: range must be requested"),
        (lambda: _core.parse_ranges("bytes=3-1", 9, 1), ValueError, "Range header: start must be less than end"),
        (lambda: set_cookie(key="a b"), ValueError, '(cookie "a b")'),
        (lambda: set_cookie(key="Path"), ValueError, "name of a cookie attribute"),
        (lambda: set_cookie(path="a;b"), ValueError, "the Path of a cookie must not contain control characters"),
        (lambda: set_cookie(value="\u20ac"), ValueError, "the value of a cookie must be encodable as Latin-1"),
        (lambda: set_cookie(path="\u20ac"), ValueError, "the Path of a cookie must be encodable as Latin-1"),
        (lambda: set_cookie(expires=1e15), ValueError, "years 1 to 9999"),
    ],
)
def test_core_error_becomes_the_exception_of_the_table(
    fail: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        fail()
    assert type(caught.value) is error
    assert message in str(caught.value)
