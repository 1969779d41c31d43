"""A client for tests: an ordinary httpx client whose requests go straight to an ASGI application.

Each request runs on an event loop in a thread of its own, so the client may be used from anywhere, also from a test
that itself runs in a loop. Starting such a thread costs twenty times what a request does, hence loops are kept (see
`LoopPool`), and a request whose body is wanted whole costs one call into the loop's thread and one answer.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import threading
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, cast

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.stapled import StapledObjectStream

from pallasite._http.schemes import DEFAULT_PORTS
from pallasite._runtime.callers import later_caller, thread_caller
from pallasite._testing.exchange import Call, Exchange
from pallasite._testing.loops import EventLoopThread, LoopPool, shared_pool
from pallasite._utils import is_async_callable
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.status import WS_1006_ABNORMAL_CLOSURE
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocketDisconnect

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    try:
        import httpx2 as httpx
    except ModuleNotFoundError:
        try:
            import httpx
        except ModuleNotFoundError:
            raise RuntimeError("pallasite.testclient needs httpx2 (or httpx): pip install httpx2") from None

__all__ = ("TestClient", "WebSocketDenialResponse", "WebSocketTestSession")

ASGIInstance = Callable[[Receive, Send], Awaitable[None]]
ASGI2App = Callable[[Scope], ASGIInstance]
ASGI3App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PortalFactory = Callable[[], AbstractContextManager[anyio.from_thread.BlockingPortal]]
_RequestData = Mapping[str, str | Iterable[str] | bytes]


# Whether the response of the request being sent will be read to its end before anyone sees it: TestClient.send() knows,
# the transport that httpx calls is not told.
_read_whole: ContextVar[bool] = ContextVar("_read_whole", default=False)


class _AsyncBackend(TypedDict):
    backend: str
    backend_options: dict[str, Any]


class _DoubleCallable:
    """An ASGI 3 face for an ASGI 2 application, which takes its scope first and its channels in a second call."""

    def __init__(self, app: ASGI2App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope)(receive, send)


class _Upgrade(Exception):
    """Carries a WebSocket session out of httpx, which has no return value for one."""

    def __init__(self, session: WebSocketTestSession) -> None:
        self.session = session


class WebSocketDenialResponse(httpx.Response, WebSocketDisconnect):  # type: ignore[misc]
    """The response by which the application refused a WebSocket connection, raised to whoever tried to connect."""


class WebSocketTestSession:
    """A WebSocket connection as the client sees it; a context manager: entering connects, leaving disconnects.

    The application runs meanwhile. What it raises is raised on leaving.
    """

    def __init__(self, app: ASGI3App, scope: Scope, portal_factory: _PortalFactory) -> None:
        self.app = app
        self.scope = scope
        self.accepted_subprotocol: str | None = None
        self.extra_headers: list[tuple[bytes, bytes]] | None = None
        self.portal_factory = portal_factory
        # From the application; None once it has ended.
        self._outbox: SimpleQueue[Message | None] = SimpleQueue()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.portal = stack.enter_context(self.portal_factory())
            running, cancel = self.portal.start_task(self._run)
            stack.callback(running.result)
            stack.callback(self.portal.call, cancel)
            self.send({"type": "websocket.connect"})
            opening = self.receive()
            self._raise_on_close(opening)
            self.accepted_subprotocol = opening.get("subprotocol")
            self.extra_headers = opening.get("headers")
            stack.callback(self._leave)
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(self, *args: Any) -> bool | None:  # noqa: PYI036  # passed on as they are
        return self.exit_stack.__exit__(*args)

    def send(self, message: Message) -> None:
        """Give one ASGI message to the application; does not wait until it is received."""
        self._call_soon(self._deliver, message)

    def send_text(self, data: str) -> None:
        """Send a text message."""
        self.send({"type": "websocket.receive", "text": data})

    def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self.send({"type": "websocket.receive", "bytes": data})

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send a value as JSON, in a "text" or a "binary" message."""
        encoded = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if mode == "text":
            return self.send_text(encoded)
        return self.send_bytes(encoded.encode("utf-8"))

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Tell the application that the client closed the connection."""
        self.send({"type": "websocket.disconnect", "code": code, "reason": reason})

    def receive(self, *, timeout: float | None = None) -> Message:
        """The application's next ASGI message, waited for.

        Raises:
            TimeoutError: there was none within `timeout` seconds.
            WebSocketDisconnect: the application has returned without closing the connection (code 1006).
            anyio.EndOfStream: it has failed; leaving the session raises its exception instead.
        """
        try:
            message = self._outbox.get(timeout=timeout)
        except Empty:
            raise TimeoutError(f"no message from the application within {timeout} s") from None
        if message is not None:
            return message
        self._outbox.put(None)
        if self._failed:
            raise anyio.EndOfStream
        raise WebSocketDisconnect(WS_1006_ABNORMAL_CLOSURE, "The application returned without closing the connection")

    def receive_text(self, *, timeout: float | None = None) -> str:
        """The next text message. Raises WebSocketDisconnect when the application closes, and as `receive` does."""
        return cast(str, self._receive_data("text", timeout))

    def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """The next binary message. Raises WebSocketDisconnect when the application closes, and as `receive` does."""
        return cast(bytes, self._receive_data("bytes", timeout))

    def receive_json(self, mode: Literal["text", "binary"] = "text", *, timeout: float | None = None) -> Any:
        """The next message decoded from JSON. Raises WebSocketDisconnect when the application closes, and so on."""
        if mode == "text":
            return json.loads(self.receive_text(timeout=timeout))
        return json.loads(self.receive_bytes(timeout=timeout).decode("utf-8"))

    def _receive_data(self, kind: str, timeout: float | None) -> Any:
        message = self.receive() if timeout is None else self.receive(timeout=timeout)  # a subclass may not know it
        self._raise_on_close(message)
        return message[kind]

    def _raise_on_close(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message.get("code", 1000), message.get("reason", ""))
        if message["type"] != "websocket.http.response.start":
            return
        status, headers, content = message["status"], message.get("headers", []), bytearray()
        more = True
        while more:
            part = self.receive()
            assert part["type"] == "websocket.http.response.body"
            content += part.get("body", b"")
            more = part.get("more_body", False)
        raise WebSocketDenialResponse(status_code=status, headers=headers, content=bytes(content))

    def _leave(self) -> None:
        self.close(1000)
        # A turn of the loop, so that the application gets to see the disconnect before it is cancelled.
        self.portal.call(anyio.lowlevel.checkpoint)

    async def _run(self, *, task_status: anyio.abc.TaskStatus[Callable[[], None]]) -> None:
        """Run the application; everything but the two queues happens in the loop's thread."""
        self._failed = True
        self._call_soon, self._later, self._thread = thread_caller(), later_caller(), threading.get_ident()
        # asyncio runs calls and tasks in order, so that two turns are enough. In a turn of trio's loop, calls may come
        # after the task that scheduled them and, in the next turn, before the same task: one turn more is needed.
        is_trio = self._later == self._call_soon
        self._turns = (self._later, self._later) if is_trio else (self._later,)
        self._inbox, receive = anyio.create_memory_object_stream[Message](math.inf)

        async def send(message: Message) -> None:
            self._hand_over(message)
            await anyio.lowlevel.checkpoint()  # or an application that only sends could never be cancelled

        try:
            with self._inbox, receive, anyio.CancelScope() as scope:
                task_status.started(scope.cancel)
                await self.app(self.scope, receive.receive, send)
                self._failed = False
        finally:
            self._hand_over(None)

    def _hand_over(self, message: Message | None) -> None:
        # Some turns of the loop later, when the application has gone on to where it waits. So, what it does right after
        # sending (such as joining a room once it has accepted) has happened when the test sees the message.
        first = self._later if threading.get_ident() == self._thread else self._call_soon
        first(*self._turns, self._outbox.put, message)

    def _deliver(self, message: Message) -> None:
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._inbox.send_nowait(message)


