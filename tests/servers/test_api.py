"""The demo's JSON API over real sockets. Invalid input is always a 4xx with a reason."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.support.serving import eventually

JSON = {"content-type": "application/json"}


def create(client: httpx.Client, text: str = "Hello", **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/notes", json={"text": text, **fields})
    assert answer.status_code == 201, answer.text
    note: dict[str, Any] = answer.json()
    assert answer.headers["location"] == note["url"]
    return note


def test_created_note_can_be_read_until_it_is_deleted(client: httpx.Client) -> None:
    note = create(client, "Grüße, 世界 \U0001f30d\nsecond line", author="Ada")
    assert (note["author"], note["text"], note["summary"]) == ("Ada", "Grüße, 世界 \U0001f30d\nsecond line", None)
    read = client.get(note["url"]).json()
    assert {**read, "summary": None} == note
    assert client.delete(note["url"]).status_code == 204
    assert client.delete(note["url"]).status_code == 404
    assert client.get(note["url"]).json() == {"error": "There is no such note."}


def test_summary_appears_after_the_answer(client: httpx.Client) -> None:
    url = create(client, "Iron, iron and crystal")["url"]
    eventually(lambda: client.get(url).json()["summary"], "the summary")
    assert client.get(url).json()["summary"] == {
        "words": 4,
        "reading_seconds": 1,
        "common_words": ["iron", "crystal"],
    }


def test_list_is_paged_newest_first_and_searched(client: httpx.Client) -> None:
    mark = uuid.uuid4().hex
    numbers = [create(client, f"{mark} {number}")["id"] for number in range(5)]
    answer = client.get("/api/notes", params={"q": mark, "limit": 2, "offset": 1}).json()
    assert (answer["total"], answer["limit"], answer["offset"]) == (5, 2, 1)
    assert [note["id"] for note in answer["notes"]] == numbers[::-1][1:3]
    assert client.get("/api/notes", params={"q": mark, "offset": 5}).json()["notes"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "offset=-1", "limit=" + "9" * 5000]
)
def test_number_out_of_range_in_the_query_is_422(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/api/notes?{query}")
    assert answer.status_code == 422
    assert "must be a whole number from" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"text": "a"} extra', 400),
        (b'{"text": "\xff\xfe"}', 400),
        (b"[" * 60_000, 400),
        (b'{"text":' * 8_000, 400),
        (b"null", 422),
        (b"[1]", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"text": ""}', 422),
        (b'{"text": " \\n "}', 422),
        (b'{"text": 1}', 422),
        (b'{"text": NaN}', 400),
        (b'{"text": null}', 422),
        (b'{"text": "a", "author": ["b"]}', 422),
        (b'{"text": "a", "author": "two\\nlines"}', 422),
        (b'{"text": "\\ud800"}', 422),
        (b'{"text": "a\\u0000b"}', 422),
        (b'{"text": "a", "\\ud800": 1}', 422),
        (b'{"text": "a", "id": 1}', 422),
        (b'{"text": "' + b"a" * 5001 + b'"}', 422),
        (b'{"text": "' + b"a" * 70_000 + b'"}', 413),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else str(value),
)
def test_bad_body_is_refused_with_a_reason(client: httpx.Client, body: bytes, status: int) -> None:
    answer = client.post("/api/notes", content=body, headers=JSON)
    assert answer.status_code == status
    if status != 413:
        assert answer.json()["error"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json5", ";;;"])
def test_body_of_another_type_is_415(client: httpx.Client, kind: str) -> None:
    answer = client.post("/api/notes", content=b'{"text": "a"}', headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (415, {"error": "send application/json"})


@pytest.mark.parametrize("number", ["0", "-1", "x", "1x", "١", "9" * 20, "9" * 5000, "1%0A", "1%00", "1.0", ""])
def test_note_without_a_proper_number_is_404(client: httpx.Client, number: str) -> None:
    answer = client.get(f"/api/notes/{number}", follow_redirects=True) if number else client.get("/api/nothing")
    assert (answer.status_code, set(answer.json())) == (404, {"error"})


def test_wrong_method_is_405(client: httpx.Client) -> None:
    answer = client.put("/api/notes", json={})
    assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
