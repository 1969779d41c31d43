"""Every server keeps the connection after a response without content, even if the endpoint provided content."""

from __future__ import annotations

from pathlib import Path

import pytest

from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Route
from tests.support.serving import COMMANDS, start


async def null(request: Request) -> Response:
    return JSONResponse(None, status_code=request.path_params["status"])


async def hello(request: Request) -> Response:
    return PlainTextResponse("here")


app = Pallasite(routes=[Route("/{status:int}", null), Route("/", hello)])


@pytest.mark.parametrize("name", COMMANDS)
def test_connection_stays_usable_after_a_response_without_content(name: str, tmp_path: Path) -> None:
    server = start(name, tmp_path, f"{__name__}:app")
    try:
        for status in (204, 205, 304):
            first = f"GET /{status} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            _, answers = server.exchange(first + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            # Nothing but a head comes before the second response, which would otherwise be misread.
            head, rest = answers.split(b"\r\n\r\n", 1)
            assert head.startswith(f"HTTP/1.1 {status} ".encode())
            assert rest.startswith(b"HTTP/1.1 200 ")
            assert rest.endswith(b"\r\n\r\nhere")
        assert server.unexpected_errors() == []
    finally:
        server.stop()
