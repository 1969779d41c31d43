"""The same notes as JSON: list, create, read, delete. Every refusal is `{"error": ...}` with a 4xx status."""

from __future__ import annotations

from typing import Any

from pallasite.background import BackgroundTask
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Mount, Route

from .notes import add_note, add_summary, clean_note, find_own_note
from .pages import iso_moment, page
from .store import Note
from .words import BadText

MOST_A_PAGE = 100


async def describe(request: Request) -> Response:
    """The page that shows how to use the API."""
    return page(request, "api.html")


async def list_notes(request: Request) -> Response:
    """`?q=` searches, `?limit=` (1 to 100, default 20) and `?offset=` (default 0) page through the result."""
    limit = query_number(request, "limit", default=20, least=1, most=MOST_A_PAGE)
    offset = query_number(request, "offset", default=0, least=0, most=10**9)
    search = request.query_params.get("q", "")[:100]
    notes, total = await request.app.state.store.notes(search, limit, offset)
    return JSONResponse(
        {"total": total, "limit": limit, "offset": offset, "notes": [as_json(request, note) for note in notes]}
    )


async def create_note(request: Request) -> Response:
    document = await json_object(request)
    unknown = document.keys() - {"author", "text"}
    if unknown:
        raise HTTPException(422, f"unknown field {min(unknown)!a}")
    try:
        author, text = await clean_note(request, document.get("author", "guest"), document.get("text"))
    except BadText as error:
        raise HTTPException(422, str(error)) from error
    store = request.app.state.store
    note = await add_note(store, author, text)
    content = as_json(request, note)
    return JSONResponse(
        content, 201, headers={"location": content["url"]}, background=BackgroundTask(add_summary, store, note)
    )


async def read_note(request: Request) -> Response:
    note = await request.app.state.store.note(request.path_params["note_id"])
    if note is None:
        raise HTTPException(404, "There is no such note.")
    return JSONResponse(as_json(request, note))


async def delete_note(request: Request) -> Response:
    note = await find_own_note(request)
    await request.app.state.store.delete_note(note.id)
    return Response(status_code=204)


async def json_object(request: Request) -> dict[str, Any]:
    """The object in the request's body, or the 4xx that says what is wrong with it."""
    # A form on another site cannot send this type without asking first, so it is also what keeps other sites out.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    try:
        document = await request.json()
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not valid JSON") from error
    if not isinstance(document, dict):
        raise HTTPException(422, "the body must be a JSON object")
    return document


def query_number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most:
        return int(text)
    raise HTTPException(422, f"{name} must be a whole number from {least} to {most}")


def as_json(request: Request, note: Note) -> dict[str, Any]:
    summary = note.summary
    return {
        "id": note.id,
        "author": note.author,
        "text": note.text,
        "created": iso_moment(note.created),
        "summary": summary
        and {"words": summary.words, "reading_seconds": summary.seconds, "common_words": list(summary.common)},
        "url": str(request.url_for("api:note", note_id=note.id)),
    }


routes = [
    Route("/api", describe, name="api"),
    Mount(
        "/api",
        name="api",
        routes=[
            Route("/notes", list_notes, name="notes"),
            Route("/notes", create_note, methods=["POST"], name="create"),
            Route("/notes/{note_id:int}", read_note, name="note"),
            Route("/notes/{note_id:int}", delete_note, methods=["DELETE"], name="delete"),
        ],
    ),
]
