"""The test client: requests, streams, WebSockets and lifespans, and what becomes of its event loops."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite import testclient
from pallasite._testing import loops
from pallasite._testing.exchange import Exchange
from pallasite._testing.loops import EventLoopThread
from pallasite.endpoints import HTTPEndpoint
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from pallasite.testclient import TestClient, WebSocketTestSession
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDisconnect

ClientFactory = Callable[..., TestClient]
OK = PlainTextResponse("ok")
START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def endpoint(function: Callable[[Request], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await function(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


def messages(*sent: Message) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in sent:
            await send(message)

    return app


def websocket_app(function: Callable[[WebSocket], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await function(WebSocket(scope, receive, send))

    return app


@websocket_app
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for item in websocket.iter_text():
        await websocket.send_text(item)


def loop_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("pallasite-testclient")}


def end_of(threads: set[threading.Thread]) -> None:
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


# --- requests


def test_scope_of_a_request_is_complete(test_client_factory: ClientFactory) -> None:
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await OK(scope, receive, send)

    client = test_client_factory(app, base_url="https://example.org:8443/api", root_path="/api", client=("me", 7))
    client.put("/a%2Fb/ä%2541?q=%C3%A4&r", headers={"X-Token": b"\xe9", "Accept": "*/*"}, content=b"12")
    headers = scopes[0].pop("headers")
    assert headers[0] == (b"host", b"example.org:8443")
    assert set(headers) >= {(b"x-token", b"\xe9"), (b"user-agent", b"testclient"), (b"content-length", b"2")}
    assert scopes == [
        {
            "type": "http",
            "http_version": "1.1",
            "method": "PUT",
            "path": "/api/a/b/ä%41",
            "raw_path": b"/api/a%2Fb/%C3%A4%2541",
            "root_path": "/api",
            "scheme": "https",
            "query_string": b"q=%C3%A4&r",
            "client": ("me", 7),
            "server": ["example.org", 8443],
            "state": {},
            "extensions": {"http.response.debug": {}, "http.response.trailers": {}},
        }
    ]


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("http://testserver", ["testserver", 80]),
        ("https://testserver", ["testserver", 443]),
        ("http://[::1]:0", ["::1", 0]),
        ("http://bücher.example", ["xn--bcher-kva.example", 80]),
    ],
)
def test_server_is_taken_from_the_base_url(
    test_client_factory: ClientFactory, base_url: str, server: list[str | int]
) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return JSONResponse(request["server"])

    assert test_client_factory(app, base_url=base_url).get("/").json() == server


def test_headers_given_to_the_client_win(test_client_factory: ClientFactory) -> None:
    given = {"User-Agent": "probe", "X-A": "1"}

    @endpoint
    async def app(request: Request) -> Response:
        return JSONResponse([request.headers.getlist("user-agent"), request.headers["x-a"]])

    assert test_client_factory(app, headers=given).get("/").json() == [["probe"], "1"]
    assert given == {"User-Agent": "probe", "X-A": "1"}


def test_body_reaches_the_application_whole(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return Response(await request.body())

    client = test_client_factory(app)
    assert client.post("/", content=b"x" * 300_000).content == b"x" * 300_000
    assert client.post("/", content=iter([b"a", b"b"])).content == b"ab"
    assert client.post("/", json={"a": 1}).json() == {"a": 1}
    assert client.post("/", data={"a": "1 2"}).text == "a=1+2"
    assert b'filename="n.txt"' in client.post("/", files={"f": ("n.txt", b"text")}).content


def test_cookies_are_kept_between_requests(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        response = JSONResponse(request.cookies)
        if "visits" not in request.cookies:
            response.set_cookie("visits", "1")
        return response

    client = test_client_factory(app, cookies={"own": "a"})
    assert client.get("/").json() == {"own": "a"}
    assert client.get("/").json() == {"own": "a", "visits": "1"}


@pytest.mark.parametrize(("follow", "status"), [(True, 200), (False, 307)])
def test_redirects_are_followed_by_default(test_client_factory: ClientFactory, follow: bool, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (OK if scope["path"] == "/new" else RedirectResponse("/new"))(scope, receive, send)

    client = test_client_factory(app, follow_redirects=follow)
    response = client.get("/old")
    assert response.status_code == status
    assert [past.status_code for past in response.history] == ([307] if follow else [])
    assert client.get("/old", follow_redirects=not follow).status_code == (307 if follow else 200)


def test_head_response_has_no_body(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(messages({**START, "headers": [(b"content-length", b"3")]}, body(b"abc")))
    response = client.head("/")
    assert (response.content, response.headers["content-length"]) == (b"", "3")
    with client.stream("HEAD", "/") as live:
        assert live.read() == b""


def test_header_bytes_outside_utf8_are_kept(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(messages({**START, "headers": [(b"x", b"\xe9")]}, body(b""))).get("/")
    assert response.headers.raw == [(b"x", b"\xe9")]


def test_asgi2_application_is_adapted(test_client_factory: ClientFactory) -> None:
    def app(scope: Scope) -> Any:
        async def instance(receive: Receive, send: Send) -> None:
            await OK(scope, receive, send)

        return instance

    assert test_client_factory(app).get("/").text == "ok"


def test_endpoint_class_is_an_application(test_client_factory: ClientFactory) -> None:
    class Page(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return OK

    assert test_client_factory(Page).get("/").text == "ok"


def test_partial_application_is_recognised(test_client_factory: ClientFactory) -> None:
    async def app(extra: str, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(extra)(scope, receive, send)

    assert test_client_factory(functools.partial(app, "more")).get("/").text == "more"


def test_timeout_argument_warns(test_client_factory: ClientFactory) -> None:
    with pytest.warns(StarletteDeprecationWarning, match="You should not use the 'timeout' argument") as caught:
        assert test_client_factory(OK).get("/", timeout=3).text == "ok"
    assert len(caught) == 1


def test_debug_information_is_on_the_response(test_client_factory: ClientFactory) -> None:
    info: dict[str, Any] = {"template": "page.html", "context": {"a": 1}}
    app = messages({"type": "http.response.debug", "info": info}, START, body(b""))
    response = test_client_factory(app).get("/")
    assert response.extensions["http.response.debug"] is info
    assert (response.template, response.context) == ("page.html", {"a": 1})  # type: ignore[attr-defined]
    del info["context"]
    assert not hasattr(test_client_factory(app).get("/"), "context")
    assert not hasattr(test_client_factory(OK).get("/"), "template")


def trailers(*names: bytes, more: bool = False) -> Message:
    return {"type": "http.response.trailers", "headers": [(name, b"1") for name in names], "more_trailers": more}


def test_trailers_are_on_the_response(test_client_factory: ClientFactory) -> None:
    app = messages({**START, "trailers": True}, body(b"a"), trailers(b"x", more=True), trailers(b"y"))
    client = test_client_factory(app)
    assert client.get("/").extensions["http.response.trailers"] == [(b"x", b"1"), (b"y", b"1")]
    with client.stream("GET", "/") as response:
        assert response.read() == b"a"
        assert response.extensions["http.response.trailers"] == [(b"x", b"1"), (b"y", b"1")]


OUT_OF_ORDER: list[tuple[str, list[Message]]] = [
    ("multiple", [START, START]),
    ("without", [body(b"")]),
    ("after response completed", [START, body(b""), body(b"")]),
    ("after body completed", [{**START, "trailers": True}, body(b""), body(b"")]),
    ("without declaring", [START, body(b"", more=True), trailers()]),
    ("before body completed", [{**START, "trailers": True}, trailers()]),
    ("trailers.* after response completed", [{**START, "trailers": True}, body(b""), trailers(), trailers()]),
]


@pytest.mark.parametrize(("complaint", "sent"), OUT_OF_ORDER)
def test_message_out_of_order_is_an_error(
    test_client_factory: ClientFactory, complaint: str, sent: list[Message]
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        test_client_factory(messages(*sent)).get("/")


def test_text_in_the_place_of_header_bytes_is_an_error(test_client_factory: ClientFactory) -> None:
    with pytest.raises(TypeError):
        test_client_factory(messages({**START, "headers": [("a", "b")]}, body(b""))).get("/")


# --- failures


def test_exception_reaches_the_test_with_its_traceback(test_client_factory: ClientFactory) -> None:
    async def failing_application(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("boom")

    with pytest.raises(LookupError, match="boom") as failed:
        test_client_factory(failing_application).get("/")
    assert "failing_application" in [entry.name for entry in failed.traceback]


def test_exception_after_the_response_reaches_the_test(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await OK(scope, receive, send)
        raise LookupError("late")

    with pytest.raises(LookupError, match="late"):
        test_client_factory(app).get("/")
    assert test_client_factory(app, raise_server_exceptions=False).get("/").text == "ok"


def test_exception_not_raised_is_a_500(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    response = test_client_factory(app, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.content) == (500, b"")


def test_no_response_is_an_error(test_client_factory: ClientFactory) -> None:
    with pytest.raises(AssertionError, match="did not receive any response"):
        test_client_factory(messages()).get("/")
    assert test_client_factory(messages(), raise_server_exceptions=False).get("/").status_code == 500


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_in_the_application_leaves_the_client_usable(
    test_client_factory: ClientFactory, kind: type[BaseException]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/exit":
            raise kind
        await OK(scope, receive, send)

    async def lifeless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)

    for client in (test_client_factory(app), test_client_factory(lifeless).__enter__()):
        with pytest.raises(kind):
            client.get("/exit")
        assert client.get("/").text == "ok"
        if client.portal is not None:
            client.__exit__()


def test_cancellation_of_its_own_does_not_cancel_the_test() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledError):
        TestClient(app).get("/")


def test_loop_that_dies_under_a_request_is_an_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def die() -> None:
            raise SystemExit

        await asyncio.gather(asyncio.create_task(die()), asyncio.Event().wait())

    client = TestClient(app)
    with pytest.raises(SystemExit):
        client.get("/")
    assert TestClient(OK).get("/").text == "ok"


def test_call_interrupted_while_it_waits_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pallasite._testing.exchange.Call._hear", interrupt)
    with pytest.raises(KeyboardInterrupt):
        TestClient(OK).get("/")
    monkeypatch.undo()
    assert TestClient(OK).get("/").text == "ok"


def test_loop_that_dies_tells_who_waits_for_it() -> None:
    async def die() -> None:
        raise SystemExit

    loop = EventLoopThread("asyncio", {})
    causes: list[BaseException | None] = []
    loop.on_death.add(causes.append)
    loop.start(die)
    loop.stop()
    assert [type(cause) for cause in causes] == [SystemExit]


def test_loop_that_dies_under_a_websocket_is_an_error() -> None:
    async def die() -> None:
        raise SystemExit

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        task = asyncio.create_task(die())
        await asyncio.Event().wait()
        await task

    with pytest.raises(CancelledError), TestClient(app).websocket_connect("/") as session:
        session.receive()
    with TestClient(echo).websocket_connect("/") as session:
        session.send_text("alive")
        assert session.receive_text() == "alive"


def test_message_of_another_kind_is_left_to_servers(test_client_factory: ClientFactory) -> None:
    app = messages({"type": "http.response.push"}, START, {"type": "http.response.zerocopysend"}, body(b"ok"))
    assert test_client_factory(app).get("/").text == "ok"


def test_request_without_a_host_header_names_the_server(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return PlainTextResponse(request.headers["host"])

    client = test_client_factory(app)
    request = client.build_request("GET", "http://example.org:81/")
    del request.headers["host"]
    assert client.send(request).text == "example.org:81"


# --- background work, disconnects


def test_background_work_ends_before_the_request_returns(test_client_factory: ClientFactory) -> None:
    done = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await OK(scope, receive, send)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        done.append(await anyio.to_thread.run_sync(lambda: "later"))

    client = test_client_factory(app)
    assert client.get("/").text == "ok"
    assert done == ["later"]
    with client.stream("GET", "/") as response:
        response.read()
        assert done == ["later"] * 2


def test_disconnect_follows_the_complete_response(test_client_factory: ClientFactory) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(receive)
            await send(START)
            await send(body(b"a", more=True))
            await anyio.wait_all_tasks_blocked()
            assert seen == ["http.request"]
            await send(body(b"b"))

    client = test_client_factory(app)
    assert client.post("/").text == "ab"
    assert seen == ["http.request", "http.disconnect", "http.disconnect"]
    seen.clear()
    with client.stream("POST", "/") as response:
        assert response.read() == b"ab"
    assert seen == ["http.request", "http.disconnect", "http.disconnect"]


# --- streams


class Numbers:
    """Streams numbers for ever; says what it has sent, and whether it was cleaned up."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(START)
            number = 0
            while True:
                await send(body(f"{number}\n".encode(), more=True))
                self.sent.append(number)
                number += 1
        finally:
            self.ended = True


