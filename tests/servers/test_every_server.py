"""The demo in brief on every server, and the shutdown of each."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from tests.support.serving import SECONDS_FOR_AN_ANSWER, Server, eventually, new_client


@pytest.fixture
def visitor(any_server: Server) -> httpx.Client:
    return new_client(any_server)


def test_pages_and_guest_book(visitor: httpx.Client) -> None:
    with visitor:
        style = visitor.get("/static/style.css")
        assert style.headers["content-type"].startswith("text/css")
        assert style.headers["content-encoding"] == "gzip"
        assert visitor.get("/static/style.css", headers={"if-none-match": style.headers["etag"]}).status_code == 304
        posted = visitor.post("/notes", data={"author": "Grace", "text": "nickel iron"})
        assert posted.status_code == 303
        page = visitor.get(posted.headers["location"], params={"q": "nickel"})
        assert "<mark>nickel</mark> iron" in page.text
        assert visitor.get("/nowhere").status_code == 404
        assert visitor.patch("/notes").status_code == 405
        assert visitor.head("/").status_code == 200
        assert visitor.get("/broken", headers={"connection": "close"}).status_code == 500


def test_sign_in(visitor: httpx.Client) -> None:
    with visitor:
        assert visitor.post("/sign-in", data={"name": "Ada", "password": "olivine"}).status_code == 303
        assert "You write as <strong>Ada</strong>" in visitor.get("/notes").text
        assert visitor.post("/sign-out").status_code == 303
        assert "You write as" not in visitor.get("/notes").text


def test_api_and_background_task(visitor: httpx.Client) -> None:
    with visitor:
        note = visitor.post("/api/notes", json={"text": "one two three"}).json()
        eventually(lambda: visitor.get(note["url"]).json()["summary"], "the summary")
        assert visitor.get(note["url"]).json()["summary"]["words"] == 3
        assert visitor.post("/api/notes", json={"text": 3}).status_code == 422
        assert visitor.delete(note["url"]).status_code == 204


def test_upload_and_download(visitor: httpx.Client) -> None:
    content = bytes(range(256)) * 400
    with visitor:
        url = visitor.put("/files/iron.bin", content=content).json()["url"]
        assert visitor.get(url).content == content
        part = visitor.get(url, headers={"range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, content[100:200])
        assert visitor.post("/files", files=[("file", ("form.bin", content))]).status_code == 303
        assert "form.bin" in visitor.get("/files").text


def test_slow_work_runs_in_a_thread(visitor: httpx.Client) -> None:
    with visitor:
        threads = [visitor.get(path).json()["thread"] for path in ("/slow/work?seconds=0", "/slow/ping")]
    assert threads[0] != threads[1]


def test_chat(any_server: Server) -> None:
    def event(socket: object) -> dict[str, object]:
        return json.loads(socket.recv(SECONDS_FOR_AN_ANSWER))  # type: ignore[attr-defined, no-any-return]

    with connect(f"{any_server.chat_url}?name=Ada", proxy=None) as ada:
        assert event(ada)["you"] == "Ada"
        with connect(f"{any_server.chat_url}?name=Grace", proxy=None) as grace:
            assert event(grace)["people"] == ["Ada", "Grace"]
            assert event(ada)["type"] == "join"
            grace.send("hello")
            assert (event(ada)["text"], event(grace)["text"]) == ("hello", "hello")
        assert (left := event(ada))["type"] == "leave", left
    with pytest.raises(InvalidHandshake, match="403"), connect(any_server.chat_url, proxy=None):
        pass


def test_hostile_url_is_never_a_server_error(any_server: Server) -> None:
    statuses = {}
    for target in ("/notes%00", "/notes%0A", "/%2f", "//notes", "/notes/" + "9" * 5000, "/%ed%a0%80", "/files/%00/x"):
        request = f"GET {target} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n"
        statuses[target[:60]] = any_server.exchange(request.encode())[0]
    assert {target: status for target, status in statuses.items() if not 200 <= status < 500} == {}


@pytest.mark.parametrize("name", ["uvicorn-httptools", "granian", "hypercorn-trio"])
def test_database_is_opened_at_the_start_and_closed_at_the_end(
    start_server: Callable[[str], Server], name: str
) -> None:
    server = start_server(name)
    journal = server.data / "demo.sqlite3-wal"
    with new_client(server) as client:
        client.post("/api/notes", json={"text": "kept"}).raise_for_status()
    assert journal.exists()
    with connect(f"{server.chat_url}?name=Ada", proxy=None) as ada:
        ada.recv(SECONDS_FOR_AN_ANSWER)
        server.stop()  # although a client is still in the chat
    # SQLite removes its journal when the last connection is closed properly.
    assert not journal.exists()
    assert server.unexpected_errors() == []
