"""nicegui: a page whose button is pressed over the WebSocket, as a browser would, on a server of its own."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import pytest
import socketio


@pytest.fixture(scope="module")
def address(serve_process: Callable[[str], Any]) -> str:
    return str(serve_process("nicegui_app:app").address)


@pytest.fixture
def client(address: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=address, timeout=30) as client:
        yield client


@dataclass
class Page:
    """What a browser takes from the page: its number and its elements."""

    number: str
    elements: dict[str, Any]

    def find(self, tag: str) -> tuple[str, dict[str, Any]]:
        return next((key, element) for key, element in self.elements.items() if element["tag"] == tag)


def load(client: httpx2.Client, path: str) -> Page:
    response = client.get(path)
    assert response.status_code == 200
    number = re.search(r"'client_id': '([^']+)'", response.text)
    elements = re.search(r"parseElements\(String\.raw`(.*?)`\)", response.text)
    assert number is not None
    assert elements is not None
    return Page(number[1], json.loads(elements[1]))


def labels(page: Page) -> list[str]:
    return [element["text"] for element in page.elements.values() if "text" in element]


def test_pages_routes_and_mounted_application_answer(client: httpx2.Client) -> None:
    assert client.get("/api/hello").json() == {"hello": "from FastAPI"}
    assert labels(load(client, "/people/ann?times=2")) == ["hello ann", "hello ann"]
    assert client.get("/raw/data").text == "data of App"
    assert client.get("/people/ann?times=often").status_code == 422
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.headers["x-nicegui-content"]) == (404, "page")
    assert client.get("/failing").status_code == 500


def test_static_files_are_cached_and_compressed(client: httpx2.Client) -> None:
    page = client.get("/")
    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["cache-control"] == "no-store"
    script = re.search(r'"(/_nicegui/[^"]+\.js)"', page.text)
    assert script is not None
    response = client.get(script[1])
    assert response.headers["content-type"].startswith("text/javascript")
    assert "immutable" in response.headers["cache-control"]
    assert client.get("/_nicegui/0.0.0/static/nothing.js").status_code == 404


def test_storage_of_user_is_kept_between_visits(client: httpx2.Client) -> None:
    load(client, "/")
    assert [labels(load(client, "/mine")) for _ in range(2)] == [["visit 1"], ["visit 2"]]
    client.cookies.clear()
    load(client, "/")
    assert labels(load(client, "/mine")) == ["visit 1"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_pressed_button_changes_page(client: httpx2.Client, transport: str) -> None:
    page = load(client, "/")
    button, element = page.find("q-btn")
    (listener,) = (event["listener_id"] for event in element["events"])

    async def press() -> list[str]:
        sending, updates = anyio.create_memory_object_stream[Any](10)
        browser = socketio.AsyncClient()
        browser.on("update", sending.send)
        tab = str(uuid.uuid4())
        query = f"client_id={page.number}&tab_id={tab}&document_id={uuid.uuid4()}&next_message_id=0"
        await browser.connect(
            f"{client.base_url}?{query}&implicit_handshake=true",
            transports=[transport],
            socketio_path="/_nicegui_ws/socket.io",
        )
        seen = []
        with anyio.fail_after(30), sending, updates:
            for _ in range(2):
                event = {"client_id": page.number, "id": int(button), "listener_id": listener, "args": []}
                await browser.emit("event", event)
                changed = await updates.receive()
                seen += [each["text"] for each in changed.values() if isinstance(each, dict) and "text" in each]
        await browser.disconnect()
        return seen

    assert anyio.run(press) == ["clicked 1 times", "clicked 2 times"]


def test_uploaded_file_reaches_its_page(client: httpx2.Client) -> None:
    page = load(client, "/")
    address = page.find("nicegui-upload")[1]["props"]["url"]
    assert client.post(address, files={"file": ("big.bin", b"x" * 2_000_000)}).json() == {"upload": "success"}
