"""The database example: notes are stored or rejected, and the engine is disposed of with the application."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from docs.examples.database_notes import create_app

from pallasite.testclient import TestClient


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'notes.db'}"


@pytest.fixture
def client(url: str) -> Iterator[TestClient]:
    with TestClient(create_app(url)) as client:
        yield client


def test_note_is_stored_and_found_at_its_address(client: TestClient) -> None:
    created = client.post("/notes", json={"title": "Esquel", "text": "found in 1951"})
    assert created.status_code == 201
    expected = {"id": 1, "title": "Esquel", "text": "found in 1951"}
    assert created.json() == expected
    assert client.get(created.headers["location"]).json() == expected
    assert client.get("/notes").json() == [expected]


def test_notes_outlive_the_application(url: str) -> None:
    with TestClient(create_app(url)) as client:
        client.post("/notes", json={"title": "Imilac"})
    with TestClient(create_app(url)) as client:
        assert [note["title"] for note in client.get("/notes").json()] == ["Imilac"]


def test_engine_is_opened_and_closed_with_the_lifespan(url: str) -> None:
    with TestClient(create_app(url)) as client:
        client.get("/notes")
        pool = client.app_state["engine"].pool
        assert pool.checkedin() == 1
    assert pool.checkedin() == pool.checkedout() == 0


def test_title_that_is_taken_is_409_and_the_session_is_rolled_back(client: TestClient) -> None:
    assert client.post("/notes", json={"title": "Fukang"}).status_code == 201
    assert client.post("/notes", json={"title": "Fukang"}).status_code == 409
    assert client.post("/notes", json={"title": "Brenham"}).status_code == 201
    assert len(client.get("/notes").json()) == 2


@pytest.mark.parametrize(
    "body", [{}, [], None, "x", {"title": ""}, {"title": 1}, {"title": "x" * 101}, {"title": "x", "text": 5}]
)
def test_note_that_is_none_is_422(client: TestClient, body: Any) -> None:
    assert client.post("/notes", json=body).status_code == 422


def test_body_that_is_not_json_is_422(client: TestClient) -> None:
    assert client.post("/notes", content=b"\xff{").status_code == 422


def test_text_that_has_no_encoding_is_422(client: TestClient) -> None:
    for body in (b'{"title": "\\ud800"}', b'{"title": "x", "text": "\\udfff"}'):
        assert client.post("/notes", content=body).status_code == 422


@pytest.mark.parametrize("number", ["7", "0", "9223372036854775807", "9223372036854775808", "9" * 4000])
def test_note_that_does_not_exist_is_404(client: TestClient, number: str) -> None:
    assert client.get(f"/notes/{number}").status_code == 404


def test_requests_at_the_same_time_have_separate_sessions(client: TestClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: client.post("/notes", json={"title": f"stone {number}"}), range(24)))
    assert [answer.status_code for answer in answers] == [201] * 24
    assert len({note["id"] for note in client.get("/notes").json()}) == 24
