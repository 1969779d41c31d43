"""SQLAlchemy's asynchronous engine, opened and closed in the lifespan, with one session for each request.

    DATABASE_URL=sqlite+aiosqlite:///notes.db uvicorn --factory docs.examples.database_notes:create_app

Needs `sqlalchemy[asyncio]` and `aiosqlite`. The engine runs on asyncio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pallasite.applications import Pallasite
from pallasite.config import Config
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route

LONGEST_TITLE = 100
LARGEST_ID = 2**63 - 1  # the database's integers end there, those in addresses do not


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE), unique=True)
    text: Mapped[str] = mapped_column(default="")

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "title": self.title, "text": self.text}


def session_of(request: Request) -> AsyncSession:
    """A session for this request: `async with` it, so that its connection goes back to the pool."""
    session: AsyncSession = request.state.sessions()
    return session


def is_text(value: object) -> bool:
    """True for text that a database takes; JSON can spell lone surrogates, which have no encoding."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


async def list_notes(request: Request) -> Response:
    async with session_of(request) as session:
        notes = await session.scalars(select(Note).order_by(Note.id))
        return JSONResponse([note.as_json() for note in notes])


async def add_note(request: Request) -> Response:
    try:
        fields = await request.json()
        note = Note(title=fields["title"], text=fields.get("text", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HTTPException(422, "A note is a JSON object with a title.") from None
    if not (is_text(note.title) and 0 < len(note.title) <= LONGEST_TITLE and is_text(note.text)):
        raise HTTPException(422, f"A title is text of 1 to {LONGEST_TITLE} characters.")
    async with session_of(request) as session:
        session.add(note)
        try:
            await session.commit()
        except IntegrityError:
            raise HTTPException(409, "There is a note of that title.") from None
        return JSONResponse(note.as_json(), 201, {"location": str(request.url_for("note", note_id=note.id))})


async def show_note(request: Request) -> Response:
    number, note = request.path_params["note_id"], None
    if number <= LARGEST_ID:
        async with session_of(request) as session:
            note = await session.get(Note, number)
    if note is None:
        raise HTTPException(404, "There is no such note.")
    return JSONResponse(note.as_json())


def create_app(url: str | None = None) -> Pallasite:
    """The application on the database at `url`, by default the one that DATABASE_URL names."""
    if url is None:
        url = Config()("DATABASE_URL", default="sqlite+aiosqlite:///notes.db")

    @asynccontextmanager
    async def lifespan(app: Pallasite) -> AsyncIterator[dict[str, Any]]:
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            # What is loaded stays readable after a commit: nothing is fetched behind an attribute.
            yield {"engine": engine, "sessions": async_sessionmaker(engine, expire_on_commit=False)}
        finally:
            await engine.dispose()

    return Pallasite(
        routes=[
            Route("/notes", list_notes),
            Route("/notes", add_note, methods=["POST"]),
            Route("/notes/{note_id:int}", show_note, name="note"),
        ],
        lifespan=lifespan,
        max_body_size=64 * 1024,
    )
