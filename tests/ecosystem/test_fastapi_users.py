"""fastapi-users: registering, logging in by token and by cookie, and pages for those who have.

No `from __future__ import annotations` here: the dependencies are local names, which FastAPI could not look up.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import StaticPool

SECRET = "a secret of at least thirty-two bytes"


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class UserRead(schemas.BaseUser[uuid.UUID]):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserUpdate(schemas.BaseUserUpdate):
    pass


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET
    letters: list[tuple[str, str]] = []

    async def on_after_register(self, user: User, request: Request | None = None) -> None:
        assert request is not None
        self.letters.append(("welcome", str(request.url)))

    async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
        self.letters.append(("reset", token))


def make_app() -> FastAPI:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def database(session: Annotated[AsyncSession, Depends(session)]) -> AsyncIterator[Any]:
        yield SQLAlchemyUserDatabase(session, User)

    async def manager(database: Annotated[Any, Depends(database)]) -> AsyncIterator[Manager]:
        yield Manager(database)

    def strategy() -> JWTStrategy[User, uuid.UUID]:
        return JWTStrategy(secret=SECRET, lifetime_seconds=3600)

    by_token = AuthenticationBackend("jwt", BearerTransport(tokenUrl="auth/jwt/login"), strategy)
    by_cookie = AuthenticationBackend("cookie", CookieTransport(cookie_secure=False), strategy)
    users = FastAPIUsers[User, uuid.UUID](manager, [by_token, by_cookie])
    app = FastAPI(lifespan=lifespan)
    app.include_router(users.get_auth_router(by_token), prefix="/auth/jwt")
    app.include_router(users.get_auth_router(by_cookie), prefix="/auth/cookie")
    app.include_router(users.get_register_router(UserRead, UserCreate), prefix="/auth")
    app.include_router(users.get_reset_password_router(), prefix="/auth")
    app.include_router(users.get_users_router(UserRead, UserUpdate), prefix="/users")

    current = users.current_user(active=True)

    @app.get("/secret")
    def secret(user: Annotated[User, Depends(current)]) -> str:
        return f"for {user.email}"

    return app


@pytest.fixture
def client() -> Iterator[TestClient]:
    Manager.letters.clear()
    with TestClient(make_app()) as client:
        yield client


@pytest.fixture
def registered(client: TestClient) -> dict[str, str]:
    response = client.post("/auth/register", json={"email": "ann@shop.example", "password": "open sesame"})
    assert response.status_code == 201
    assert "password" not in response.text
    return {"username": "ann@shop.example", "password": "open sesame"}


def test_registering_twice_or_badly_is_refused(client: TestClient, registered: dict[str, str]) -> None:
    again = client.post("/auth/register", json={"email": "ann@shop.example", "password": "open sesame"})
    assert (again.status_code, again.json()) == (400, {"detail": "REGISTER_USER_ALREADY_EXISTS"})
    assert client.post("/auth/register", json={"email": "nobody", "password": "x"}).status_code == 422
    assert Manager.letters == [("welcome", "http://testserver/auth/register")]


def test_token_opens_page(client: TestClient, registered: dict[str, str]) -> None:
    assert client.get("/secret").status_code == 401
    token = client.post("/auth/jwt/login", data=registered).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/secret", headers=headers).json() == "for ann@shop.example"
    changed = client.patch("/users/me", json={"email": "ann@home.example"}, headers=headers)
    assert changed.json()["email"] == "ann@home.example"
    assert client.get("/secret", headers={"Authorization": f"Bearer {token}x"}).status_code == 401


def test_cookie_opens_page_until_logout(client: TestClient, registered: dict[str, str]) -> None:
    response = client.post("/auth/cookie/login", data=registered)
    assert response.status_code == 204
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "max-age" not in cookie
    assert client.get("/secret").json() == "for ann@shop.example"
    assert client.post("/auth/cookie/logout").status_code == 204
    assert client.get("/secret").status_code == 401


def test_wrong_password_and_forgotten_one(client: TestClient, registered: dict[str, str]) -> None:
    wrong = client.post("/auth/jwt/login", data=registered | {"password": "please"})
    assert (wrong.status_code, wrong.json()) == (400, {"detail": "LOGIN_BAD_CREDENTIALS"})
    assert client.post("/auth/forgot-password", json={"email": "ann@shop.example"}).status_code == 202
    token = Manager.letters[-1][1]
    assert client.post("/auth/reset-password", json={"token": token, "password": "new words"}).status_code == 200
    assert client.post("/auth/jwt/login", data=registered | {"password": "new words"}).status_code == 200
