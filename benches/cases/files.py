"""Cases about files on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from benches.case import Framework, case
from benches.exchange import get

WRITTEN = 1_750_000_000  # fixed, so that both sides have the same Last-Modified and ETag
SMALL, BIG = 2 * 1024, 8 * 1024 * 1024
NEEDS = ("applications", "staticfiles")
NOT_CHANGED = get("/static/small.css").with_headers((b"if-modified-since", b"Sun, 15 Jun 2025 15:06:40 GMT"))


def folder(web: Framework) -> Path:
    path = Path(web.enter(tempfile.TemporaryDirectory(prefix="benches-")))
    for name, size in (("small.css", SMALL), ("big.bin", BIG)):
        (path / name).write_bytes((b"/* iron and crystal */\n" * (size // 23 + 1))[:size])
        os.utime(path / name, (WRITTEN, WRITTEN))
    return path


def static_app(web: Framework) -> Any:
    files = web.staticfiles.StaticFiles(directory=folder(web))
    return web.applications.Starlette(routes=[web.routing.Mount("/static", files, name="static")])


@case("FileResponse of 2 KB", group="core", request=get("/"), on_loop=True)
def file_response(web: Framework) -> Any:
    FileResponse = web.responses.FileResponse
    path = folder(web) / "small.css"

    async def download(request: Any) -> Any:
        return FileResponse(path)

    return web.applications.Starlette(routes=[web.routing.Route("/", download)])


@case("static file of 2 KB", group="toolkit", request=get("/static/small.css"), target=0.06, on_loop=True, needs=NEEDS)
def static_small(web: Framework) -> Any:
    return static_app(web)


@case("static file, 304", group="toolkit", request=NOT_CHANGED, target=0.1, on_loop=True, needs=NEEDS)
def static_not_modified(web: Framework) -> Any:
    return static_app(web)


@case("static file of 8 MB", group="toolkit", request=get("/static/big.bin"), target=0.7, on_loop=True, needs=NEEDS)
def static_big(web: Framework) -> Any:
    return static_app(web)
