"""python-fasthtml: pages made of Python calls, with forms, sessions, uploads and WebSockets.

No `from __future__ import annotations` here: the package reads annotations as they are, and names without one.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from fasthtml.common import (
    H1,
    Beforeware,
    Button,
    Client,
    Div,
    Form,
    Input,
    Li,
    P,
    RedirectResponse,
    Titled,
    Ul,
    UploadFile,
    fast_app,
)
from starlette.testclient import TestClient

SECRET = "a secret key of thirty-two bytes"


@dataclass
class Todo:
    title: str
    done: bool = False


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "notes.txt").write_text("some notes")

    def before(request, session) -> RedirectResponse | None:
        return None if session.get("user") else RedirectResponse("/login", status_code=303)

    guard = Beforeware(before, skip=[r"/login.*", r"/notes.*", "/", r"/names/.*", "/todo", "/upload", "/nowhere"])
    app, rt = fast_app(before=guard, secret_key=SECRET, static_path=str(tmp_path), exts="ws")

    @rt("/")
    def get() -> object:
        return Titled("Shop", Div(P("Welcome"), hx_get="/names/ann"))

    @rt("/names/{name}")
    def names(name: str, times: int = 1) -> object:
        return Ul(*(Li(name) for _ in range(times)))

    @rt("/todo", methods=["GET"])
    def form() -> object:
        return Form(Input(name="title"), Button("Add"), action="/todo", method="post")

    @rt("/todo", methods=["POST"])
    def add(todo: Todo) -> object:
        return Li(f"{todo.title}: {todo.done}")

    @rt("/login/{user}")
    def login(user: str, session) -> RedirectResponse:
        session["user"] = user
        return RedirectResponse("/private", status_code=303)

    @rt("/private")
    def private(session) -> object:
        return H1(f"only for {session['user']}")

    @rt("/upload", methods=["POST"])
    async def upload(file: UploadFile) -> str:
        return f"{file.filename}: {len(await file.read())}"

    @app.ws("/ws")
    async def chat(msg: str, send) -> object:
        return Div(f"you said {msg}", id="answer")

    return TestClient(app)


def test_page_and_fragment(client: TestClient) -> None:
    page = client.get("/").text
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "<h1>Shop</h1>" in page
    assert "htmx" in page
    fragment = client.get("/names/bob?times=2", headers={"HX-Request": "true"}).text
    assert fragment.count("<li>bob</li>") == 2
    assert "<html" not in fragment


def test_empty_path_parameter_matches_as_the_package_patches_it(client: TestClient) -> None:
    assert "<li></li>" in client.get("/names/", headers={"HX-Request": "true"}).text


def test_form_becomes_dataclass(client: TestClient) -> None:
    assert 'action="/todo"' in client.get("/todo").text
    answer = client.post("/todo", data={"title": "buy <milk>", "done": "1"}, headers={"HX-Request": "true"})
    assert answer.text.strip() == "<li>buy &lt;milk&gt;: True</li>"
    assert client.post("/todo", json={"title": "by json"}, headers={"HX-Request": "true"}).text.strip() == (
        "<li>by json: False</li>"
    )


def test_session_guards_pages(client: TestClient) -> None:
    refused = client.get("/private", follow_redirects=False)
    assert (refused.status_code, refused.headers["location"]) == (303, "/login")
    assert "only for ann" in client.get("/login/ann").text


def test_upload_static_file_and_missing_page(client: TestClient) -> None:
    assert client.post("/upload", files={"file": ("a.txt", b"seventeen letters")}).text == "a.txt: 17"
    assert client.get("/notes.txt").text == "some notes"
    assert client.get("/nowhere").status_code == 404


def test_websocket_answers_with_html(client: TestClient) -> None:
    with client.websocket_connect("/ws") as session:
        session.send_json({"msg": "hello", "HEADERS": {}})
        assert '<div id="answer">you said hello</div>' in session.receive_text().replace(' hx-swap-oob="true"', "")


def test_own_client_of_package() -> None:
    app, rt = fast_app(secret_key=SECRET)

    @rt
    def hello(name: str) -> object:
        return P(f"hello {name}")

    assert Client(app).get(hello.to(name="ann")).text.count("hello ann") == 1
