"""Style sheet, scripts and icon."""

from __future__ import annotations

from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import FileResponse, Response
from pallasite.routing import Route

from .settings import HERE

#: Looked up by name, so that no spelling of a path leads anywhere else.
ASSETS = {file.name: file for file in (HERE / "static").iterdir() if file.is_file()}


async def asset(request: Request) -> Response:
    try:
        path = ASSETS[request.path_params["path"]]
    except KeyError:
        raise HTTPException(404) from None
    return FileResponse(path, headers={"cache-control": "no-cache"})


routes = [Route("/static/{path}", asset, name="static")]
