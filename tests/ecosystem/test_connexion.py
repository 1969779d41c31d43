"""connexion: an application made from its specification, alone and around other applications."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from connexion import AsyncApp, ConnexionMiddleware, FlaskApp
from connexion.exceptions import OAuthProblem
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

SPECIFICATION = """
openapi: 3.0.0
info: {title: Shop, version: "1"}
servers: [{url: /v1}]
paths:
  /greeting/{name}:
    post:
      operationId: greet
      parameters:
        - {name: name, in: path, required: true, schema: {type: string}}
        - {name: times, in: query, schema: {type: integer, default: 1, maximum: 3}}
      responses: {200: {description: greeted, content: {text/plain: {schema: {type: string}}}}}
  /pets/{number}:
    get:
      operationId: pet
      parameters: [{name: number, in: path, required: true, schema: {type: integer}}]
      responses: {200: {description: found, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
  /pets:
    post:
      operationId: adopt
      security: [{key: []}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {201: {description: adopted, content: {application/json: {schema: {type: object}}}}}
  /picture:
    post:
      operationId: picture
      requestBody:
        content:
          multipart/form-data:
            schema: {type: object, properties: {title: {type: string}, file: {type: string, format: binary}}}
      responses: {200: {description: stored, content: {application/json: {schema: {type: object}}}}}
components:
  schemas:
    Pet: {type: object, required: [name], properties: {name: {type: string}, age: {type: integer, minimum: 0}}}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key, x-apikeyInfoFunc: check_key}
"""


async def greet(name: str, times: int) -> str:
    return " ".join([f"hello {name}"] * times)


def pet(number: int) -> Any:
    return {"name": "Rex"} if number == 1 else {"age": -1} if number == 2 else ("no such pet", 404)


async def adopt(body: dict[str, Any], user: str) -> Any:
    return {"by": user} | body, 201, {"X-Adopted": body["name"]}


async def picture(body: dict[str, Any], file: Any) -> dict[str, Any]:
    content = file.read()
    return {"title": body["title"], "size": len(content if isinstance(content, bytes) else await content)}


def check_key(key: str, required_scopes: Any = None) -> dict[str, str]:
    if key != "sesame":
        raise OAuthProblem("unknown key")
    return {"sub": "ann"}


@pytest.fixture
def specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder with shop.yaml, which names the functions of this file by the module `handlers`."""
    monkeypatch.setitem(sys.modules, "handlers", sys.modules[__name__])
    text = SPECIFICATION.replace("operationId: ", "operationId: handlers.").replace("check_key", "handlers.check_key")
    (tmp_path / "shop.yaml").write_text(text)
    return str(tmp_path)


@pytest.fixture(params=[AsyncApp, FlaskApp])
def client(request: pytest.FixtureRequest, specification: str) -> Iterator[TestClient]:
    app = request.param("shop", specification_dir=specification)
    app.add_api("shop.yaml", validate_responses=True)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_parameters_are_converted_and_checked(client: TestClient) -> None:
    assert client.post("/v1/greeting/ann?times=2").text == "hello ann hello ann"
    assert client.post("/v1/greeting/ann").text == "hello ann"
    assert client.post("/v1/greeting/ann?times=4").status_code == 400
    assert client.post("/v1/greeting/ann?times=often").status_code == 400
    assert client.get("/v1/pets/1").json() == {"name": "Rex"}


def test_unknown_paths_methods_and_pets(client: TestClient) -> None:
    assert client.get("/v1/nothing").status_code == 404
    assert client.get("/v1/nothing").headers["content-type"] == "application/problem+json"
    assert client.get("/v1/greeting/ann").status_code == 405
    assert client.get("/v1/pets/rex").status_code == 404
    assert client.get("/v1/pets/3").status_code == 404


def test_answer_that_breaks_specification_is_500(client: TestClient) -> None:
    assert client.get("/v1/pets/2").status_code == 500


def test_body_and_key_are_checked(client: TestClient) -> None:
    key = {"X-Key": "sesame"}
    adopted = client.post("/v1/pets", json={"name": "Rex", "age": 2}, headers=key)
    assert (adopted.status_code, adopted.json()) == (201, {"by": "ann", "name": "Rex", "age": 2})
    assert adopted.headers["x-adopted"] == "Rex"
    assert client.post("/v1/pets", json={"name": "Rex"}).status_code == 401
    assert client.post("/v1/pets", json={"name": "Rex"}, headers={"X-Key": "please"}).status_code == 401
    problem = client.post("/v1/pets", json={"age": 2}, headers=key)
    assert problem.status_code == 400
    assert "'name' is a required property" in problem.json()["detail"]


def test_upload_is_parsed(client: TestClient) -> None:
    answer = client.post("/v1/picture", data={"title": "a dot"}, files={"file": ("dot.png", b"\x89PNG" * 100)})
    assert answer.json() == {"title": "a dot", "size": 400}


def test_page_and_specification_are_shown(client: TestClient) -> None:
    assert client.get("/v1/openapi.json").json()["info"]["title"] == "Shop"
    assert "swagger-ui" in client.get("/v1/ui/").text


def test_application_of_ours_is_checked_by_its_specification(specification: str) -> None:
    async def greeting(request: Request) -> Response:
        return PlainTextResponse(f"starlette greets {request.path_params['name']}")

    inner = Starlette(routes=[Route("/v1/greeting/{name}", greeting, methods=["POST"])])
    app = ConnexionMiddleware(inner, specification_dir=specification)
    app.add_api("shop.yaml")
    client = TestClient(app)
    assert client.post("/v1/greeting/ann").text == "starlette greets ann"
    assert client.post("/v1/greeting/ann?times=4").status_code == 400
