"""What people see when something is refused or breaks: a page in the browser, JSON from the API."""

from __future__ import annotations

from http import HTTPStatus

from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route

from .pages import page


async def refused(request: Request, error: Exception) -> Response:
    """Any HTTPException: the routes' own ones, 404 and 405 of the router, 413 of the body limit."""
    assert isinstance(error, HTTPException)
    response = explain(request, error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def broken(request: Request, error: Exception) -> Response:
    """An unexpected exception. The server's log has the traceback; the visitor learns nothing about it."""
    return explain(request, 500, "Something broke on our side. It has been noted.")


async def break_down(request: Request) -> Response:
    """A page with a bug in it, to look at the error page."""
    raise RuntimeError("this page is broken on purpose")


def explain(request: Request, status: int, detail: str) -> Response:
    if wants_json(request):
        return JSONResponse({"error": detail}, status)
    title = HTTPStatus(status).phrase
    # The router's own exceptions only repeat the title.
    return page(request, "error.html", status_code=status, status=status, title=title, detail=detail)


def wants_json(request: Request) -> bool:
    return request.scope["path"].startswith("/api/") or "text/html" not in request.headers.get("accept", "text/html")


handlers = {HTTPException: refused, Exception: broken}

routes = [Route("/broken", break_down, name="broken")]
