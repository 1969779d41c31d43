"""OpenAPI schemas collected from docstrings."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pallasite.applications import Pallasite
from pallasite.endpoints import HTTPEndpoint
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Host, Mount, Route, WebSocketRoute
from pallasite.schemas import BaseSchemaGenerator, EndpointInfo, OpenAPIResponse, SchemaGenerator
from tests.support.asgi import UNUSED
from tests.support.clients import ClientFactory

BASE = {"openapi": "3.0.0", "info": {"title": "Stones", "version": "1.0"}}


def list_stones(request: Request) -> None:
    """
    responses:
      200:
        description: All stones.
    """


def add_stone(request: Request) -> None:
    """
    Prose for people, and then:
    ---
    responses:
      201:
        description: The new stone.
    """


def text(request: Request) -> None:
    """Only for people"""


def silent(request: Request) -> None:
    pass


class Stone(HTTPEndpoint):
    def get(self, request: Request) -> None:
        """
        summary: One stone
        """

    async def delete(self, request: Request) -> None:
        """
        summary: Throw it away
        """

    def query(self, request: Request) -> None:
        """
        summary: Look for it
        """

    def helper(self) -> None:
        """
        summary: Not a method of HTTP
        """


ROUTES = [
    Route("/stones", list_stones, methods=["GET", "HEAD"]),
    Route("/stones", add_stone, methods=["POST"]),
    Route("/stones/{stone_id:int}", Stone),
    Route("/text", text),
    Route("/silent", silent),
    Route("/hidden", list_stones, include_in_schema=False),
    WebSocketRoute("/ws", silent),
    Mount("/v{version:int}", routes=[Route("/{path:path}", list_stones), Mount("/deep", routes=[Route("/", Stone)])]),
    Mount("/files", Response("raw")),
    Host("api.example.org", Pallasite(routes=[Route("/hosted", list_stones)])),
]


def summaries(schema: Any) -> Any:
    return {path: sorted(methods) for path, methods in schema["paths"].items()}


def test_schema_has_every_documented_endpoint() -> None:
    schema = SchemaGenerator(BASE).get_schema(ROUTES)
    assert {name: schema[name] for name in BASE} == BASE
    assert summaries(schema) == {
        "/stones": ["get", "post"],
        "/stones/{stone_id}": ["delete", "get"],
        "/v{version}/{path}": ["get"],
        "/v{version}/deep/": ["delete", "get"],
        "/hosted": ["get"],
    }
    assert schema["paths"]["/stones"]["post"] == {"responses": {201: {"description": "The new stone."}}}


@pytest.mark.parametrize(("version", "knows_query"), [("3.1.0", False), ("3.2.0", True), ("4.0", True), ("", False)])
def test_query_method_is_for_openapi_3_2_and_later(version: str, knows_query: bool) -> None:
    schema = SchemaGenerator({"openapi": version}).get_schema([Route("/", Stone)])
    assert ("query" in schema["paths"]["/"]) is knows_query


def test_base_schema_is_left_as_it_was() -> None:
    base = {"openapi": "3.0.0"}
    generator = SchemaGenerator(base)
    assert generator.get_schema(ROUTES) == generator.get_schema(ROUTES)
    assert base == {"openapi": "3.0.0"}


def test_endpoints_name_path_method_and_function() -> None:
    bound = Stone({"type": "http", "method": "GET"}, UNUSED, UNUSED).get
    found = BaseSchemaGenerator().get_endpoints(
        [Route("/a", list_stones, methods=["PUT", "GET"]), Route("/b", bound), Route("/c", Stone)]
    )
    assert found == [
        EndpointInfo("/a", "get", list_stones),
        EndpointInfo("/a", "put", list_stones),
        EndpointInfo("/b", "get", bound),
        EndpointInfo("/c", "get", Stone.get),
        EndpointInfo("/c", "delete", Stone.delete),
        EndpointInfo("/c", "query", Stone.query),
    ]


@pytest.mark.parametrize("endpoint", [text, silent], ids=["prose", "none"])
def test_docstring_without_schema_is_empty(endpoint: Any) -> None:
    assert BaseSchemaGenerator().parse_docstring(endpoint) == {}


def test_base_generator_leaves_the_schema_to_subclasses() -> None:
    with pytest.raises(NotImplementedError):
        BaseSchemaGenerator().get_schema([])


def test_response_is_yaml() -> None:
    response = OpenAPIResponse({"a": {"b": [1, "é"]}})
    assert response.headers["content-type"] == "application/vnd.oai.openapi"
    assert yaml.safe_load(response.body) == {"a": {"b": [1, "é"]}}
    with pytest.raises(AssertionError, match="should be a dictionary"):
        OpenAPIResponse("text")


def test_response_without_yaml_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pallasite.schemas.yaml", None)
    with pytest.raises(AssertionError, match="pyyaml"):
        OpenAPIResponse({})
    with pytest.raises(AssertionError, match="pyyaml"):
        BaseSchemaGenerator().parse_docstring(list_stones)
    assert BaseSchemaGenerator().parse_docstring(silent) == {}


def test_application_serves_its_schema(test_client_factory: ClientFactory) -> None:
    schemas = SchemaGenerator(BASE)

    def schema(request: Request) -> Response:
        return schemas.OpenAPIResponse(request=request)

    app = Pallasite(routes=[*ROUTES, Route("/schema", schema, include_in_schema=False)])
    served = yaml.safe_load(test_client_factory(app).get("/schema").text)
    assert served == SchemaGenerator(BASE).get_schema(ROUTES)
