"""The bridge to WSGI: the environ, the response, and threads that neither run ahead nor outlive the request."""

from __future__ import annotations

import contextlib
import importlib
import io
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias
from wsgiref.validate import validator

import anyio
import pytest

from pallasite._compat import mode
from pallasite.applications import Pallasite
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.routing import Mount
from pallasite.types import ASGIApp, Message, Send
from tests.support.asgi import UNUSED, Sent, always
from tests.support.clients import ClientFactory

with warnings.catch_warnings():
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from pallasite.middleware import wsgi

pytestmark = pytest.mark.anyio

WSGIApp: TypeAlias = Callable[[dict[str, Any], Any], Any]

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [],
}


def environ(**changes: Any) -> Any:
    return wsgi.build_environ({**SCOPE, **changes}, b"")


async def request(app: WSGIApp, *received: Any, send: Send | None = None, **changes: Any) -> Any:
    """Every message that `app` sends."""
    sent, waiting = Sent(), list(received or [{"type": "http.request"}])

    async def receive() -> Any:
        return waiting.pop(0)

    await wsgi.WSGIMiddleware(app)({**SCOPE, **changes}, receive, sent if send is None else send)
    return sent


def answer(*pieces: Any, status: str = "200 OK", headers: Any = ()) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, list(headers))
        return pieces

    return app


def body(sent: Sent) -> Any:
    return b"".join(message["body"] for message in sent if message["type"] == "http.response.body")


def test_module_warns_when_it_is_imported_and_only_then() -> None:
    with pytest.warns(StarletteDeprecationWarning, match="wsgi is deprecated"):
        importlib.reload(wsgi)
    quiet = "import sys, pallasite.applications; assert 'pallasite.middleware.wsgi' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", quiet], check=True)


def test_environ_has_the_values_of_the_scope() -> None:
    found = wsgi.build_environ(
        {
            **SCOPE,
            "method": "POST",
            "scheme": "https",
            "query_string": b"q=1&x=\xe9",
            "client": ("192.0.2.1", 5),
            "server": ("example.org", 8000),
            "headers": [
                (b"Content-Type", b"text/plain"),
                (b"content-length", b"4"),
                (b"x-one", b"a"),
                (b"x-one", b"\xe9"),
                (b"cookie", b"a=1"),
                (b"cookie", b"b=2"),
            ],
        },
        b"body",
    )
    assert found.pop("wsgi.input").read() == b"body"
    assert found == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "q=1&x=\xe9",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "4",
        "HTTP_X_ONE": "a,\xe9",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


@pytest.mark.parametrize(
    ("body", "given", "length"),
    [
        (b"", [], None),
        (b"", [b"0"], "0"),
        (b"body", [], "4"),  # came in chunks
        (b"body", [b"3"], "4"),
        (b"body", [b"4", b"4"], "4"),
        (b"body", [b"many"], "4"),
        (b"", [b"7"], "0"),
    ],
)
def test_environ_has_the_length_of_the_body(body: bytes, given: Any, length: str | None) -> None:
    headers = [(b"content-length", value) for value in given]
    assert wsgi.build_environ({**SCOPE, "headers": headers}, body).get("CONTENT_LENGTH") == length


def test_environ_in_compatibility_mode_has_a_number_and_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    found = environ()
    assert found["SERVER_PORT"] == 80
    assert found["wsgi.errors"] is sys.stdout


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
def test_environ_of_a_unix_socket_names_a_host(scheme: str, port: str) -> None:
    found = environ(scheme=scheme, server=("/run/app.sock", None))
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("localhost", port)


