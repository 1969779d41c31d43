"""WSGI applications as ASGI applications. Source: PEP 3333."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Iterable, MutableMapping
from types import TracebackType
from typing import Any, TypeAlias

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from pallasite._compat import mode
from pallasite._http.schemes import DEFAULT_PORTS
from pallasite._runtime.worker_threads import run_sync
from pallasite._utils import create_collapsing_task_group
from pallasite.datastructures import MutableHeaders
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.requests import CONSUMED
from pallasite.types import Message, Receive, Scope, Send

__all__ = ["ExcInfo", "WSGIMiddleware", "WSGIResponder", "build_environ"]

# Test suites filter by this text up to its first full stop.
warnings.warn(
    "starlette.middleware.wsgi is deprecated and will be removed in a future release. The same is true of "
    "pallasite.middleware.wsgi; the package a2wsgi does what it does.",
    StarletteDeprecationWarning,
    stacklevel=2,
)

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

# Body chunks buffered for a slow client before the application must wait.
_MAX_WAITING = 8

# Fields with their own variable, and one that many programs would use as their outgoing proxy (CVE-2016-5385).
_PLAIN_VARIABLES = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}
_UNSAFE_FIELD = "proxy"


def build_environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environ of a request.

    Deviation: fields with an underscore in their name are left out, because WSGI cannot distinguish them from those
    with a hyphen. `Proxy` is left out too. Several Cookie fields are joined with "; ". CONTENT_LENGTH is the actual
    length of the body, even if the client sent none or another: WSGI applications read no further. SCRIPT_NAME
    does not end in a slash, SERVER_PORT is text and `wsgi.errors` is stderr, except in compatibility mode.
    """
    root_path, path = _as_wsgi(scope.get("root_path", "")), _as_wsgi(scope["path"])
    if not mode.current.builds_loose_environ:
        root_path = root_path.rstrip("/")
    if path == root_path or path.startswith(root_path.rstrip("/") + "/"):
        path = path.removeprefix(root_path)
    scheme = scope.get("scheme", "http")
    name, port = scope.get("server") or ("localhost", 80)
    if port is None:
        # The server listens on a Unix socket.
        name, port = "localhost", DEFAULT_PORTS.get(scheme, 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root_path,
        "PATH_INFO": path,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": name,
        "SERVER_PORT": port if mode.current.builds_loose_environ else str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stdout if mode.current.builds_loose_environ else sys.stderr,
        **dict.fromkeys(("wsgi.multithread", "wsgi.multiprocess"), True),
        "wsgi.run_once": False,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"] = scope["client"][0]
    _add_fields(environ, scope.get("headers", ()))
    if body or "CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


class WSGIMiddleware:
    """An ASGI application that runs the WSGI application `app` in worker threads.

    A request body is read into memory before `app` is called. A response body is streamed, and `app` waits for slow
    clients. WebSockets are rejected.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        assert scope["type"] == "http", f"WSGIMiddleware supports only http scopes, got {scope['type']!r}"
        await WSGIResponder(self.app, scope)(receive, send)


class WSGIResponder:
    """Handles one request to a WSGI application."""

    stream_send: ObjectSendStream[MutableMapping[str, Any]]
    stream_receive: ObjectReceiveStream[MutableMapping[str, Any]]

    def __init__(self, app: Callable[..., Any], scope: Scope) -> None:
        self.app = app
        self.scope = scope
        self.status: int | None = None
        self.response_headers: list[tuple[bytes, bytes]] | None = None
        self.stream_send, self.stream_receive = anyio.create_memory_object_stream[Message](_MAX_WAITING)
        self.response_started = False
        self.exc_info: ExcInfo | None = None

    async def __call__(self, receive: Receive, send: Send) -> None:
        async with self.stream_send, self.stream_receive:
            body = await _read_body(receive)
            if body is None:
                return  # the client is gone and the body is incomplete
            environ = build_environ(self.scope, body)
            async with create_collapsing_task_group() as group:
                group.start_soon(self.sender, send)
                async with self.stream_send:
                    await run_sync(self.wsgi, environ, self.start_response)
        if self.exc_info is not None:
            # The application has sent an error response. Raise the error for the server to log.
            raise self.exc_info[1].with_traceback(self.exc_info[2])

    async def sender(self, send: Send) -> None:
        """Send the messages of the application's thread until it ends."""
        async with self.stream_receive:
            async for message in self.stream_receive:
                await send(message)

    def start_response(
        self, status: str, response_headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Set the status and headers, to be sent with the first body chunk, and return `write`.

        Raises:
            AssertionError: called twice without `exc_info`.
            ValueError: the status or a header is not valid.
        """
        self.exc_info = exc_info
        if exc_info is not None and self.response_started:
            raise exc_info[1].with_traceback(exc_info[2])
        assert exc_info is not None or self.status is None, "start_response() was called before"
        headers = MutableHeaders()
        for name, value in response_headers:
            headers.append(name.strip(), value.strip())
        self.status = int(status.split(" ", 1)[0])
        self.response_headers = headers.raw
        return self._write

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        """Run the application. Called in a worker thread."""
        pieces: Iterable[bytes] = self.app(environ, start_response)
        try:
            for piece in pieces:
                if piece:
                    self._write(piece)
            self._send_head()
            self._post({"type": "http.response.body", "body": b""})
        except anyio.BrokenResourceError:
            # Sending failed. `sender` raises the reason.
            pass
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _write(self, piece: bytes) -> None:
        self._send_head()
        self._post({"type": "http.response.body", "body": piece, "more_body": True})

    def _send_head(self) -> None:
        if self.response_started:
            return
        assert self.status is not None, "the application did not call start_response()"
        self.response_started = True
        self._post({"type": "http.response.start", "status": self.status, "headers": self.response_headers})

    def _post(self, message: Message) -> None:
        anyio.from_thread.run(self.stream_send.send, message)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if the client disconnected before its end."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            if CONSUMED in message and mode.current.refuses_consumed_bodies:
                raise message[CONSUMED]
            return b"".join(pieces)
        if not pieces[-1]:
            await anyio.lowlevel.checkpoint()  # a `receive` that never waits must not block the event loop


def _as_wsgi(text: str) -> str:
    """Return the UTF-8 bytes of `text` decoded as Latin-1, as PEP 3333 requires."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _add_fields(environ: dict[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> None:
    joined: dict[str, list[str]] = {}
    for raw_name, value in headers:
        name = raw_name.decode("latin-1").lower()
        if name != _UNSAFE_FIELD and "_" not in name:
            joined.setdefault(name, []).append(value.decode("latin-1"))
    for name, values in joined.items():
        variable = _PLAIN_VARIABLES.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        environ[variable] = ("; " if name == "cookie" else ",").join(values)
