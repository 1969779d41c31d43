"""Every fast path is left as soon as the method that it copies is patched.

The comments are found in the source (`pallasite._compat.stock` describes them), so a new one must be added here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benches.case import load_cases
from benches.fast_paths import PACKAGE, TAG, fast_paths
from pallasite._compat.stock import ORIGINALS
from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from pallasite.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from pallasite.staticfiles import StaticFiles
from pallasite.testclient import TestClient
from pallasite.websockets import WebSocket

Step = Callable[[TestClient], object]


def make_app(folder: Path) -> Pallasite:
    """An application that takes every fast path."""
    (folder / "page.html").write_text("a page")

    async def text(request: Request) -> Response:
        return PlainTextResponse("text")

    def sync(request: Request) -> Response:
        return PlainTextResponse("from a worker thread")

    async def value(request: Request) -> Response:
        return JSONResponse({"an": "object"})

    async def body(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    async def form(request: Request) -> Response:
        async with request.form() as fields:
            return PlainTextResponse(str(fields["field"]))

    async def json_body(request: Request) -> Response:
        return PlainTextResponse(str(await request.json()))

    async def session(request: Request) -> Response:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return PlainTextResponse("counted")

    async def link(request: Request) -> Response:
        names = {"text": {}, "socket": {}, "mount": {"path": "/"}, "host": {"path": "/"}}
        return PlainTextResponse(" ".join(str(request.url_for(name, **given)) for name, given in names.items()))

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.send_json(await websocket.receive_json())
        await websocket.close()

    routes: list[BaseRoute] = [
        Host("elsewhere.example", Router([Route("/", text)]), name="host"),
        Route("/", value),
        Route("/text", text, name="text"),
        Route("/sync", sync),
        Route("/body", body, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/json", json_body, methods=["POST"]),
        Route("/session", session),
        Route("/link", link),
        Route("/file", FileResponse(folder / "page.html")),
        WebSocketRoute("/socket", socket, name="socket"),
        Mount("/mount", Router([Route("/", text)]), name="mount"),
        Mount("/static", StaticFiles(directory=folder)),
    ]
    middleware = [
        Middleware(SessionMiddleware, secret_key="nobody has to guess this one"),
        Middleware(CORSMiddleware, allow_origins=["https://page.example"], allow_credentials=True),
    ]
    return Pallasite(routes=routes, middleware=middleware)


def get(path: str, **headers: str) -> Step:
    return lambda client: client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def talk(client: TestClient) -> None:
    with client.websocket_connect("/socket") as websocket:
        websocket.send_text("text")
        assert websocket.receive_text() == "text"
        websocket.send_bytes(b"bytes")
        assert websocket.receive_bytes() == b"bytes"
        websocket.send_text("1")
        assert websocket.receive_text() == "1"


def visit_everything(client: TestClient) -> None:
    client.get("/text")
    client.get("/mount/")
    client.get("/", headers={"host": "elsewhere.example"})
    talk(client)


def revalidate(client: TestClient) -> None:
    etag = client.get("/static/page.html").headers["etag"]
    assert client.get("/static/page.html", headers={"if-none-match": etag}).status_code == 304


JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"

#: What makes the function with a fast path in it run, by the function's qualified name.
STEPS: dict[str, Step] = {
    "CORSMiddleware.__call__": get("/text", origin="https://page.example"),
    "ExceptionMiddleware.enter": get("/text"),
    "ExceptionMiddleware.no_route": get("/missing"),
    "FileResponse._look_up": get("/file"),
    "JSONResponse.__init__": get("/"),
    "Pallasite.__call__": get("/text"),
    "Request._is_unread": lambda client: client.post("/form", content="field=1", headers={"content-type": FORM_TYPE}),
    "Request._read_body": lambda client: client.post("/body", content="body"),
    "Response.__init__": get("/text"),
    "RouteNames.__init__": get("/link"),
    "Router.dispatch": get("/text"),
    "StaticFiles._has_hooks": get("/static/page.html"),
    "WebSocket.receive_bytes": talk,
    "WebSocket.receive_text": talk,
    "WebSocket.send_bytes": talk,
    "WebSocket.send_text": talk,
    "StaticFileResponse.__call__": get("/static/page.html"),
    "_entry": visit_everything,
    "_not_modified": revalidate,
    "decode": lambda client: client.post("/json", content="1", headers={"content-type": JSON_TYPE}),
    "encode": get("/"),
    "encode_ascii": get("/session"),
    "encode_text": talk,
    "current_pool": get("/sync"),
}

#: Bound to the router when that is made, as in Starlette: a later patch of the class is too late.
BOUND_AT_CONSTRUCTION = {"Router.app", "Router.not_found"}


def places() -> list[tuple[str, str]]:
    """(the qualified name of the function that has the fast path, what it copies), for every comment."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "# Fast path:" not in text:
            continue
        if path.name == "stock.py":
            continue
        functions = dict(functions_of(ast.parse(text)))
        for line, comment in comments_of(text):
            copied = re.findall(r"`([^`]+)`", comment["copied"])
            inside = max((start, name) for (start, end), name in functions.items() if start <= line <= end)
            found += [(inside[1], name) for name in copied]
    return found


