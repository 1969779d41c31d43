"""ariadne: a schema written first, mounted and used as a route, with uploads and subscriptions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ariadne import MutationType, QueryType, SubscriptionType, gql, make_executable_schema, upload_scalar
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import GraphQLTransportWSHandler, GraphQLWSHandler
from ariadne.contrib.sse import GraphQLHTTPSSEHandler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

definitions = gql("""
    scalar Upload
    type Query { people(older: Int): [Person!]!  agent: String! }
    type Mutation { length(file: Upload!): Int! }
    type Subscription { count(to: Int!): Int! }
    type Person { name: String!  age: Int! }
""")
query, mutation, subscription = QueryType(), MutationType(), SubscriptionType()


@query.field("people")
def people(_: Any, info: Any, older: int = 0) -> list[dict[str, Any]]:
    everybody = [{"name": "Ann", "age": 31}, {"name": "Bob", "age": 24}]
    return [person for person in everybody if person["age"] > older]


@query.field("agent")
async def agent(_: Any, info: Any) -> str:
    return info.context["request"].headers["user-agent"]


@mutation.field("length")
async def length(_: Any, info: Any, file: Any) -> int:
    return len(await file.read())


@subscription.source("count")
async def counted(_: Any, info: Any, to: int) -> AsyncIterator[int]:
    for number in range(1, to + 1):
        yield number


@subscription.field("count")
def count(number: int, info: Any, to: int) -> int:
    return number


schema = make_executable_schema(definitions, query, mutation, subscription, upload_scalar)


def make_client(**settings: Any) -> TestClient:
    view = GraphQL(schema, **settings)

    async def through_route(request: Request) -> Response:
        return await view.handle_request(request)

    routes = [
        Route("/routed", through_route, methods=["GET", "POST"]),
        WebSocketRoute("/socket", view.handle_websocket),
        Mount("/", view),
    ]
    return TestClient(Starlette(routes=routes))


@pytest.mark.parametrize("path", ["/", "/routed"])
def test_query_is_answered(path: str) -> None:
    asked = {"query": "query ($older: Int) { people(older: $older) { name } agent }", "variables": {"older": 30}}
    response = make_client().post(path, json=asked, headers={"User-Agent": "tester"})
    assert response.json() == {"data": {"people": [{"name": "Ann"}], "agent": "tester"}}


def test_wrong_query_and_wrong_body_are_400() -> None:
    client = make_client()
    assert "Cannot query field" in client.post("/", json={"query": "{ nobody }"}).json()["errors"][0]["message"]
    assert client.post("/", json={"query": "{ nobody }"}).status_code == 400
    assert client.post("/", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert client.post("/", content=b"people", headers={"Content-Type": "text/plain"}).status_code == 400
    assert client.delete("/").status_code == 405


def test_page_for_browsers() -> None:
    assert "<html" in make_client().get("/", headers={"Accept": "text/html"}).text


def test_uploaded_file_reaches_resolver() -> None:
    operations = {"query": "mutation ($file: Upload!) { length(file: $file) }", "variables": {"file": None}}
    fields = {"operations": json.dumps(operations), "map": json.dumps({"0": ["variables.file"]})}
    response = make_client().post("/", data=fields, files={"0": ("notes.txt", b"seventeen letters")})
    assert response.json() == {"data": {"length": 17}}


@pytest.mark.parametrize(
    ("handler", "protocol", "begin", "data"),
    [
        (GraphQLWSHandler, "graphql-ws", "start", "data"),
        (GraphQLTransportWSHandler, "graphql-transport-ws", "subscribe", "next"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/socket"])
def test_subscription_over_websocket(path: str, handler: Any, protocol: str, begin: str, data: str) -> None:
    client = make_client(websocket_handler=handler())
    with client.websocket_connect(path, subprotocols=[protocol]) as session:
        session.send_json({"type": "connection_init"})
        assert session.receive_json()["type"] == "connection_ack"
        session.send_json({"id": "1", "type": begin, "payload": {"query": "subscription { count(to: 2) }"}})
        for number in (1, 2):
            message = session.receive_json()
            assert (message["type"], message["payload"]["data"]) == (data, {"count": number})
        assert session.receive_json()["type"] == "complete"


def test_subscription_over_event_stream() -> None:
    client = make_client(http_handler=GraphQLHTTPSSEHandler())
    asked = {"query": "subscription { count(to: 2) }"}
    response = client.post("/", json=asked, headers={"Accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.count("event: next") == 2
    assert '{"data":{"count":2}}' in response.text.replace(" ", "")
    assert "event: complete" in response.text
