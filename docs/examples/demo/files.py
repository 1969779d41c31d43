"""Upload and download: bodies are streamed to disk under random names, and sent back with ranges."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from urllib.parse import quote

import anyio

from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, Response
from pallasite.routing import Route

from .pages import page
from .settings import Settings
from .store import StoredFile
from .words import clean_file_name

settings = Settings.from_environment()


async def show_files(request: Request) -> Response:
    files = await request.app.state.store.files()
    listed = [(file, file_url(request, file)) for file in files]
    return page(request, "files.html", files=listed, most=settings.max_upload_bytes)


async def upload(request: Request) -> Response:
    """`PUT /files/{name}`: the body is the file. 413 if it is too large; nothing is kept of an upload cut short."""
    name = clean_file_name(request.path_params["name"])
    token = secrets.token_urlsafe(16)
    partial, final = settings.uploads / f"{token}.part", settings.uploads / token
    await anyio.Path(settings.uploads).mkdir(parents=True, exist_ok=True)
    try:
        size = await receive_into(partial, request)
        await anyio.Path(partial).rename(final)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.Path(partial).unlink(missing_ok=True)
    file = StoredFile(token, name, size, time.time())
    await request.app.state.store.add_file(file)
    location = file_url(request, file)
    return JSONResponse({"name": name, "size": size, "url": location}, 201, headers={"location": location})


async def receive_into(path: Path, request: Request) -> int:
    """Write the body to `path` and return its size in bytes."""
    size = 0
    async with await anyio.open_file(path, "xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            await file.write(chunk)
    return size


async def download(request: Request) -> Response:
    """The file, always as an attachment: what a stranger uploaded must not run as a page of this site."""
    file = await find_file(request)
    return FileResponse(settings.uploads / file.token, filename=file.name)


async def delete_file(request: Request) -> Response:
    file = await find_file(request)
    await request.app.state.store.delete_file(file.token)
    await anyio.Path(settings.uploads / file.token).unlink(missing_ok=True)
    return Response(status_code=204)


def file_url(request: Request, file: StoredFile) -> str:
    """The address of a file; its name is quoted, because a name may well contain `#`, `?` or spaces."""
    return str(request.url_for("file", token=file.token, name=quote(file.name, safe="")))


async def find_file(request: Request) -> StoredFile:
    """The file of the address, or 404. Only tokens from the database ever become part of a path on disk."""
    file: StoredFile | None = await request.app.state.store.file(request.path_params["token"])
    if file is None or not await anyio.Path(settings.uploads / file.token).is_file():
        raise HTTPException(404, "There is no such file.")
    return file


routes = [
    Route("/files", show_files, name="files"),
    Route("/files/{name}", upload, methods=["PUT"], name="upload", max_body_size=settings.max_upload_bytes),
    Route("/files/{token}/{name}", download, name="file"),
    Route("/files/{token}/{name}", delete_file, methods=["DELETE"], name="delete_file"),
]