class _LiveBody(httpx.SyncByteStream):
    """A response's body while the application still runs."""

    def __init__(self, call: Call, *, hidden: bool) -> None:
        self._call = call
        self._chunks = call.chunks()
        self._hidden = hidden

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if not self._hidden:
                yield chunk

    def close(self) -> None:
        self._call.end()


class _Transport(httpx.BaseTransport):
    """What httpx calls with each request."""

    def __init__(self, client: TestClient, *, raise_server_exceptions: bool, root_path: str, address: Any) -> None:
        self.app = client.app
        self.app_state = client.app_state
        self.raise_server_exceptions = raise_server_exceptions
        self.root_path = root_path
        self.client = address
        self.open_calls: set[Call] = set()
        self.loops = client._loops

    def close(self) -> None:
        """Cancel what still runs for unread responses, and let the event loops go."""
        self.abort_open_calls()
        self.loops.close()

    def abort_open_calls(self) -> None:
        """Cancel what still runs for unread responses."""
        with contextlib.ExitStack() as stack:
            while self.open_calls:
                stack.callback(self.open_calls.pop().abort)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The application's response. Raises what the application raised, by default."""
        scope = self._scope(request)
        if scope["type"] == "websocket":
            raise _Upgrade(WebSocketTestSession(self.app, scope, self.loops.portal))
        body = request.read()
        loop, pool = self.loops.take()
        exchange = Exchange(self.app, scope, body, read_whole=_read_whole.get())
        call = Call(exchange, loop, pool, open_calls=self.open_calls, raise_failure=self.raise_server_exceptions)
        stream: httpx.SyncByteStream
        running = call.begin()
        if running:
            stream = _LiveBody(call, hidden=request.method == "HEAD")
        else:
            call.report_failure()
            if exchange.status is None and self.raise_server_exceptions:
                raise AssertionError("TestClient did not receive any response.")
            stream = httpx.ByteStream(b"" if request.method == "HEAD" else b"".join(exchange.chunks))
        status = 500 if exchange.status is None else exchange.status
        response = httpx.Response(status, headers=exchange.headers, stream=stream, request=request)
        if exchange.trailers is not None:
            response.extensions["http.response.trailers"] = exchange.trailers
        if exchange.debug_info is not None:
            response.extensions["http.response.debug"] = exchange.debug_info
            for name in ("template", "context"):
                if name in exchange.debug_info:
                    setattr(response, name, exchange.debug_info[name])
        return response

    def _scope(self, request: httpx.Request) -> dict[str, Any]:
        url = request.url
        scheme = url.scheme
        raw_path, _, query = url.raw_path.partition(b"?")
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        if "host" not in request.headers:
            headers.insert(0, (b"host", url.netloc))
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": url.path,
            "raw_path": raw_path,
            "root_path": self.root_path,
            "scheme": scheme,
            "query_string": query,
            "headers": headers,
            "client": self.client,
            "server": [url.raw_host.decode("ascii"), DEFAULT_PORTS[scheme] if url.port is None else url.port],
            "state": self.app_state.copy(),
            "extensions": {"http.response.debug": {}, "http.response.trailers": {}},
        }
        if scheme in ("ws", "wss"):
            offered = request.headers.get("sec-websocket-protocol")
            del scope["method"], scope["http_version"]
            scope["type"] = "websocket"
            scope["subprotocols"] = [] if offered is None else [name.strip() for name in offered.split(",")]
            scope["extensions"] = {"websocket.http.response": {}}
        return scope


