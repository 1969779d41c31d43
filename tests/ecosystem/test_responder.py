"""responder: a framework of its own on Starlette: forms, streams, WebSockets, mounted applications."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import responder
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "style.css").write_text("p { color: red }")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text("<p>{{ name }}</p>")
    api = responder.API(
        title="Shop",
        version="1",
        openapi="3.1.0",
        docs_route="/docs",
        secret_key="a secret key of thirty-two bytes",
        allowed_hosts=["shop.example"],
        static_dir=str(tmp_path / "static"),
        templates_dir=str(tmp_path / "templates"),
    )

    @api.get("/hello/{name}")
    def hello(req: Any, resp: Any, *, name: str) -> None:
        resp.media = {"hello": name}

    @api.get("/users/{number:int}")
    def user(req: Any, resp: Any, *, number: int) -> None:
        resp.media = {"number": number + 1}

    @api.post("/items", status_code=201)
    def create(req: Any, resp: Any, *, item: Item) -> Item:
        return item

    @api.post("/echo")
    async def echo(req: Any, resp: Any) -> None:
        resp.media = {"sent": await req.media()}

    @api.post("/upload")
    async def upload(req: Any, resp: Any) -> None:
        files = await req.media("files")
        resp.media = {name: len(await file.read()) for name, file in files.items()}

    @api.get("/page/{name}")
    def page(req: Any, resp: Any, *, name: str) -> None:
        resp.html = api.template("page.html", name=name)

    @api.get("/visits")
    def visits(req: Any, resp: Any) -> None:
        resp.session["visits"] = req.session.get("visits", 0) + 1
        resp.media = resp.session["visits"]

    @api.sse("/events")
    async def events(req: Any, resp: Any) -> AsyncIterator[responder.SSE[Item]]:
        for price in (1, 2):
            yield responder.SSE(Item(name="tea", price=price), event="item", id=str(price))

    @api.websocket_route("/chat")
    async def chat(ws: Any) -> None:
        await ws.accept()
        await ws.send_text((await ws.receive_text()).upper())
        await ws.close()

    @api.before_request()
    def stamp(req: Any, resp: Any) -> None:
        resp.headers["X-Stamp"] = "before"

    async def inner(request: Request) -> Response:
        return PlainTextResponse(f"mounted {request.path_params['name']}")

    api.mount("/below", Starlette(routes=[Route("/{name}", inner)]))
    with TestClient(api, base_url="https://shop.example", raise_server_exceptions=False) as client:
        yield client


def test_views_write_their_response(client: TestClient) -> None:
    response = client.get("/hello/ann")
    assert (response.json(), response.headers["x-stamp"]) == ({"hello": "ann"}, "before")
    assert client.get("/users/41").json() == {"number": 42}
    assert client.get("/users/ann").status_code == 404
    assert client.get("/page/<ann>").text == "<p>&lt;ann&gt;</p>"
    assert client.get("/static/style.css").headers["content-type"].startswith("text/css")


def test_bodies_are_checked_and_forms_and_files_parsed(client: TestClient) -> None:
    assert client.post("/items", json={"name": "tea", "price": 2}).status_code == 201
    wrong = client.post("/items", json={"name": "", "price": 2})
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    assert client.post("/echo", json={"a": [1]}).json() == {"sent": {"a": [1]}}
    assert client.post("/echo", data={"a": "1"}).json() == {"sent": {"a": "1"}}
    files = {"one": ("one.txt", b"four"), "two": ("two.bin", b"x" * 100_000)}
    assert client.post("/upload", files=files).json() == {"one": 4, "two": 100_000}


def test_session_host_and_missing_page(client: TestClient) -> None:
    assert [client.get("/visits").json() for _ in range(2)] == [1, 2]
    assert client.get("/visits", headers={"Host": "evil.example"}).status_code == 400
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_events_are_streamed(client: TestClient) -> None:
    response = client.get("/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    prices = [json.loads(line[5:])["price"] for line in response.text.splitlines() if line.startswith("data:")]
    assert prices == [1, 2]


def test_websocket_and_mounted_application(client: TestClient) -> None:
    with client.websocket_connect("wss://shop.example/chat") as session:
        session.send_text("hello")
        assert session.receive_text() == "HELLO"
    assert client.get("/below/ann").text == "mounted ann"


def test_schema_is_made_from_views(client: TestClient) -> None:
    assert "/hello/{name}" in client.get("/schema.yml").text
    assert client.get("/docs").headers["content-type"].startswith("text/html")


def test_own_client_of_package() -> None:
    api = responder.API(secret_key="a secret key of thirty-two bytes")

    @api.get("/ping")
    def ping(req: Any, resp: Any) -> dict[str, bool]:
        return {"pong": True}

    assert api.requests.get("http://;/ping").json() == {"pong": True}
