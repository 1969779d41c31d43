"""strawberry-graphql: queries, uploads and subscriptions, below Starlette and below FastAPI."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import strawberry
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.fastapi import GraphQLRouter
from strawberry.file_uploads import Upload
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)
from strawberry.types import Info


@strawberry.type
class Book:
    title: str
    pages: int


@strawberry.type
class Query:
    @strawberry.field
    def books(self, longer_than: int = 0) -> list[Book]:
        shelf = [Book(title="Emma", pages=474), Book(title="Candide", pages=129)]
        return [book for book in shelf if book.pages > longer_than]

    @strawberry.field
    def reader(self, info: Info) -> str:
        return info.context.get("reader") or info.context["request"].headers["x-reader"]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def lengths(self, files: list[Upload]) -> list[int]:
        return [len(await file.read()) for file in files]

    @strawberry.mutation
    def remember(self, info: Info, name: str) -> str:
        info.context["response"].set_cookie("reader", name)
        return name


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number
            await asyncio.sleep(0)


schema = strawberry.Schema(Query, Mutation, Subscription)
protocols = [GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL, MULTIPART_SUBSCRIPTION_PROTOCOL]


def starlette_app() -> Starlette:
    view = GraphQL(schema, multipart_uploads_enabled=True, subscription_protocols=protocols)
    return Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view), Mount("/mounted", view)])


def fastapi_app() -> FastAPI:
    def reader() -> str:
        return "fastapi's"

    async def context(reader: str = Depends(reader)) -> dict[str, Any]:
        return {"reader": reader}

    app = FastAPI()
    router = GraphQLRouter(
        schema, context_getter=context, multipart_uploads_enabled=True, subscription_protocols=protocols
    )
    app.include_router(router, prefix="/graphql")
    return app


@pytest.fixture(params=[starlette_app, fastapi_app], ids=["starlette", "fastapi"])
def client(request: pytest.FixtureRequest) -> TestClient:
    return TestClient(request.param())


def ask(client: TestClient, query: str, path: str = "/graphql", **variables: Any) -> Any:
    return client.post(path, json={"query": query, "variables": variables}, headers={"X-Reader": "starlette's"}).json()


def test_query_with_variables_is_answered(client: TestClient) -> None:
    answer = ask(client, "query Books($than: Int!) { books(longerThan: $than) { title } reader }", than=200)
    assert answer["data"]["books"] == [{"title": "Emma"}]
    assert answer["data"]["reader"] in {"starlette's", "fastapi's"}


def test_query_in_url_and_page_for_browsers(client: TestClient) -> None:
    assert client.get("/graphql", params={"query": "{ books { pages } }"}).json()["data"]["books"][1] == {"pages": 129}
    page = client.get("/graphql", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "GraphiQL" in page.text


def test_unknown_field_is_an_error(client: TestClient) -> None:
    assert "Cannot query field 'nothing'" in ask(client, "{ nothing }")["errors"][0]["message"]
    assert client.post("/graphql", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_cookie_set_by_resolver_is_sent(client: TestClient) -> None:
    assert ask(client, 'mutation { remember(name: "ann") }')["data"] == {"remember": "ann"}
    assert client.cookies["reader"] == "ann"


def test_uploaded_files_reach_resolver(client: TestClient) -> None:
    query = "mutation ($files: [Upload!]!) { lengths(files: $files) }"
    answer = client.post(
        "/graphql",
        data={
            "operations": json.dumps({"query": query, "variables": {"files": [None, None]}}),
            "map": json.dumps({"a": ["variables.files.0"], "b": ["variables.files.1"]}),
        },
        files={"a": ("a.txt", b"four"), "b": ("b.bin", b"x" * 300_000)},
    )
    assert answer.json()["data"] == {"lengths": [4, 300_000]}


def test_subscription_over_websocket_yields_and_completes(client: TestClient) -> None:
    with client.websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as session:
        assert session.accepted_subprotocol == "graphql-transport-ws"
        session.send_json({"type": "connection_init"})
        assert session.receive_json() == {"type": "connection_ack"}
        query = "subscription { count(to: 3) }"
        session.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        received = [session.receive_json() for _ in range(4)]
        assert [message.get("payload", {}).get("data", {}).get("count") for message in received] == [1, 2, 3, None]
        assert received[-1]["type"] == "complete"


def test_binary_message_over_websocket_closes_it_with_reason(client: TestClient) -> None:
    with client.websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as session:
        session.send_bytes(b"\x00")
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_json()
    assert (closed.value.code, closed.value.reason) == (4400, "WebSocket message type must be text")


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json", "multipart/mixed"),
        ("text/event-stream", "text/event-stream"),
    ],
)
def test_subscription_over_http_streams(client: TestClient, accept: str, media_type: str) -> None:
    asked = {"query": "subscription { count(to: 2) }"}
    response = client.post("/graphql", json=asked, headers={"Accept": accept})
    assert response.headers["content-type"].startswith(media_type)
    assert re.findall(r'"count": ?(\d)', response.text) == ["1", "2"]


def test_mounted_view_answers_below_its_path() -> None:
    assert ask(TestClient(starlette_app()), "{ books { pages } }", "/mounted/")["data"]["books"][0] == {"pages": 474}