def test_stream_is_read_while_the_application_runs(test_client_factory: ClientFactory) -> None:
    app = Numbers()
    with test_client_factory(app).stream("GET", "/") as response:
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["0", "1"]
        assert len(app.sent) <= 2
        assert not app.ended
    assert app.ended


def test_stream_starts_before_there_is_a_body(test_client_factory: ClientFactory) -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await anyio.to_thread.run_sync(go.wait)
        await send(body(b"late"))

    with test_client_factory(app).stream("GET", "/") as response:
        assert response.status_code == 200
        go.set()
        assert response.read() == b"late"


def test_stream_closed_after_its_last_chunk_lets_background_work_finish(test_client_factory: ClientFactory) -> None:
    done = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"all"))
        await anyio.to_thread.run_sync(go.wait)
        done.append(True)

    go = threading.Event()
    with test_client_factory(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"all"
        go.set()
    assert done == [True]


def test_stream_failing_half_way_raises_while_reading(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"a", more=True))
        raise LookupError("half-way")

    with test_client_factory(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"a"
        with pytest.raises(LookupError, match="half-way"):
            next(chunks)
    with test_client_factory(app, raise_server_exceptions=False).stream("GET", "/") as response:
        assert response.read() == b"a"


def test_stream_unfinished_ends_with_the_application(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(messages(START, body(b"a", more=True)))
    assert client.get("/").content == b"a"
    with client.stream("GET", "/") as response:
        assert response.read() == b"a"


def test_streams_interleave(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(Numbers())
    with client.stream("GET", "/") as first, client.stream("GET", "/") as second:
        left, right = first.iter_lines(), second.iter_lines()
        assert [next(left), next(right), next(left), next(right)] == ["0", "0", "1", "1"]


def test_request_within_a_stream_is_served(test_client_factory: ClientFactory) -> None:
    numbers = Numbers()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await (numbers if scope["path"] == "/stream" else OK)(scope, receive, send)

    with test_client_factory(app) as client, client.stream("GET", "/stream") as response:
        assert next(response.iter_lines()) == "0"
        assert client.get("/").text == "ok"


@pytest.mark.parametrize("entered", [False, True], ids=["plain", "entered"])
def test_stream_left_open_ends_with_the_client(test_client_factory: ClientFactory, entered: bool) -> None:
    numbers = Numbers()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await numbers(scope, receive, send)

    client = test_client_factory(app)
    if entered:
        client.__enter__()
    response = client.send(client.build_request("GET", "/"), stream=True)
    lines = response.iter_lines()
    assert next(lines) == "0"
    assert not numbers.ended
    client.__exit__() if entered else client.close()
    assert numbers.ended


def test_event_hooks_and_auth_see_the_response(test_client_factory: ClientFactory) -> None:
    statuses: list[int] = []
    client = test_client_factory(OK)
    client.event_hooks = {"response": [lambda response: statuses.append(response.status_code)]}
    assert client.get("/", auth=("user", "password")).text == "ok"
    assert statuses == [200]


def test_streaming_response_generator_is_closed_when_left_early(test_client_factory: ClientFactory) -> None:
    closed = []

    @endpoint
    async def app(request: Request) -> Response:
        async def generate() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x\n"
            finally:
                closed.append(True)

        return StreamingResponse(generate())

    with test_client_factory(app).stream("GET", "/") as response:
        assert next(response.iter_lines()) == "x"
    assert closed == [True]


# --- event loops


async def thread_identity(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await JSONResponse(threading.get_ident())(scope, receive, send)


def test_loop_is_kept_between_requests(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(thread_identity)
    assert len({client.get("/").json() for _ in range(5)}) == 1


def test_loop_is_shared_by_clients_in_turn(test_client_factory: ClientFactory) -> None:
    first, second = test_client_factory(thread_identity), test_client_factory(thread_identity)
    assert first.get("/").json() == second.get("/").json()


def test_loop_of_an_entered_client_is_its_own(test_client_factory: ClientFactory) -> None:
    outside = test_client_factory(thread_identity)
    with test_client_factory(thread_identity) as first, test_client_factory(thread_identity) as second:
        assert first.get("/").json() == first.get("/").json()
        assert len({client.get("/").json() for client in (first, second, outside)}) == 3


def test_event_kept_across_requests_works(test_client_factory: ClientFactory) -> None:
    lock = anyio.Lock()
    holder: list[anyio.Event] = []

    @endpoint
    async def app(request: Request) -> Response:
        async with lock:
            if not holder:
                holder.append(anyio.Event())
                holder[0].set()
            await holder[0].wait()
        return OK

    client = test_client_factory(app)
    assert [client.get("/").text for _ in range(3)] == ["ok"] * 3


def test_tasks_left_behind_are_cancelled_before_the_request_returns() -> None:
    ended = []

    @endpoint
    async def app(request: Request) -> Response:
        async def forever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(threading.get_ident())

        request.state.task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        return OK

    client = TestClient(app)
    client.get("/")
    assert len(ended) == 1
    client.get("/")
    assert len(ended) == 2


def test_generators_left_behind_are_closed_before_the_request_returns(test_client_factory: ClientFactory) -> None:
    closed = []
    kept = []

    @endpoint
    async def app(request: Request) -> Response:
        async def generate() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                closed.append(True)

        kept.append(generate())
        await anext(kept[-1])
        return OK

    test_client_factory(app).get("/")
    assert closed == [True]


def test_entered_client_keeps_tasks_between_requests() -> None:
    tasks: list[asyncio.Task[str]] = []
    go: list[asyncio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def work() -> str:
            await go[0].wait()
            return "worked"

        if scope["type"] == "lifespan":
            return
        if scope["path"] == "/start":
            go.append(asyncio.Event())
            tasks.append(asyncio.create_task(work()))
            await OK(scope, receive, send)
        else:
            go[0].set()
            await PlainTextResponse(await tasks[0])(scope, receive, send)

    with TestClient(app) as client:
        client.get("/start")
        assert client.get("/").text == "worked"


def test_worker_threads_are_kept_with_the_loop(test_client_factory: ClientFactory) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        return JSONResponse(await anyio.to_thread.run_sync(threading.get_ident))

    client = test_client_factory(app)
    assert len({client.get("/").json() for _ in range(3)}) == 1


def test_context_of_the_caller_is_seen_and_kept_apart(test_client_factory: ClientFactory) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @endpoint
    async def app(request: Request) -> Response:
        value = variable.get()
        variable.set("changed by the application")
        return PlainTextResponse(value)

    client = test_client_factory(app)
    assert client.get("/").text == "unset"
    variable.set("test")
    assert client.get("/").text == "test"
    assert variable.get() == "test"


@pytest.mark.anyio
@pytest.mark.parametrize("inner", ["asyncio", "trio"])
async def test_client_works_inside_a_running_loop(inner: Any) -> None:
    @endpoint
    async def app(request: Request) -> Response:
        await anyio.lowlevel.checkpoint()
        return PlainTextResponse(str(anyio.get_current_task().id is not None))

    async def with_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await anyio.lowlevel.checkpoint()
        else:
            await app(scope, receive, send)

    assert TestClient(app, backend=inner).get("/").text == "True"
    with TestClient(with_lifespan, backend=inner) as client:
        assert client.get("/").text == "True"
    with TestClient(echo, backend=inner).websocket_connect("/") as session:
        session.send_text("hello")
        assert session.receive_text() == "hello"


def test_client_works_inside_an_application(test_client_factory: ClientFactory) -> None:
    upstream = test_client_factory(OK)

    @endpoint
    async def app(request: Request) -> Response:
        return PlainTextResponse("relayed " + upstream.get("/").text)

    assert test_client_factory(app).get("/").text == "relayed ok"


def test_entered_client_called_from_its_own_loop_is_an_error(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client.get("/")

    with test_client_factory(app) as client, pytest.raises(RuntimeError, match="event loop"):
        client.get("/")


def test_threads_may_share_a_client(test_client_factory: ClientFactory) -> None:
    meeting = threading.Barrier(3)

    @endpoint
    async def app(request: Request) -> Response:
        await anyio.to_thread.run_sync(meeting.wait)  # all three are served at once, or none
        return OK

    client = test_client_factory(app)
    answers: list[str] = []
    workers = [threading.Thread(target=lambda: answers.append(client.get("/").text)) for _ in range(3)]
    for worker in workers:
        worker.start()
    end_of(set(workers))
    assert answers == ["ok"] * 3


# Clients with these share no loops with others: somewhere, another test may hold on to one.
OWN_LOOPS = {
    "asyncio": {"backend": "asyncio", "backend_options": {"debug": False}},
    "trio": {"backend": "trio", "backend_options": {"strict_exception_groups": True}},
}


def test_idle_loops_end_with_the_last_client(anyio_backend: str) -> None:
    others = loop_threads()
    first, second = (TestClient(OK, **OWN_LOOPS[anyio_backend]) for _ in range(2))  # type: ignore[arg-type]
    first.get("/")
    second.get("/")
    [own] = loop_threads() - others
    first.close()
    assert own.is_alive()
    second.close()
    assert not own.is_alive()


def test_idle_loops_end_with_clients_that_are_forgotten(anyio_backend: str) -> None:
    others = loop_threads()
    client = TestClient(OK, **OWN_LOOPS[anyio_backend])  # type: ignore[arg-type]
    client.get("/")
    own = loop_threads() - others
    assert len(own) == 1
    del client
    gc.collect()
    end_of(own)


def test_client_closed_cannot_send(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(OK)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get("/")


def test_backend_unknown_is_an_error() -> None:
    with pytest.raises(LookupError):
        TestClient(OK, backend="curio").get("/")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_exchange_cancelled_before_it_runs_never_calls_on() -> None:
    reached = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.lowlevel.checkpoint()
        reached.append(True)

    exchange = Exchange(app, {}, b"", read_whole=True)
    exchange.cancel()
    await exchange.run(cast(EventLoopThread, SimpleNamespace(has_leftovers=lambda: False, on_death=set())))
    assert (reached, exchange.failure, exchange.news.get_nowait()) == ([], None, None)


def test_loop_of_the_parent_process_is_left_alone(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = EventLoopThread(anyio_backend, {})
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert not loop.usable
        loop.stop()
        with pytest.raises(RuntimeError, match="fork"):
            loop.call_soon(print)
    assert loop.usable
    loop.stop()


def test_loops_end_on_demand_of_the_interpreter(anyio_backend: str) -> None:
    others = loop_threads()
    client = TestClient(OK, **OWN_LOOPS[anyio_backend])  # type: ignore[arg-type]
    assert client.get("/").text == "ok"
    own = loop_threads() - others
    loops._stop_pools()
    assert own
    assert not own & loop_threads()
    assert client.get("/").text == "ok"


def test_loop_that_ended_while_idle_is_replaced(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(OK)
    pool = client._loops.shared()
    loop = pool.take()
    pool.give_back(loop, left_behind=False)
    loop.stop()
    assert client.get("/").text == "ok"
    assert loop not in pool.loops


def test_portal_call_is_cancelled_when_the_loop_dies(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = EventLoopThread(anyio_backend, {})
    with monkeypatch.context() as dying:
        dying.setattr(loop, "_call_soon", lambda *_: None)  # the call is taken, and never made
        future = loop.portal.start_task_soon(lambda: None)
    for give_up in tuple(loop.on_death):
        give_up(None)
    assert future.cancelled()
    assert loop.on_death == set()
    loop.stop()


def test_stopping_a_loop_twice_is_harmless(anyio_backend: str) -> None:
    loop = EventLoopThread(anyio_backend, {})
    loop.stop()
    loop.stop()
    assert not loop.usable
    with pytest.raises(RuntimeError):
        loop.call_soon(print)


SCRIPT = """
import sys, threading, warnings
from pallasite.testclient import TestClient
import anyio.to_thread

async def app(scope, receive, send):
    await anyio.to_thread.run_sync(len, "")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok", "more_body": scope["path"] == "/stream"})
    if scope["path"] == "/stream":
        await anyio.sleep_forever()

client = TestClient(app, backend=sys.argv[1])
assert client.get("/").text == "ok"
"""


def run_script(backend: str, ending: str) -> None:
    script = textwrap.dedent(SCRIPT) + textwrap.dedent(ending)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script, backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_interpreter_exits_with_a_client_left_open(anyio_backend: str) -> None:
    run_script(anyio_backend, "")


def test_interpreter_exits_with_a_stream_left_open(anyio_backend: str) -> None:
    run_script(anyio_backend, 'left = client.send(client.build_request("GET", "/stream"), stream=True)')


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_forked_child_makes_loops_of_its_own(anyio_backend: str) -> None:
    ending = """
    import os
    warnings.simplefilter("ignore")  # of forking while threads run
    child = os.fork()
    if child == 0:
        os._exit(0 if client.get("/").text == "ok" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.get("/").text == "ok"
    """
    run_script(anyio_backend, ending)


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
@pytest.mark.parametrize("path", ["/wait", "/stream"])
def test_interrupt_cancels_the_application(test_client_factory: ClientFactory, path: str) -> None:
    import signal

    cleaned = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if path == "/stream":
                await send(START)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    client = test_client_factory(app)
    # Python leaves the signal ignored where whoever started it ignores it: in the background of a shell script, say.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            client.get(path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert cleaned == [True]


# --- lifespan


def lifespan_app(events: list[str]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await JSONResponse(scope["state"])(scope, receive, send)
            return
        assert (await receive())["type"] == "lifespan.startup"
        events.append("startup")
        scope["state"]["count"] = 1
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    return app


def test_lifespan_runs_around_with(test_client_factory: ClientFactory) -> None:
    events: list[str] = []
    client = test_client_factory(lifespan_app(events))
    for _ in range(2):
        with client:
            assert events == ["startup"]
            assert client.app_state == {"count": 1}
            assert client.get("/").json() == {"count": 1}
        assert events == ["startup", "shutdown"]
        events.clear()
    assert client.get("/").status_code == 200


def test_lifespan_state_is_copied_for_each_request(test_client_factory: ClientFactory) -> None:
    app = lifespan_app([])

    async def spoiling(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        scope["state"]["spoiled"] = True

    with test_client_factory(spoiling) as client:
        client.get("/")
        assert client.get("/").json() == {"count": 1}


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_lifespan_failure_is_raised(test_client_factory: ClientFactory, step: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == f"lifespan.{step}":
                await send({"type": f"lifespan.{step}.failed", "message": "no database"})
                raise LookupError("no database")
            await send({"type": f"{message['type']}.complete"})

    client = test_client_factory(app)
    with pytest.raises(LookupError, match="no database"), client:
        assert step == "shutdown"
    assert client.portal is None


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_lifespan_failure_without_an_exception_is_an_error(test_client_factory: ClientFactory, step: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == f"lifespan.{step}":
                await send({"type": f"lifespan.{step}.failed", "message": "no database"})
                return
            await send({"type": f"{message['type']}.complete"})

    with pytest.raises(RuntimeError, match=f"{step} failed: no database"), test_client_factory(app):
        assert step == "shutdown"


def test_lifespan_raising_before_it_answers_is_raised(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("lifespan")

    with pytest.raises(LookupError, match="lifespan"), test_client_factory(app):
        pytest.fail("started")


def test_lifespan_of_an_application_without_one_is_skipped(test_client_factory: ClientFactory) -> None:
    with test_client_factory(messages()) as client:
        assert client.portal is not None


def test_exception_in_the_with_block_still_shuts_down(test_client_factory: ClientFactory) -> None:
    events: list[str] = []
    with pytest.raises(LookupError), test_client_factory(lifespan_app(events)):
        raise LookupError
    assert events == ["startup", "shutdown"]


def test_portal_calls_into_the_loop(test_client_factory: ClientFactory) -> None:
    with test_client_factory(thread_identity) as client:
        assert client.portal is not None
        assert client.portal.call(threading.get_ident) == client.get("/").json()


# --- WebSockets


def test_websocket_scope_is_complete(test_client_factory: ClientFactory) -> None:
    scopes = []

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        scopes.append(websocket.scope)
        await websocket.accept()

    client = test_client_factory(app, root_path="/api")
    with client.websocket_connect("wss://example.org/a%20b?c=d", subprotocols=["x", "y"], headers={"A": "1"}):
        pass
    headers = dict(scopes[0].pop("headers"))
    assert headers.items() >= {
        (b"host", b"example.org"),
        (b"a", b"1"),
        (b"connection", b"upgrade"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-protocol", b"x, y"),
        (b"user-agent", b"testclient"),
    }
    assert scopes == [
        {
            "type": "websocket",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "root_path": "/api",
            "scheme": "wss",
            "query_string": b"c=d",
            "client": ("testclient", 50000),
            "server": ["example.org", 443],
            "subprotocols": ["x", "y"],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }
    ]


def test_websocket_headers_argument_is_left_alone(test_client_factory: ClientFactory) -> None:
    headers = {"x": "1"}
    with test_client_factory(echo).websocket_connect("/", headers=headers):
        pass
    assert headers == {"x": "1"}


@pytest.mark.parametrize("entered", [False, True], ids=["plain", "entered"])
def test_websockets_and_requests_interleave(test_client_factory: ClientFactory, entered: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (OK if scope["type"] == "http" else echo)(scope, receive, send)

    async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)

    client = test_client_factory(no_lifespan)
    if entered:
        client.__enter__()
    with client.websocket_connect("/") as first, client.websocket_connect("/") as second:
        first.send_text("1")
        second.send_text("2")
        assert client.get("/").text == "ok"
        assert (second.receive_text(), first.receive_text()) == ("2", "1")
    if entered:
        client.__exit__()


def test_websocket_application_failing_raises_on_leaving(test_client_factory: ClientFactory) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()
        raise LookupError("boom")

    client = test_client_factory(app)
    with pytest.raises(LookupError, match="boom"), client.websocket_connect("/") as session:  # noqa: PT012
        session.send_text("")
        session.receive_text()
    with pytest.raises(LookupError, match="boom"), client.websocket_connect("/") as session:  # noqa: PT012
        session.send_text("")
        with pytest.raises(anyio.EndOfStream):
            session.receive()


def test_websocket_application_failing_at_once_raises_on_entering(test_client_factory: ClientFactory) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        raise LookupError("boom")

    with pytest.raises(LookupError, match="boom"), test_client_factory(app).websocket_connect("/"):
        pytest.fail("connected")


def test_websocket_application_that_returns_does_not_stall_the_client(test_client_factory: ClientFactory) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        if websocket.url.path == "/accept":
            await websocket.accept()
            await websocket.send_text("last")

    client = test_client_factory(app)
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/"):
        pytest.fail("connected")
    assert refused.value.code == 1006
    with client.websocket_connect("/accept") as session:
        assert session.receive_text() == "last"
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as ended:
                session.receive_text()
            assert ended.value.code == 1006
        session.send_text("nobody listens")


@pytest.mark.parametrize("receive", ["receive_text", "receive_bytes", "receive_json"])
def test_websocket_closed_by_the_application_raises(test_client_factory: ClientFactory, receive: str) -> None:
    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(code=4000, reason="enough")

    with test_client_factory(app).websocket_connect("/") as session:
        with pytest.raises(WebSocketDisconnect) as closed:
            getattr(session, receive)()
        assert (closed.value.code, closed.value.reason) == (4000, "enough")


def test_websocket_application_that_never_listens_is_cancelled(test_client_factory: ClientFactory) -> None:
    ended = []

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("again")
        finally:
            ended.append(True)

    with test_client_factory(app).websocket_connect("/") as session:
        assert session.receive_text() == "again"
    assert ended == [True]


def test_websocket_application_sees_the_disconnect_on_leaving(test_client_factory: ClientFactory) -> None:
    seen = []

    @websocket_app
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as exc:
            seen.append(exc.code)

    with test_client_factory(app).websocket_connect("/"):
        pass
    assert seen == [1000]


def test_websocket_session_takes_a_portal_of_the_callers(anyio_backend: str) -> None:
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    start = functools.partial(anyio.from_thread.start_blocking_portal, anyio_backend)
    with WebSocketTestSession(echo, scope, start) as session:
        session.send_text("hello")
        assert session.receive_text() == "hello"


def test_connecting_to_something_else_is_an_error(test_client_factory: ClientFactory) -> None:
    with pytest.raises(RuntimeError, match="Expected WebSocket upgrade"):
        test_client_factory(OK).websocket_connect("http://testserver/")


def test_exported_names_exist() -> None:
    assert set(testclient.__all__) <= set(vars(testclient))


def test_websocket_message_is_seen_once_the_application_has_gone_on(test_client_factory: ClientFactory) -> None:
    joined: list[int] = []
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        joined.append(1)
        async for text in websocket.iter_text():
            await websocket.send_text(text)
            joined.append(1)

    for _ in range(100):
        joined.clear()
        with test_client_factory(app).websocket_connect("/") as session:
            seen.append(len(joined) == 1)
            session.send_text("x")
            session.receive_text()
            seen.append(len(joined) == 2)
    assert all(seen)
