"""A GraphQL endpoint: Strawberry's ASGI application, mounted.

    uvicorn docs.examples.graphql_library:app

Needs `strawberry-graphql` and `starlette` (Strawberry's ASGI application is written with it). A browser that opens
/graphql/ gets an editor; queries, mutations and, over a websocket, subscriptions go to the same address.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import strawberry
from strawberry.asgi import GraphQL

from pallasite.applications import Pallasite
from pallasite.routing import Mount


@strawberry.type
class Book:
    title: str
    author: str


class Library:
    """What the application serves; a database in real life."""

    def __init__(self) -> None:
        self.books = [
            Book(title="The Dispossessed", author="Ursula K. Le Guin"),
            Book(title="Emma", author="Jane Austen"),
        ]
        self.arrived = anyio.Event()

    def add(self, book: Book) -> None:
        self.books.append(book)
        self.arrived.set()
        self.arrived = anyio.Event()


Info = strawberry.Info[dict[str, Any], None]


@strawberry.type
class Query:
    @strawberry.field
    async def books(self, info: Info, author: str | None = None) -> list[Book]:
        return [book for book in info.context["library"].books if author in (None, book.author)]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add_book(self, info: Info, title: str, author: str) -> Book:
        if not title.strip():
            raise ValueError("a book needs a title")
        book = Book(title=title, author=author)
        info.context["library"].add(book)
        return book


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def book_added(self, info: Info, known: int | None = None) -> AsyncGenerator[Book, None]:
        """The books that come after the first `known` ones, by default after those that are there now."""
        library: Library = info.context["library"]
        seen = len(library.books) if known is None else max(known, 0)
        while True:
            arrived = library.arrived
            while seen < len(library.books):
                yield library.books[seen]
                seen += 1
            await arrived.wait()


class LibraryGraphQL(GraphQL[dict[str, Any], None]):
    """Gives resolvers the library of the application that the request came through."""

    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return {"library": request.app.state.library, "request": request}


@asynccontextmanager
async def lifespan(app: Pallasite) -> AsyncIterator[None]:
    app.state.library = Library()
    yield


app = Pallasite(
    routes=[Mount("/graphql", app=LibraryGraphQL(strawberry.Schema(Query, Mutation, Subscription)))],
    lifespan=lifespan,
)
