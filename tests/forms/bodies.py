"""Bodies of forms, whole and in pieces, and what reads them."""

from __future__ import annotations

from typing import Any

from pallasite.datastructures import FormData, Headers, UploadFile
from pallasite.formparsers import MultiPartParser
from pallasite.requests import Request
from tests.support.asgi import always

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
