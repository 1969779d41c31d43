"""fastapi-pagination: pages of lists and of queries, in endpoints that only say what they return."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from fastapi_pagination import LimitOffsetPage, Page, add_pagination, paginate
from fastapi_pagination.ext.sqlalchemy import paginate as paginate_query
from fastapi_pagination.links import Page as LinkedPage
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Person(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str


everybody = [Person(name=f"number {number}") for number in range(25)]


@pytest.fixture
def client() -> Iterator[TestClient]:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    entered: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        entered.append("lifespan")
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add_all(Row(name=person.name) for person in everybody)
            session.commit()
        yield {"greeting": "from the lifespan"}

    app = FastAPI(lifespan=lifespan)

    @app.get("/list")
    def from_list() -> Page[Person]:
        return paginate(everybody)

    @app.get("/offset")
    async def by_offset() -> LimitOffsetPage[Person]:
        return paginate(everybody)

    router = APIRouter(prefix="/rows")

    @router.get("/pages")
    def from_query() -> LinkedPage[Person]:
        with Session(engine) as session:
            return paginate_query(session, select(Row).order_by(Row.id))

    app.include_router(router)
    add_pagination(app)
    with TestClient(app) as client:
        assert entered == ["lifespan"]
        yield client
    engine.dispose()


def names(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["name"] for item in answer["items"]]


def test_page_of_list_with_totals(client: TestClient) -> None:
    answer = client.get("/list", params={"page": 3, "size": 10}).json()
    assert names(answer) == [f"number {number}" for number in range(20, 25)]
    assert (answer["total"], answer["page"], answer["size"], answer["pages"]) == (25, 3, 10, 3)
    assert client.get("/list", params={"size": 1000}).status_code == 422


def test_limit_and_offset(client: TestClient) -> None:
    answer = client.get("/offset", params={"limit": 2, "offset": 4}).json()
    assert names(answer) == ["number 4", "number 5"]


def test_page_of_query_has_links_to_others(client: TestClient) -> None:
    answer = client.get("/rows/pages", params={"page": 2, "size": 5}).json()
    assert names(answer)[0] == "number 5"
    beside = {link: names(client.get(answer["links"][link]).json()) for link in ("first", "prev", "next", "last")}
    assert [found[0] for found in beside.values()] == ["number 0", "number 0", "number 10", "number 20"]


def test_parameters_are_in_schema(client: TestClient) -> None:
    parameters = client.get("/openapi.json").json()["paths"]["/list"]["get"]["parameters"]
    assert {parameter["name"] for parameter in parameters} == {"page", "size"}
