"""The guest book: a page of notes with search, kept in SQLite, each summarised in the background."""

from __future__ import annotations

import anyio.to_thread

from pallasite.background import BackgroundTask
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import RedirectResponse, Response
from pallasite.routing import Route

from .live import journal
from .pages import form_fields, page, visitor_name
from .store import Note, Store
from .words import BadText, clean_text, summarise

NOTES_A_PAGE = 10
LONGEST_NAME = 40
LONGEST_NOTE = 5_000


async def show_notes(request: Request) -> Response:
    return await notes_page(request)


async def post_note(request: Request) -> Response:
    fields = await form_fields(request)
    try:
        author, text = await clean_note(request, fields.get("author") or "guest", fields.get("text"))
    except BadText as error:
        return await notes_page(request, problem=str(error), draft=fields, status_code=422)
    note = await add_note(request.app.state.store, author, text)
    # The browser is sent on at once; the summary is worked out after the response.
    return RedirectResponse(
        request.url_for("notes").replace(fragment=f"note-{note.id}"),
        status_code=303,
        background=BackgroundTask(add_summary, request.app.state.store, note),
    )


async def show_note(request: Request) -> Response:
    note = await request.app.state.store.note(request.path_params["note_id"])
    if note is None:
        raise HTTPException(404, "There is no such note.")
    return page(request, "note.html", note=note)


async def delete_note(request: Request) -> Response:
    note = await find_own_note(request)
    await request.app.state.store.delete_note(note.id)
    return RedirectResponse(request.url_for("notes"), status_code=303)


async def notes_page(
    request: Request, *, problem: str = "", draft: dict[str, str] | None = None, status_code: int = 200
) -> Response:
    search = request.query_params.get("q", "").strip()[:100]
    number = whole_number(request.query_params.get("page", "1"), default=1, most=1_000_000)
    store: Store = request.app.state.store
    notes, total = await store.notes(search, NOTES_A_PAGE, (number - 1) * NOTES_A_PAGE)
    pages = max(1, -(-total // NOTES_A_PAGE))
    return page(
        request,
        "notes.html",
        status_code=status_code,
        notes=notes,
        total=total,
        search=search,
        number=number,
        pages=pages,
        problem=problem,
        draft=draft or {},
    )


async def clean_note(request: Request, author: object, text: object) -> tuple[str, str]:
    """Author (always the visitor's own name if signed in) and text as they are stored; raises `BadText`."""
    name = visitor_name(request)
    if not name:
        name = clean_text(author, "name", LONGEST_NAME)
        if await request.app.state.store.account(name):
            raise BadText("this name belongs to somebody: sign in to use it")
    return name, clean_text(text, "text", LONGEST_NOTE, lines=True)


async def add_note(store: Store, author: str, text: str) -> Note:
    note = await store.add_note(author, text)
    journal.write("note", name=author, note=note.id)
    return note


async def find_own_note(request: Request) -> Note:
    """The note of the address, if this visitor may delete it: 404 if there is none, 403 if it is somebody's."""
    note: Note | None = await request.app.state.store.note(request.path_params["note_id"])
    if note is None:
        raise HTTPException(404, "There is no such note.")
    if note.author != visitor_name(request) and await request.app.state.store.account(note.author):
        raise HTTPException(403, "Only its author can delete this note.")
    return note


async def add_summary(store: Store, note: Note) -> None:
    """The background task of a new note. Counting is quick here, but a long text must not hold up the event loop."""
    await store.set_summary(note.id, await anyio.to_thread.run_sync(summarise, note.text))


def whole_number(text: str, *, default: int, most: int) -> int:
    """The number from 1 to `most` that `text` spells in ASCII digits, otherwise `default`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return default
    return min(max(int(text), 1), most)


routes = [
    Route("/notes", show_notes, name="notes"),
    Route("/notes", post_note, methods=["POST"], name="post_note"),
    Route("/notes/{note_id:int}", show_note, name="note"),
    Route("/notes/{note_id:int}/delete", delete_note, methods=["POST"], name="delete_note"),
]
