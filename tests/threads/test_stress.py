"""Eight threads, each with event loops of its own, use one application at the same time as others change its routes.

The interpreter switches threads after every few instructions. Results are compared with those of a single thread, so a
value of another request, a lost update and a crash all fail. There is no time limit: threads do a number of rounds.
"""

from __future__ import annotations

import gc
import gzip
import json
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from pallasite.applications import Pallasite
from pallasite.endpoints import HTTPEndpoint
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route, Router, WebSocketRoute
from pallasite.staticfiles import StaticFiles
from pallasite.websockets import WebSocket
from tests.support.asgi import connect, exchange, scope_of

THREADS = 8
ROUNDS = 12


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def echo(request: Request) -> Response:
    number = int(request.query_params["n"])
    response = JSONResponse({"n": number, "path": request.path_params["word"], "agent": request.headers["user-agent"]})
    response.set_cookie("n", str(number))
    return response


async def read_json(request: Request) -> Response:
    return JSONResponse({"read": await request.json(), "link": str(request.url_for("echo", word="é"))})


async def form(request: Request) -> Response:
    async with request.form() as fields:
        values = {
            name: value if isinstance(value, str) else (await value.read()).decode() for name, value in fields.items()
        }
    return JSONResponse(values)


def in_thread(request: Request) -> Response:
    return PlainTextResponse(f"thread {request.query_params['n']}")


async def session(request: Request) -> Response:
    request.session["n"] = request.query_params["n"]
    return JSONResponse(dict(request.session))


async def stream(request: Request) -> Response:
    def lines() -> Iterator[str]:
        for number in range(5):
            yield f"{request.query_params['n']}.{number}\n"

    return StreamingResponse(lines())


async def large(request: Request) -> Response:
    return PlainTextResponse(request.query_params["n"] * 5000)


async def refused(request: Request) -> Response:
    raise HTTPException(418, detail=request.query_params["n"])


class Both(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse(f"get {request.query_params['n']}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_json({"got": text})


def application(folder: Path) -> Pallasite:
    (folder / "file.txt").write_text("content of a file")

    async def file(request: Request) -> Response:
        return FileResponse(folder / "file.txt")

    async def stamped(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-n"] = request.query_params.get("n", "")
        return response

    return Pallasite(
        routes=[
            Route("/echo/{word}", echo, name="echo"),
            Route("/json", read_json, methods=["POST"]),
            Route("/form", form, methods=["POST"]),
            Route("/thread", in_thread),
            Route("/session", session),
            Route("/stream", stream),
            Route("/large", large),
            Route("/refused", refused),
            Route("/both", Both),
            Route("/file", file),
            WebSocketRoute("/socket", socket),
            Mount("/static", StaticFiles(directory=folder)),
            Mount("/inner", Router([Route("/{word}", echo)])),
        ],
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["https://a.example"]),
            Middleware(SessionMiddleware, secret_key="of sixteen bytes and more"),
            Middleware(GZipMiddleware),
            Middleware(BaseHTTPMiddleware, dispatch=stamped),
        ],
    )


BOUNDARY = "multipart/form-data; boundary=b"


def part(name: str, value: str, extra: str = "") -> str:
    return f'--b\r\ncontent-disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'


def requests(number: int) -> list[tuple[str, str, str, bytes, str]]:
    """Method, path, query, body and Content-Type of each request of a round."""
    query = f"n={number}"
    multipart = part("text", f"é{number}") + part("file", f"content {number}", '; filename="a"') + "--b--\r\n"
    document = json.dumps({"a": [number, None, 1.5], "é": "x" * number})
    return [
        ("GET", f"/echo/w{number}", query, b"", ""),
        ("GET", f"/inner/w{number}", query, b"", ""),
        ("POST", "/json", query, document.encode(), "application/json"),
        ("POST", "/form", query, f"a={number}&b=%C3%A9".encode(), "application/x-www-form-urlencoded"),
        ("POST", "/form", query, multipart.encode(), BOUNDARY),
        ("GET", "/thread", query, b"", ""),
        ("GET", "/session", query, b"", ""),
        ("GET", "/stream", query, b"", ""),
        ("GET", "/large", query, b"", ""),
        ("GET", "/refused", query, b"", ""),
        ("GET", "/both", query, b"", ""),
        ("GET", "/file", query, b"", ""),
        ("GET", "/static/file.txt", query, b"", ""),
        ("GET", "/nowhere", query, b"", ""),
        ("PUT", "/json", query, b"", ""),
    ]


async def responded(app: Any, method: str, path: str, query: str, body: bytes, kind: str) -> tuple[Any, ...]:
    """Status, fields and content of the response, without what differs from one request to the next."""
    headers = [(b"host", b"t.example"), (b"user-agent", query.encode()), (b"accept-encoding", b"gzip")]
    headers += [(b"origin", b"https://a.example")]
    headers += [(b"content-type", kind.encode())] if kind else []
    scope = scope_of(path, method=method, query=query.encode(), headers=headers)
    sent = await exchange(app, scope, [{"type": "http.request", "body": body, "more_body": False}], stays=True)
    start, *rest = sent
    fields = {name: value for name, value in start["headers"] if name not in (b"last-modified", b"etag")}
    if path == "/session":
        assert b"session=" in fields.pop(b"set-cookie")  # signed with the time
    content = b"".join(message.get("body", b"") for message in rest)
    if fields.get(b"content-encoding") == b"gzip":
        fields.pop(b"content-length", None)
        content = gzip.decompress(content)
    return start["status"], sorted(fields.items()), content


async def echoed(app: Any, number: int) -> list[Any]:
    sent = await connect(app, "/socket", *({"text": f"{number}.{place}"} for place in range(3)))
    return [message.get("text") for message in sent]


async def one_round(app: Any, number: int) -> list[Any]:
    results: list[Any] = [await responded(app, *request) for request in requests(number)]
    return [*results, await echoed(app, number)]


def in_threads(functions: list[Callable[[], Any]]) -> list[Any]:
    """Run the functions, each in a thread, and return their results. Raises the first error."""
    results: list[Any] = [None] * len(functions)
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(functions))

    def run(place: int) -> None:
        try:
            barrier.wait()
            results[place] = functions[place]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_every_feature_gives_each_thread_its_own_answers(tmp_path: Path) -> None:
    expected = {
        number: anyio.run(one_round, application(tmp_path), number, backend="asyncio") for number in range(THREADS)
    }
    app = application(tmp_path)  # its middleware stack and tables are built by whichever thread is first

    def work(number: int) -> None:
        for turn in range(ROUNDS):
            backend = "trio" if (number + turn) % 2 else "asyncio"
            assert anyio.run(one_round, app, number, backend=backend) == expected[number]

    in_threads([lambda number=number: work(number) for number in range(THREADS)])  # type: ignore[misc]


