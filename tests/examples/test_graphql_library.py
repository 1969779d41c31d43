"""The GraphQL example: queries, mutations, errors, the editor's page, and a subscription over a websocket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docs.examples.graphql_library import app

from pallasite.testclient import TestClient


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def ask(client: TestClient, query: str, **variables: Any) -> dict[str, Any]:
    answer = client.post("/graphql/", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()
    return result


ADD = "mutation($title: String!, $author: String!) { addBook(title: $title, author: $author) { title } }"


def test_query_returns_the_requested_fields(client: TestClient) -> None:
    assert ask(client, "{ books { title } }") == {"data": {"books": [{"title": "The Dispossessed"}, {"title": "Emma"}]}}


def test_variables_choose(client: TestClient) -> None:
    query = "query($author: String) { books(author: $author) { title author } }"
    result = ask(client, query, author="Jane Austen")
    assert result["data"]["books"] == [{"title": "Emma", "author": "Jane Austen"}]


def test_mutation_changes_what_queries_see(client: TestClient) -> None:
    assert ask(client, ADD, title="Kindred", author="Octavia E. Butler") == {"data": {"addBook": {"title": "Kindred"}}}
    assert {"title": "Kindred"} in ask(client, "{ books { title } }")["data"]["books"]


def test_failure_of_a_resolver_is_in_the_answer(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    result = ask(client, ADD, title=" ", author="nobody")
    assert result["data"] is None
    assert result["errors"][0]["message"] == "a book needs a title"


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"query": 1}', 400), (b'{"query": "{"}', 200), (b'{"query": "{ nothing }"}', 200)],
)
def test_request_that_makes_no_sense_is_not_a_server_error(
    client: TestClient, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/graphql/", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert status == 400 or answer.json()["errors"]


def test_browser_gets_the_editor(client: TestClient) -> None:
    answer = client.get("/graphql", headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "graphiql" in answer.text.lower()


def test_subscription_hears_of_books_that_are_added(client: TestClient) -> None:
    with client.websocket_connect("/graphql/", subprotocols=["graphql-transport-ws"]) as session:
        assert session.accepted_subprotocol == "graphql-transport-ws"
        session.send_json({"type": "connection_init"})
        assert session.receive_json()["type"] == "connection_ack"
        query = "subscription { bookAdded(known: 1) { title } }"
        session.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        assert session.receive_json()["payload"]["data"] == {"bookAdded": {"title": "Emma"}}
        for title in ("Kindred", "Wild Seed"):
            ask(client, ADD, title=title, author="Octavia E. Butler")
            message = session.receive_json()
            assert message["payload"]["data"] == {"bookAdded": {"title": title}}
