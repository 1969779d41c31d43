"""piccolo-api: rows over HTTP, sessions, tokens, and middleware against forged and frequent requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from piccolo.apps.user.tables import BaseUser
from piccolo.columns import Integer, Varchar
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table, create_db_tables, drop_db_tables
from piccolo_api.crud.endpoints import PiccoloCRUD
from piccolo_api.csp.middleware import CSPMiddleware
from piccolo_api.csrf.middleware import CSRFMiddleware
from piccolo_api.rate_limiting.middleware import InMemoryLimitProvider, RateLimitingMiddleware
from piccolo_api.session_auth.endpoints import session_login, session_logout
from piccolo_api.session_auth.middleware import SessionsAuthBackend
from piccolo_api.session_auth.tables import SessionsBase
from piccolo_api.token_auth.middleware import SecretTokenAuthProvider, TokenAuthBackend
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


class Movie(Table):
    name = Varchar(length=100)
    rating = Integer()


TABLES: list[type[Table]] = [Movie, BaseUser, SessionsBase]


@pytest.fixture(autouse=True)
def database(tmp_path: Path) -> Iterator[None]:
    engine = SQLiteEngine(path=str(tmp_path / "movies.sqlite"))
    for table in TABLES:
        table._meta._db = engine

    async def fill() -> None:
        await create_db_tables(*TABLES)
        await Movie.insert(Movie(name="Alien", rating=9), Movie(name="Bambi", rating=8))
        await BaseUser.create_user("ann", "open sesame", active=True)

    asyncio.run(fill())
    yield
    asyncio.run(drop_db_tables(*TABLES))


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.user.display_name}")


async def open_page(request: Request) -> Response:
    return PlainTextResponse("open")


def test_rows_are_listed_filtered_and_changed() -> None:
    crud = PiccoloCRUD(table=Movie, read_only=False)
    client = TestClient(Starlette(routes=[Mount("/movies/", crud)]))
    assert [row["name"] for row in client.get("/movies/?__order=name").json()["rows"]] == ["Alien", "Bambi"]
    assert [row["name"] for row in client.get("/movies/?rating=8&rating__operator=gt").json()["rows"]] == ["Alien"]
    assert [row["name"] for row in client.get("/movies/?__order=-name&__page_size=1").json()["rows"]] == ["Bambi"]
    assert client.post("/movies/", json={"name": "Casablanca", "rating": 10}).status_code == 201
    assert client.patch("/movies/3/", json={"rating": 7}).json()["rating"] == 7
    assert client.get("/movies/count/").json() == {"count": 3, "page_size": 15}
    assert client.delete("/movies/3/").status_code == 204
    assert client.get("/movies/3/").status_code == 404
    assert client.post("/movies/", json={"rating": "high"}).status_code == 400
    assert client.get("/movies/schema/").json()["title"] == "MovieIn"


def test_session_opens_pages_until_logout() -> None:
    protected = AuthenticationMiddleware(
        Starlette(
            routes=[Route("/", requires("authenticated")(hello)), Route("/logout", session_logout(), methods=["POST"])]
        ),
        SessionsAuthBackend(admin_only=False),
        on_error=lambda conn, error: PlainTextResponse(str(error), status_code=401),
    )
    app = Starlette(routes=[Route("/login", session_login(redirect_to=None)), Mount("/private", protected)])
    client = TestClient(app, base_url="https://shop.example")
    assert client.get("/private/").status_code == 401
    assert client.post("/login", data={"username": "ann", "password": "please"}).status_code == 401
    assert client.post("/login", data={"username": "ann", "password": "open sesame"}).status_code == 200
    assert client.get("/private/").text == "hello ann"
    client.post("/private/logout")
    assert client.get("/private/").status_code == 401


def test_secret_token_opens_pages() -> None:
    guard = Middleware(
        AuthenticationMiddleware,
        TokenAuthBackend(SecretTokenAuthProvider(["sesame"])),
        on_error=lambda conn, error: PlainTextResponse(str(error), status_code=401),
    )
    client = TestClient(Starlette(routes=[Route("/", open_page)], middleware=[guard]))
    assert client.get("/", headers={"Authorization": "Bearer sesame"}).text == "open"
    assert client.get("/", headers={"Authorization": "Bearer please"}).status_code == 401


def test_forged_requests_are_refused() -> None:
    app = Starlette(
        routes=[Route("/", open_page, methods=["GET", "POST"])],
        middleware=[Middleware(CSRFMiddleware, allowed_hosts=["shop.example"], allow_form_param=True)],
    )
    client = TestClient(app, base_url="https://shop.example", headers={"Referer": "https://shop.example/"})
    assert client.post("/").status_code == 403
    client.get("/")
    token = client.cookies["csrftoken"]
    assert client.post("/", headers={"X-CSRFToken": token}).text == "open"
    assert client.post("/", data={"csrftoken": token}).text == "open"
    assert client.post("/", headers={"X-CSRFToken": token, "Referer": "https://evil.example/"}).status_code == 403


def test_frequent_requests_are_refused_and_policy_is_sent() -> None:
    limits = InMemoryLimitProvider(timespan=60, limit=2, block_duration=60)
    middleware = [Middleware(CSPMiddleware), Middleware(RateLimitingMiddleware, provider=limits)]
    client = TestClient(Starlette(routes=[Route("/", open_page)], middleware=middleware))
    answers = [client.get("/") for _ in range(4)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert answers[0].headers["content-security-policy"] == "default-src 'self'"
