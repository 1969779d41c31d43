"""Upload and download: files come in as a form or as a bare body, and are sent back with ranges."""

from __future__ import annotations

import math
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread

from pallasite.datastructures import UploadFile
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, RedirectResponse, Response
from pallasite.routing import Route

from .live import journal
from .pages import page
from .settings import Settings
from .store import Store, StoredFile
from .words import clean_file_name

MOST_FILES = 20

settings = Settings.from_environment()


async def show_files(request: Request) -> Response:
    return await files_page(request)


async def files_page(request: Request, *, problem: str = "", status_code: int = 200) -> Response:
    files = await request.app.state.store.files()
    listed = [(file, file_url(request, file)) for file in files]
    return page(
        request,
        "files.html",
        status_code=status_code,
        files=listed,
        problem=problem,
        most_bytes=settings.max_upload_bytes,
        most_files=MOST_FILES,
    )


async def post_files(request: Request) -> Response:
    """The page's form: up to `MOST_FILES` files of `max_upload_bytes` together, which are written to disk as they come.

    Small ones are kept in memory instead. Either way they are complete before the first one gets its name here.
    """
    async with request.form(max_files=MOST_FILES, max_fields=0) as form:
        # A browser sends a part without name and content where no file was chosen.
        uploads = [upload for upload in form.getlist("file") if isinstance(upload, UploadFile) and upload.filename]
        if not uploads:
            return await files_page(request, problem="choose a file first", status_code=422)
        for upload in uploads:
            async with new_file() as (token, path):
                await anyio.to_thread.run_sync(copy, upload.file, path)
            name = (upload.filename or "").replace("%22", '"')  # how browsers write a quote in there
            await keep(request.app.state.store, token, name)
    return RedirectResponse(request.url_for("files"), status_code=303)


async def put_file(request: Request) -> Response:
    """`PUT /files/{name}`, for programs: the body is the file. 413 if it is too large."""
    async with new_file() as (token, path), await anyio.open_file(path, "xb") as file:
        async for chunk in request.stream():
            await file.write(chunk)
    stored = await keep(request.app.state.store, token, request.path_params["name"])
    location = file_url(request, stored)
    return JSONResponse(
        {"name": stored.name, "size": stored.size, "url": location}, 201, headers={"location": location}
    )


@asynccontextmanager
async def new_file() -> AsyncIterator[tuple[str, Path]]:
    """A random token and the path to write to; nothing is kept of what fails or is cut short before the end."""
    token = secrets.token_urlsafe(16)
    partial = settings.uploads / f"{token}.part"
    await anyio.Path(settings.uploads).mkdir(parents=True, exist_ok=True)
    try:
        yield token, partial
        await anyio.Path(partial).rename(settings.uploads / token)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.Path(partial).unlink(missing_ok=True)


def copy(source: BinaryIO, path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(source, file)


async def keep(store: Store, token: str, name: str) -> StoredFile:
    """Give the file of that token a name that people see."""
    size = (await anyio.Path(settings.uploads / token).stat()).st_size
    file = StoredFile(token, clean_file_name(name), size, time.time())
    await store.add_file(file)
    journal.write("file", name=file.name, size=size)
    return file


async def download(request: Request) -> Response:
    """The file, always as an attachment: what a stranger uploaded must not run as a page of this site."""
    file = await find_file(request)
    return FileResponse(settings.uploads / file.token, filename=file.name)


async def delete_file(request: Request) -> Response:
    """By `DELETE` for programs, by the button's `POST` for people."""
    file = await find_file(request)
    await request.app.state.store.delete_file(file.token)
    await anyio.Path(settings.uploads / file.token).unlink(missing_ok=True)
    if request.method == "DELETE":
        return Response(status_code=204)
    return RedirectResponse(request.url_for("files"), status_code=303)


def file_url(request: Request, file: StoredFile) -> str:
    """The URL of a file. `url_for` escapes what a name may well contain: `#`, `?` and spaces."""
    return str(request.url_for("file", token=file.token, name=file.name))


async def find_file(request: Request) -> StoredFile:
    """The file of the address, or 404. Only tokens from the database ever become part of a path on disk."""
    file: StoredFile | None = await request.app.state.store.file(request.path_params["token"])
    if file is None or not await anyio.Path(settings.uploads / file.token).is_file():
        raise HTTPException(404, "There is no such file.")
    return file


routes = [
    Route("/files", show_files, name="files"),
    Route(
        "/files",
        post_files,
        methods=["POST"],
        name="post_files",
        max_body_size=settings.max_upload_bytes,
        timeout=math.inf,
    ),
    Route(
        "/files/{name}",
        put_file,
        methods=["PUT"],
        name="put_file",
        max_body_size=settings.max_upload_bytes,
        timeout=math.inf,
    ),
    Route("/files/{token}/delete", delete_file, methods=["POST"], name="post_delete_file"),
    Route("/files/{token}/{name}", download, name="file", timeout=math.inf),
    Route("/files/{token}/{name}", delete_file, methods=["DELETE"], name="delete_file"),
]