@pytest.mark.parametrize("root_path", ["", "/", "/wsgi"])
def test_environ_passes_the_validator_of_the_standard_library(
    root_path: str, test_client_factory: ClientFactory
) -> None:
    """Source: PEP 3333, as `wsgiref.validate` reads it."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}".encode()]

    client = test_client_factory(wsgi.WSGIMiddleware(validator(application)), root_path=root_path)
    assert client.get(root_path.rstrip("/") + "/path?a=b").text == "testserver:80"
    assert client.post(root_path.rstrip("/") + "/path", content=b"body").text == "testserver:80"


def test_environ_of_a_server_without_address_is_localhost() -> None:
    found = environ()
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("localhost", "80")
    assert "REMOTE_ADDR" not in found


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/a/b", "", "/a/b"),
        ("/a", "/a/b", "/a", "/b"),
        ("/a", "/a", "/a", ""),
        ("/a", "/ab", "/a", "/ab"),
        ("/é", "/é/日", "/\xc3\xa9", "/\xe6\x97\xa5"),
        ("", "/\udcff", "", "/\xed\xb3\xbf"),
    ],
)
def test_environ_paths_are_bytes_as_characters(root_path: str, path: str, script_name: str, path_info: str) -> None:
    found = environ(root_path=root_path, path=path)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (script_name, path_info)


def test_environ_leaves_out_fields_that_could_pass_for_others() -> None:
    found = environ(headers=[(b"x_user", b"root"), (b"x-user", b"ada"), (b"proxy", b"http://evil.example")])
    assert {name for name in found if name.startswith("HTTP_")} == {"HTTP_X_USER"}
    assert found["HTTP_X_USER"] == "ada"


async def test_response_is_sent_chunk_by_chunk() -> None:
    sent = await request(answer(b"one ", b"", b"two", headers=[("X-A", " b ")], status="201 Created"))
    assert sent == [
        {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"b")]},
        {"type": "http.response.body", "body": b"one ", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": True},
        {"type": "http.response.body", "body": b""},
    ]


@pytest.mark.parametrize("status", ["204 No Content", "204"])
async def test_response_without_body_is_a_head_and_an_end(status: str) -> None:
    sent = await request(answer(status=status))
    assert [message.get("status") for message in sent] == [204, None]


async def test_body_of_a_request_is_read_whole() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    pieces = [{"type": "http.request", "body": b"%d " % n, "more_body": n < 3} for n in range(1, 4)]
    assert body(await request(app, *pieces)) == b"1 2 3 "


async def test_request_cut_off_does_not_reach_the_application() -> None:
    cut = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    assert await request(answer(b"never"), *cut) == []


async def test_write_sends_before_what_is_returned() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"one ")
        return [b"two"]

    assert body(await request(app)) == b"one two"


async def test_iterable_is_closed_even_after_an_error() -> None:
    class Pieces:
        closed = 0

        def __init__(self, pieces: Any) -> None:
            self.pieces = pieces

        def __iter__(self) -> Iterator[Any]:
            for piece in self.pieces:
                if piece is None:
                    raise LookupError("no more")
                yield piece

        def close(self) -> None:
            Pieces.closed += 1

    def app_giving(pieces: Any) -> Any:
        def app(environ: dict[str, Any], start_response: Any) -> Any:
            start_response("200 OK", [])
            return Pieces(pieces)

        return app

    await request(app_giving([b"a"]))
    with pytest.raises(LookupError):
        await request(app_giving([b"a", None]))
    assert Pieces.closed == 2


async def test_error_of_the_application_reaches_the_server() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await request(app)


async def test_error_answered_by_the_application_is_sent_and_raised() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("x-a", "1")])
        try:
            raise LookupError("no")
        except LookupError:
            start_response("500 Oh", [("x-b", "2")], sys.exc_info())
        return [b"sorry"]

    sent = Sent()
    with pytest.raises(LookupError):
        await request(app, send=sent)
    assert sent[0] == {"type": "http.response.start", "status": 500, "headers": [(b"x-b", b"2")]}
    assert body(sent) == b"sorry"


async def test_error_after_the_start_cannot_be_answered() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])(b"started")
        try:
            raise LookupError("no")
        except LookupError:
            start_response("500 Oh", [], sys.exc_info())
        return [b"never"]

    sent = Sent()
    with pytest.raises(LookupError):
        await request(app, send=sent)
    assert (sent[0]["status"], body(sent)) == (200, b"started")


async def test_application_that_breaks_the_rules_is_an_error() -> None:
    def starting_twice(environ: dict[str, Any], start_response: Any) -> None:
        start_response("200 OK", [])
        start_response("200 OK", [])

    def never_starting(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return [b"x"]

    with pytest.raises(AssertionError, match="called before"):
        await request(starting_twice)
    with pytest.raises(AssertionError, match="did not call"):
        await request(never_starting)
    with pytest.raises(ValueError):
        await request(answer(b"x", headers=[("x-a", "1\r\nx-b: 2")]))


async def test_application_waits_for_a_slow_client() -> None:
    made, gate = [], anyio.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in range(100):
            made.append(number)
            yield b"x"

    async def send(message: Message) -> None:
        await gate.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: request(app, send=send))
        await anyio.wait_all_tasks_blocked()
        assert len(made) < 50
        gate.set()
    assert len(made) == 100


async def test_client_that_leaves_ends_the_application() -> None:
    closed = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await request(app, send=send)
    assert closed.is_set()


async def test_websocket_is_refused_and_lifespan_is_not_understood() -> None:
    sent = Sent()
    await wsgi.WSGIMiddleware(answer(b""))({"type": "websocket"}, UNUSED, sent)
    assert sent == [{"type": "websocket.close", "code": 1000}]
    with pytest.raises(AssertionError, match="lifespan"):
        await wsgi.WSGIMiddleware(answer(b""))({"type": "lifespan"}, UNUSED, UNUSED)


def test_mounted_in_an_application_with_a_lifespan(test_client_factory: ClientFactory) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        data = environ["wsgi.input"].read()
        start_response("200 OK", [("content-type", "text/plain")])
        return io.BytesIO(environ["SCRIPT_NAME"].encode() + environ["PATH_INFO"].encode() + b" " + data)

    with test_client_factory(Pallasite(routes=[Mount("/old", wsgi.WSGIMiddleware(app))], lifespan=lifespan)) as client:
        assert client.post("/old/page", content=b"data").text == "/old/page data"
    assert events == ["up", "down"]


async def test_receive_that_never_waits_does_not_block_the_event_loop() -> None:
    with anyio.move_on_after(0.01) as scope:
        await wsgi.WSGIMiddleware(UNUSED)(SCOPE, always({"type": "http.request", "more_body": True}), UNUSED)
    assert scope.cancelled_caught
