"""Ordinary visitors of the demo. Each visit requests a few pages and checks the responses."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
from websockets.sync.client import connect

from tests.support.serving import SECONDS_FOR_AN_ANSWER, Server, new_client

CONTENT = bytes(range(256)) * 2000


class Unexpected(Exception):
    """A response other than the expected one."""


class Visitor:
    """A visitor who keeps cookies like a browser, on one connection or a few. `seen` counts the statuses."""

    def __init__(self, server: Server, chance: random.Random, seen: Counter[int]) -> None:
        self.server, self.chance, self.seen = server, chance, seen
        self.client = new_client(server)

    def ask(self, method: str, path: str, expected: int = 200, **options: Any) -> httpx.Response:
        answer = self.client.request(method, path, **options)
        self.seen[answer.status_code] += 1
        if answer.status_code != expected:
            raise Unexpected(f"{method} {path}: {answer.status_code} instead of {expected}")
        return answer

    def word(self) -> str:
        return f"{self.chance.getrandbits(64):x}"


# Where a server closes the connection after its answer, the next request on it would be lost every now and then.
LAST = {"connection": "close"}


def read_pages(visitor: Visitor) -> None:
    for path in ("/", "/notes", "/files", "/chat", "/live", "/slow", "/api", "/sign-in", "/static/style.css"):
        visitor.ask("GET", path)
        visitor.ask("HEAD", path)
    tag = visitor.ask("GET", "/static/style.css").headers["etag"]
    visitor.ask("GET", "/static/style.css", 304, headers={"if-none-match": tag})


def write_note(visitor: Visitor) -> None:
    text = visitor.word() + " Grüße, 世界 " * visitor.chance.randrange(1, 100)
    answer = visitor.ask("POST", "/notes", 303, data={"author": "Ada", "text": text})
    number = answer.headers["location"].rpartition("note-")[2]
    visitor.ask("GET", f"/notes/{number}")
    visitor.ask("GET", "/notes", params={"q": text[:10]})
    visitor.ask("POST", f"/notes/{number}/delete", 303)


def use_api(visitor: Visitor) -> None:
    note = visitor.ask("POST", "/api/notes", 201, json={"text": visitor.word(), "author": "Ada"}).json()
    path = f"/api/notes/{note['id']}"
    if visitor.ask("GET", path).json()["text"] != note["text"]:
        raise Unexpected(f"{path}: another text")
    visitor.ask("GET", "/api/notes", params={"limit": "5", "offset": "1"})
    visitor.ask("DELETE", path, 204)
    visitor.ask("GET", path, 404)


def make_mistakes(visitor: Visitor) -> None:
    visitor.ask("GET", "/nowhere", 404)
    visitor.ask("PATCH", "/notes", 405)
    visitor.ask("GET", "/api/notes", 422, params={"limit": "many"})
    visitor.ask("POST", "/api/notes", 400, content=b"{", headers={"content-type": "application/json"})
    visitor.ask("POST", "/api/notes", 413, content=bytes(100_000), headers=LAST | {"content-type": "application/json"})
    visitor.ask("POST", "/notes", 422, data={"text": ""})
    visitor.ask("GET", "/slow/work", 422, params={"seconds": "nan"})


def meet_the_bug(visitor: Visitor) -> None:
    visitor.ask("GET", "/broken", 500, headers=LAST)


def exchange_files(visitor: Visitor) -> None:
    content = CONTENT[: visitor.chance.randrange(10, len(CONTENT))]
    path = visitor.ask("PUT", f"/files/{visitor.word()}.bin", 201, content=content).json()["url"]
    if visitor.ask("GET", path).content != content:
        raise Unexpected("a download differs from what was uploaded")
    visitor.ask("GET", path, 206, headers={"range": "bytes=0-99,500-"} if len(content) > 501 else {"range": "bytes=0-"})
    visitor.ask("DELETE", path, 204)


def send_form(visitor: Visitor) -> None:
    name = f"{visitor.word()}.bin"
    visitor.ask("POST", "/files", 303, files=[("file", (name, CONTENT)), ("file", ("empty.bin", b""))])
    visitor.ask("GET", "/files")


def wait_for_work(visitor: Visitor) -> None:
    visitor.ask("GET", "/slow/work", params={"seconds": "0.02"})
    visitor.ask("GET", "/slow/ping")


def sign_in_and_out(visitor: Visitor) -> None:
    # One of few names: accounts stay in the database.
    visitor.ask("POST", "/sign-in", 303, data={"name": f"Grace {visitor.chance.randrange(20)}", "password": "olivine"})
    write_note(visitor)
    visitor.ask("POST", "/sign-out", 303)


def listen(visitor: Visitor) -> None:
    with visitor.client.stream("GET", "/live/events", headers={"accept": "text/event-stream"}) as answer:
        visitor.seen[answer.status_code] += 1
        with new_client(visitor.server) as other:
            visitor.seen[other.post("/live/wave").status_code] += 1
        if not any(line == "event: wave" for line in answer.iter_lines()):
            raise Unexpected("the events end without the wave")


def chat(visitor: Visitor) -> None:
    text = visitor.word()
    with connect(f"{visitor.server.chat_url}?name={quote('Ada')}", proxy=None) as websocket:
        visitor.seen[101] += 1
        websocket.send(text)
        while json.loads(websocket.recv(SECONDS_FOR_AN_ANSWER)).get("text") != text:
            pass


VISITS: list[Callable[[Visitor], None]] = [
    read_pages,
    write_note,
    use_api,
    make_mistakes,
    meet_the_bug,
    exchange_files,
    send_form,
    wait_for_work,
    sign_in_and_out,
    listen,
    chat,
]