def test_routes_changed_by_other_threads_are_the_old_ones_or_the_new_ones() -> None:
    """A request sees a list as it was at some time: never a crash, a missing route that is always there, or a mix."""
    names = [f"r{number}" for number in range(4)]

    async def answer(request: Request) -> Response:
        return PlainTextResponse(request.path_params.get("word", "fixed"))

    app = Pallasite(routes=[Route("/fixed", answer, name="fixed"), Route("/any/{word}", answer)])
    stop = threading.Event()

    def change() -> int:
        changes = 0
        while not stop.is_set():
            for name in names:
                app.router.routes.insert(0, Route(f"/{name}/{{word}}", answer, name=name))
            app.router.routes[0].name = "renamed"
            del app.router.routes[: len(names)]
            changes += 1
        return changes

    async def ask() -> None:
        for turn in range(150):
            assert (await responded(app, "GET", "/fixed", "n=1", b"", ""))[0] == 200
            status, _, content = await responded(app, "GET", f"/{names[turn % 4]}/x", "n=1", b"", "")
            assert (status, content) in [(200, b"x"), (404, b"Not Found")]
            assert (await responded(app, "GET", "/any/y", "n=1", b"", ""))[2] == b"y"
            assert app.url_path_for("fixed") == "/fixed"

    def work() -> None:
        try:
            anyio.run(ask)
        finally:
            stop.set()

    *changes, _, _, _ = in_threads([change, change, change, work, work, work])
    assert all(changes)
    # What was built last is not out of date.
    assert len(app.router.routes) == 2
    assert [anyio.run(responded, app, "GET", f"/{name}/x", "n=1", b"", "")[0] for name in names] == [404] * 4


def test_requests_in_threads_leave_nothing_behind(tmp_path: Path) -> None:
    app = application(tmp_path)

    def work(number: int) -> None:
        for _ in range(3):
            anyio.run(one_round, app, number)

    def run_all() -> int:
        in_threads([lambda number=number: work(number) for number in range(4)])  # type: ignore[misc]
        gc.collect()
        return len(gc.get_objects())

    counted = [run_all() for _ in range(6)]
    # One left over for each of the 192 requests of a run would be as many more after every run.
    assert min(later - earlier for earlier, later in pairwise(counted)) < 192