def comments_of(text: str) -> list[tuple[int, re.Match[str]]]:
    """The line of each comment, and its parts; a comment may take two lines."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        if "# Fast path:" in line:
            following = lines[number].strip() if lines[number].strip().startswith("#") else ""
            match = TAG.search(line) or TAG.search(f"{line.rstrip()} {following.removeprefix('# ')}")
            assert match, (
                f"line {number}: a fast path's comment has another form than `pallasite._compat.stock` asks for"
            )
            found.append((number, match))
    return found


def functions_of(tree: ast.AST, prefix: str = "") -> list[tuple[tuple[int, int], str]]:
    """The first and last lines of every function, and its qualified name."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = prefix + node.name
            if not isinstance(node, ast.ClassDef):
                found.append(((node.lineno, node.end_lineno or node.lineno), name))
            found += functions_of(node, f"{name}.")
    return found


def names_of(owner: Any, name: str) -> set[str]:
    """How comments may call an original: `BaseRoute.matches` is that of every kind of route."""
    names = {f"{owner.__name__}.{name}"}
    if isinstance(owner, type) and issubclass(owner, BaseRoute):
        names.add(f"BaseRoute.{name}")
    return names


PLACES = places()
PATCHES = [
    (function, owner, name)
    for function, copied in PLACES
    for owner, name in ORIGINALS
    if copied in names_of(owner, name)
]


def patch(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Wrap an original in a function that records its calls, and return the record."""
    old, calls = getattr(owner, name), []

    def patched(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return old(*args, **kwargs)

    is_static = isinstance(owner, type) and isinstance(vars(owner).get(name), staticmethod)
    monkeypatch.setattr(owner, name, staticmethod(patched) if is_static else patched)
    return calls


@pytest.mark.parametrize("when", ["before-construction", "after-the-first-request"])
@pytest.mark.parametrize(
    ("function", "owner", "name"),
    PATCHES,
    ids=[f"{function}-{owner.__name__}.{name}" for function, owner, name in PATCHES],
)
def test_patched_original_is_called(
    function: str,
    owner: Any,
    name: str,
    when: str,
    tmp_path: Path,
    test_client_factory: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = STEPS[function]
    if when == "before-construction":
        calls = patch(monkeypatch, owner, name)
        step(test_client_factory(make_app(tmp_path)))
    else:
        if f"{owner.__name__}.{name}" in BOUND_AT_CONSTRUCTION:
            pytest.skip("bound when the router is made")
        client = test_client_factory(make_app(tmp_path))
        step(client)
        calls = patch(monkeypatch, owner, name)
        step(client)
    assert calls


def test_fast_paths_are_taken(tmp_path: Path, test_client_factory: Callable[..., TestClient]) -> None:
    # The steps work at all, whether or not something is patched.
    client = test_client_factory(make_app(tmp_path))
    for step in STEPS.values():
        response = step(client)
        assert response is None or response.status_code in (200, 404)  # type: ignore[attr-defined]


def test_every_original_has_a_comment_and_every_comment_an_original() -> None:
    copied = {name for _, name in PLACES}
    known = set()
    for owner, name in ORIGINALS:
        assert copied & names_of(owner, name), f"no fast path says that it copies {owner.__name__}.{name}"
        known |= names_of(owner, name)
    assert copied <= known


def test_every_step_belongs_to_a_fast_path() -> None:
    assert {function for function, _ in PLACES} == set(STEPS)


def test_every_comment_names_a_case_of_the_benchmark() -> None:
    found = list(fast_paths())
    assert sum(len(path.copied) for path in found) == len(PLACES)
    assert {path.case for path in found} <= set(load_cases())


def test_originals_are_named_alike() -> None:
    pattern = re.compile(r"^(\w+) = original\(|\boriginal\(", re.MULTILINE)
    for path in PACKAGE.rglob("*.py"):
        if path.name != "stock.py":
            for match in pattern.finditer(path.read_text(encoding="utf-8")):
                assert match[1] is None or re.fullmatch(r"_?STOCK_[A-Z_]+", match[1])