class _ClientLoops:
    """Where one client's requests run: on its own loop within `with`, else on any idle one of the shared pool."""

    def __init__(self, backend: _AsyncBackend) -> None:
        self._backend = backend
        self._pool: LoopPool | None = None
        self.own: EventLoopThread | None = None

    def take(self) -> tuple[EventLoopThread, LoopPool | None]:
        """A loop, and the pool to give it back to."""
        if self.own is not None:
            return self.own, None
        pool = self.shared()
        return pool.take(), pool

    def shared(self) -> LoopPool:
        """The shared pool, joined at the first request outside `with`."""
        if self._pool is None:
            self._pool = shared_pool(self._backend["backend"], self._backend["backend_options"])
            self._pool.join(self)
        return self._pool

    @contextlib.contextmanager
    def portal(self) -> Generator[anyio.from_thread.BlockingPortal, None, None]:
        """A portal into such a loop."""
        if self.own is not None:
            yield self.own.portal
        else:
            with self.shared().lease_portal() as portal:
                yield portal

    def close(self) -> None:
        """Leave the shared pool."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.leave(self)


class TestClient(httpx.Client):
    """An httpx client that talks to an ASGI application instead of a server.

    As a context manager it also runs the application's lifespan, and all requests then share one event loop, which
    keeps running between them. Outside `with` each request has a loop to itself, and tasks that the application leaves
    behind are cancelled before the client returns.
    """

    __test__ = False
    task: Future[None]
    portal: anyio.from_thread.BlockingPortal | None = None

    def __init__(
        self,
        app: ASGIApp,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio", "trio"] = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: httpx._types.CookieTypes | None = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self.async_backend = _AsyncBackend(backend=backend, backend_options=backend_options or {})
        self.app = app if _is_asgi3(app) else _DoubleCallable(cast(ASGI2App, app))
        self.app_state: dict[str, Any] = {}
        self._loops = _ClientLoops(self.async_backend)
        all_headers = httpx.Headers(headers)
        all_headers.setdefault("user-agent", "testclient")
        super().__init__(
            base_url=base_url,
            headers=all_headers,
            cookies=cookies,
            follow_redirects=follow_redirects,
            transport=_Transport(
                self, raise_server_exceptions=raise_server_exceptions, root_path=root_path, address=client
            ),
        )

    def request(  # type: ignore[override]
        self,
        method: str,
        url: httpx._types.URLTypes,
        *,
        content: httpx._types.RequestContent | None = None,
        data: _RequestData | None = None,
        files: httpx._types.RequestFiles | None = None,
        json: Any = None,
        params: httpx._types.QueryParamTypes | None = None,
        headers: httpx._types.HeaderTypes | None = None,
        cookies: httpx._types.CookieTypes | None = None,
        auth: httpx._types.AuthTypes | httpx._client.UseClientDefault = httpx._client.USE_CLIENT_DEFAULT,
        follow_redirects: bool | httpx._client.UseClientDefault = httpx._client.USE_CLIENT_DEFAULT,
        timeout: httpx._types.TimeoutTypes | httpx._client.UseClientDefault = httpx._client.USE_CLIENT_DEFAULT,
        extensions: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Send a request. The arguments are httpx's; `timeout` has no effect, and is warned of."""
        if timeout is not httpx.USE_CLIENT_DEFAULT:
            warnings.warn(
                "You should not use the 'timeout' argument with the TestClient. It has no effect.",
                StarletteDeprecationWarning,
                stacklevel=2,
            )
        rest = {
            "content": content, "data": data, "files": files, "json": json, "params": params, "headers": headers,
            "cookies": cookies, "auth": auth, "follow_redirects": follow_redirects, "timeout": timeout,
        }  # fmt: skip
        return super().request(method, url, extensions=extensions, **cast(Any, rest))

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Send a request that `build_request` made; with `stream` the response is returned as soon as it starts."""
        before = _read_whole.set(not stream)
        try:
            return super().send(request, stream=stream, **options)
        finally:
            _read_whole.reset(before)

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> WebSocketTestSession:
        """A session that connects to this address when entered. Other arguments are those of `request`.

        A relative address is joined with `base_url`, with the scheme ``ws`` for ``http`` and ``wss`` for ``https``. The
        client's headers and cookies are sent.

        Raises (on entering):
            WebSocketDisconnect: the application refused the connection.
            WebSocketDenialResponse: it refused with a response of its own.
        """
        kwargs["headers"] = headers = httpx.Headers(kwargs.get("headers"))
        headers.setdefault("connection", "upgrade")
        headers.setdefault("sec-websocket-key", "testserver==")
        headers.setdefault("sec-websocket-version", "13")
        if subprotocols is not None:
            headers.setdefault("sec-websocket-protocol", ", ".join(subprotocols))
        try:
            super().request("GET", self._websocket_url(url), **kwargs)
        except _Upgrade as upgrade:
            return upgrade.session
        raise RuntimeError("Expected WebSocket upgrade")

    def _websocket_url(self, url: str) -> str:
        """Return the address, relative to `base_url`, with the scheme of a WebSocket."""
        merged = self._merge_url(url)  # as for requests
        if httpx.URL(url).is_absolute_url:
            return str(merged)
        return str(merged.copy_with(scheme={"http": "ws", "https": "wss"}.get(merged.scheme, merged.scheme)))

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._loops.own = loop = EventLoopThread(**_loop_arguments(self.async_backend))
            self.portal = loop.portal
            stack.push(lambda kind, *_: self._leave(loop, failed=kind is not None))
            to_app = anyio.create_memory_object_stream[Message](math.inf)
            from_app = anyio.create_memory_object_stream[Message | None](math.inf)
            for end in (*to_app, *from_app):
                stack.callback(end.close)
            self.stream_receive = StapledObjectStream(*to_app)
            self.stream_send = StapledObjectStream(*from_app)
            self._lifespan_over = False
            self.task = loop.portal.start_task_soon(self.lifespan)
            loop.portal.call(self.wait_startup)
            stack.callback(loop.portal.call, self.wait_shutdown)
            stack.callback(cast(_Transport, self._transport).abort_open_calls)
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(self, *args: object) -> None:
        self.exit_stack.close()

    async def lifespan(self) -> None:
        """Run the application's lifespan; its end is told as a None."""
        try:
            await self.app(
                {"type": "lifespan", "state": self.app_state}, self.stream_receive.receive, self.stream_send.send
            )
        finally:
            await self.stream_send.send(None)

    async def wait_startup(self) -> None:
        """Tell the application to start, and wait until it has. Raises what it raised."""
        await self._lifespan_step("startup")

    async def wait_shutdown(self) -> None:
        """Tell the application to shut down, and wait until it has. Raises what it raised."""
        await self._lifespan_step("shutdown")

    async def _lifespan_step(self, step: str) -> None:
        await self.stream_receive.send({"type": f"lifespan.{step}"})
        answer = await self._lifespan_message()
        if answer is None:
            return
        assert answer["type"] in (f"lifespan.{step}.complete", f"lifespan.{step}.failed")
        if answer["type"].endswith(".failed"):
            await self._lifespan_message()
            raise RuntimeError(f"The application's {step} failed: {answer.get('message') or 'no reason given'}")

    async def _lifespan_message(self) -> Message | None:
        """The application's next message, or None when it has returned (as those do that have no lifespan)."""
        if self._lifespan_over:
            return None
        message = await self.stream_send.receive()
        if message is None:
            self._lifespan_over = True
            self.task.result()
        return message

    def _leave(self, loop: EventLoopThread, *, failed: bool) -> None:
        self.portal = self._loops.own = None
        loop.stop(cancel=failed)


def _is_asgi3(app: Any) -> bool:
    return hasattr(app, "__await__") if inspect.isclass(app) else is_async_callable(app)


def _loop_arguments(backend: _AsyncBackend) -> dict[str, Any]:
    return {"backend": backend["backend"], "options": backend["backend_options"]}
