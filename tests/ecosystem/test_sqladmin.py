"""sqladmin: pages over SQLAlchemy models, mounted into Starlette and FastAPI applications."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from sqladmin import Admin, BaseView, ModelView, action, expose
from sqladmin.authentication import AuthenticationBackend
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.testclient import TestClient


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class People(ModelView, model=Person):
    column_list = [Person.id, Person.name]
    column_searchable_list = [Person.name]
    can_export = True

    @action(name="greet", label="Greet")
    async def greet(self, request: Request) -> Response:
        return RedirectResponse(request.url_for("admin:list", identity=self.identity))


class Report(BaseView):
    name = "Report"

    @expose("/report", methods=["GET"])
    async def report(self, request: Request) -> Response:
        return PlainTextResponse("all is well")


class Login(AuthenticationBackend):
    async def login(self, request: Request) -> bool:
        form = await request.form()
        if form["password"] != "sesame":
            return False
        request.session["user"] = form["username"]
        return True

    async def logout(self, request: Request) -> bool:
        request.session.clear()
        return True

    async def authenticate(self, request: Request) -> bool:
        return "user" in request.session


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Person(name=name) for name in ("Ann", "Bob", "Carl")])
        session.commit()
        yield session
    engine.dispose()


@pytest.fixture(params=[Starlette, FastAPI])
def client(request: pytest.FixtureRequest, session: Session) -> TestClient:
    app = request.param()
    admin = Admin(app, session.get_bind(), authentication_backend=Login(secret_key="a secret key of thirty-two bytes"))
    admin.add_view(People)
    admin.add_view(Report)
    client = TestClient(app)
    assert client.get("/admin/person/list").url.path == "/admin/login"
    assert client.post("/admin/login", data={"username": "ann", "password": "please"}).status_code == 400
    assert client.post("/admin/login", data={"username": "ann", "password": "sesame"}).url.path == "/admin/"
    return client


def test_list_and_details_show_rows(client: TestClient) -> None:
    page = client.get("/admin/person/list").text
    assert all(name in page for name in ("Ann", "Bob", "Carl"))
    found = client.get("/admin/person/list", params={"search": "bob"}).text
    assert "Bob" in found
    assert "Carl" not in found
    assert "Carl" in client.get("/admin/person/details/3").text


def test_row_is_created_changed_and_deleted(client: TestClient, session: Session) -> None:
    assert client.post("/admin/person/create", data={"name": "Dora", "save": "Save"}).url.path == "/admin/person/list"
    dora = session.scalars(select(Person).where(Person.name == "Dora")).one()
    client.post(f"/admin/person/edit/{dora.id}", data={"name": "Dorothea", "save": "Save"})
    session.expire_all()
    assert dora.name == "Dorothea"
    assert client.delete(f"/admin/person/delete?pks={dora.id}").status_code == 200
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Person)) == 3


def test_export_streams_rows(client: TestClient) -> None:
    response = client.get("/admin/person/export/csv")
    assert response.headers["content-type"].startswith("text/csv")
    assert response.text.split() == ["id,name", "1,Ann", "2,Bob", "3,Carl"]


def test_own_view_action_and_static_files(client: TestClient) -> None:
    assert client.get("/admin/report").text == "all is well"
    assert client.get("/admin/person/action/greet").url.path == "/admin/person/list"
    assert client.get("/admin/statics/css/main.css").headers["content-type"].startswith("text/css")


def test_missing_row_is_page_of_the_admin(client: TestClient) -> None:
    response = client.get("/admin/person/details/99")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")


def test_logout_closes_pages(client: TestClient) -> None:
    client.get("/admin/logout")
    assert client.get("/admin/person/list").url.path == "/admin/login"
