"""starlette-admin: pages that list, create, change and delete rows, behind a login."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.contrib.sqla import Admin, ModelView
from starlette_admin.exceptions import LoginFailed

SECRET = "thirty-two characters or even more"


class Base(DeclarativeBase):
    pass


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    published: Mapped[bool] = mapped_column(default=False)


class Posts(ModelView):
    fields = ["id", "title", "published"]
    searchable_fields = ("title",)


class Login(AuthProvider):
    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> None:
        if password != "sesame":
            raise LoginFailed("wrong password")
        request.session["user"] = username

    async def authenticate(self, request: Request) -> AdminUser | None:
        user = request.session.get("user")
        return AdminUser(user) if user else None

    async def logout(self, request: Request) -> None:
        request.session.clear()


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Post(title="On tea"), Post(title="On milk", published=True)])
        session.commit()
        yield session
    engine.dispose()


@pytest.fixture
def client(session: Session) -> TestClient:
    admin = Admin(
        session.get_bind(),
        title="Blog",
        secret_key=SECRET,
        auth_provider=Login(),
        middlewares=[Middleware(SessionMiddleware, secret_key=SECRET)],
    )
    admin.add_view(Posts(Post))
    app = Starlette()
    admin.mount_to(app)
    return TestClient(app, base_url="https://blog.example")


def send(client: TestClient, path: str, fields: dict[str, str]) -> tuple[int, str]:
    """Fills in the form of a page, with the token hidden in it, and gives the status and the page behind redirects."""
    token = re.search(r'name="([^"]*csrf[^"]*)"[^>]*value="([^"]+)"', client.get(path).text)
    response = client.post(path, data=fields | ({token[1]: token[2]} if token else {}))
    return response.status_code, response.text


def log_in(client: TestClient) -> None:
    assert send(client, "/admin/login", {"username": "ann", "password": "sesame"})[0] == 200


def test_pages_ask_for_login(client: TestClient) -> None:
    response = client.get("/admin/post/list", follow_redirects=False)
    assert response.status_code == 303
    assert response.headers["location"].startswith("https://blog.example/admin/login?next=")
    status, page = send(client, "/admin/login", {"username": "ann", "password": "please"})
    assert status in {400, 422}
    assert "wrong password" in page


def test_list_shows_and_searches_rows(client: TestClient) -> None:
    log_in(client)
    page = client.get("/admin/post/list").text
    assert "On tea" in page
    assert "On milk" in page
    found = client.get("/admin/post/list", params={"q": "milk"}).text
    assert "On milk" in found
    assert "On tea" not in found


def test_row_is_created_changed_and_shown(client: TestClient, session: Session) -> None:
    log_in(client)
    status, _ = send(client, "/admin/post/create", {"title": "On salt", "published": "on"})
    assert status == 200
    salt = session.scalars(select(Post).where(Post.title == "On salt")).one()
    assert salt.published
    assert "On salt" in client.get("/admin/post/detail", params={"pk": salt.id}).text
    send(client, f"/admin/post/edit?pk={salt.id}", {"title": "On pepper"})
    session.expire_all()
    assert session.scalars(select(Post.title).where(Post.id == salt.id)).one() == "On pepper"


def test_form_without_token_is_refused(client: TestClient, session: Session) -> None:
    log_in(client)
    assert client.post("/admin/post/create", data={"title": "forged"}).status_code == 403
    assert session.scalars(select(Post).where(Post.title == "forged")).all() == []


def test_static_files_and_missing_pages(client: TestClient) -> None:
    log_in(client)
    page = client.get("/admin/post/list").text
    style = re.search(r'href="https://blog.example(/admin/static/[^"]+\.css[^"]*)"', page)
    assert style is not None
    assert client.get(style[1]).headers["content-type"].startswith("text/css")
    missing = client.get("/admin/nothing/list")
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/html")
