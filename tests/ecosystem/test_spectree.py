"""spectree: parameters and bodies checked by models, and a document made of the routes."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field
from spectree import Response as Answers
from spectree import SpecTree, Tag
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


class Query(BaseModel):
    limit: int = Field(default=5, le=10)


class Person(BaseModel):
    name: str
    age: int = 0


class Cookies(BaseModel):
    taste: str = "none"


@pytest.fixture
def client() -> TestClient:
    spec = SpecTree("starlette", title="Shop")

    @spec.validate(query=Query, cookies=Cookies, resp=Answers(HTTP_200=None), tags=[Tag(name="people")])
    async def find(request: Request) -> Response:
        """Finds people."""
        return JSONResponse([request.context.query.limit, request.context.cookies.taste])

    @spec.validate(json=Person, resp=Answers(HTTP_201=Person))
    async def add(request: Request) -> Response:
        return JSONResponse(request.context.json.model_dump(), status_code=201)

    @spec.validate(form=Person, resp=Answers("HTTP_200"))
    async def by_form(request: Request) -> Response:
        return JSONResponse(request.context.form.model_dump())

    @spec.validate(resp=Answers(HTTP_200=Person))
    async def broken(request: Request) -> Response:
        return JSONResponse({"age": "no number"})

    class One(HTTPEndpoint):
        @spec.validate(resp=Answers(HTTP_200=Person))
        async def get(self, request: Request) -> Response:
            return JSONResponse({"name": request.path_params["name"], "age": request.path_params["age"]})

    routes = [
        Route("/find", find),
        Route("/add", add, methods=["POST"]),
        Route("/form", by_form, methods=["POST"]),
        Route("/broken", broken),
        Mount("/below", routes=[Route("/{name}/{age:int}", One)]),
    ]
    app = Starlette(routes=routes)
    spec.register(app)
    return TestClient(app)


def test_query_and_cookies_are_checked(client: TestClient) -> None:
    client.cookies.set("taste", "sweet")
    assert client.get("/find", params={"limit": 7}).json() == [7, "sweet"]
    refused = client.get("/find", params={"limit": 11})
    assert refused.status_code == 422
    assert refused.json()[0]["loc"] == ["limit"]


def test_bodies_are_checked(client: TestClient) -> None:
    assert client.post("/add", json={"name": "ann", "age": 3}).json() == {"name": "ann", "age": 3}
    assert client.post("/add", json={"age": 3}).status_code == 422
    assert client.post("/add", content=b"{", headers={"Content-Type": "application/json"}).status_code in {400, 422}
    assert client.post("/form", data={"name": "bob", "age": "4"}).json() == {"name": "bob", "age": 4}


def test_answers_are_checked(client: TestClient) -> None:
    assert client.get("/broken").status_code == 500
    assert client.get("/below/ann/31").json() == {"name": "ann", "age": 31}


def test_document_lists_routes_with_their_parameters(client: TestClient) -> None:
    document = client.get("/apidoc/openapi.json").json()
    assert document["info"]["title"] == "Shop"
    assert {"/find", "/add", "/form", "/below/{name}/{age}"} <= set(document["paths"])
    parameters = document["paths"]["/below/{name}/{age}"]["get"]["parameters"]
    assert {each["name"]: each["schema"]["type"] for each in parameters} == {"name": "string", "age": "integer"}
    assert document["paths"]["/find"]["get"]["summary"] == "Finds people."
    assert "swagger" in client.get("/apidoc/swagger").text.lower()
