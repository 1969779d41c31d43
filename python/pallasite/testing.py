"""A client for async tests: application and test share one event loop, on asyncio and trio.

A pool, a lock or a connection that a fixture has made works in the application too, and a response can be read while
the application still sends it. `pallasite.testclient` is the client for tests that are regular functions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from pallasite._compat.public import publish
from pallasite._http.schemes import DEFAULT_PORTS
from pallasite._testing.event_reader import EventReader
from pallasite._testing.lifespan_task import LifespanTask
from pallasite._testing.served import Faults, Served, where
from pallasite._testing.socket_session import WebSocketSession
from pallasite._testing.transcript import line_of
from pallasite.sse import ServerSentEvent
from pallasite.types import ASGIApp, Message

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    from pallasite.testclient import httpx

__all__ = ["ASGITransport", "AsyncTestClient", "EventStream", "Faults", "WebSocketSession"]


class ASGITransport(httpx.AsyncBaseTransport):
    """Sends the requests of an `httpx.AsyncClient` to an application on the same event loop.

    Args:
        raise_app_exceptions: raise what the application raises. Otherwise the client gets the response, 500 as a rule.
        client: the address that the application sees.
        root_path: the path that the application is mounted at.
        spec_version: of ASGI. From 2.4 on, sending to a client that has gone raises OSError in the application.
        extensions: of ASGI, beside those for trailers and debugging.
        timeout: seconds to wait for the application's end once a client has left a response.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        raise_app_exceptions: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        root_path: str = "",
        spec_version: str = "2.4",
        extensions: Iterable[str] = (),
        timeout: float = 5.0,
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.client = client
        self.root_path = root_path
        self.spec_version = spec_version
        self.extensions: dict[str, Any] = {
            name: {} for name in ("http.response.debug", "http.response.trailers", *extensions)
        }
        self.timeout = timeout
        self.state: dict[str, Any] = {}
        #: Called with "receive" or "send" and each message, if it is not None.
        self.note: Callable[[str, Message], object] | None = None
        self._open: set[Served] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response of the application: once it is complete, or once it starts if it is to be streamed."""
        body: Any = request.stream
        if isinstance(body, httpx.ByteStream):
            body = request.content
        served = Served(self.app, self.scope(request), body, request.extensions.get("faults", Faults()), self.note)
        seconds = request.extensions.get("timeout", {}).get("read")
        if request.extensions.get("whole", False):
            return await self._whole(request, served, seconds)
        return await self._streamed(request, served, seconds)

    async def _whole(self, request: httpx.Request, served: Served, seconds: float | None) -> httpx.Response:
        cancelled: BaseException | None = None
        with anyio.move_on_after(seconds) as limit:
            try:
                await served.run()
            except anyio.get_cancelled_exc_class() as error:
                cancelled = error
                raise
            except Exception:
                if self.raise_app_exceptions:
                    raise
        if limit.cancelled_caught:
            raise self._late(request, seconds, cancelled)
        if served.is_cut:
            raise httpx.WriteError("the client has disconnected, as its faults say", request=request)
        if served.status is not None and not served.complete and self.raise_app_exceptions:
            raise httpx.RemoteProtocolError("the application has broken the response off", request=request)
        return self._response(request, served, httpx.ByteStream(b"".join(served.chunks)))

    async def _streamed(self, request: httpx.Request, served: Served, seconds: float | None) -> httpx.Response:
        self._open.add(served)
        served.run_beside()
        with anyio.move_on_after(seconds) as limit:
            await served.started.wait()
        if limit.cancelled_caught or served.status is None:
            await self.leave(served, 0 if limit.cancelled_caught else self.timeout)
            if limit.cancelled_caught:
                raise self._late(request, seconds, None)
        return self._response(request, served, _Body(self, request, served, seconds))

    def _response(self, request: httpx.Request, served: Served, stream: Any) -> httpx.Response:
        if served.status is None and self.raise_app_exceptions:
            raise AssertionError(f"the application has not responded to {request.method} {request.url}")
        if request.method == "HEAD" and isinstance(stream, httpx.ByteStream):
            stream = httpx.ByteStream(b"")
        response = httpx.Response(served.status or 500, headers=served.headers, stream=stream, request=request)
        if served.trailers is not None:
            response.extensions["http.response.trailers"] = served.trailers
        if served.debug_info is not None:
            response.extensions["http.response.debug"] = served.debug_info
            for name in ("template", "context"):
                if name in served.debug_info:
                    setattr(response, name, served.debug_info[name])
        return response

    async def leave(self, served: Served, seconds: float) -> None:
        """Disconnect, wait for the application, and raise what it has raised. Cancel it after `seconds`."""
        self._open.discard(served)
        served.disconnect()
        assert served.task is not None
        await served.task.end(seconds)
        failure, served.task.failure = served.task.failure, None
        if failure is not None and self.raise_app_exceptions:
            raise failure

    async def aclose(self) -> None:
        """Disconnect from all responses that are still open."""
        for served in list(self._open):
            await self.leave(served, self.timeout)

    def scope(self, request: httpx.Request) -> dict[str, Any]:
        """Return the ASGI scope of a request."""
        url = request.url
        raw_path, _, query = url.raw_path.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": self.root_path,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": self.client,
            "server": (url.host, DEFAULT_PORTS[url.scheme] if url.port is None else url.port),
            "state": self.state.copy(),
            "extensions": dict(self.extensions),
        }

    @staticmethod
    def _late(request: httpx.Request, seconds: float | None, cancelled: BaseException | None) -> httpx.ReadTimeout:
        place = where(cancelled)
        waiting = f". It was waiting in{place}" if place else ""
        text = f"no response to {request.method} {request.url} within {seconds} s{waiting}"
        return httpx.ReadTimeout(text, request=request)


class _Body(httpx.AsyncByteStream):
    """The body of a response while the application sends it."""

    def __init__(self, transport: ASGITransport, request: httpx.Request, served: Served, seconds: float | None) -> None:
        self._transport = transport
        self._request = request
        self._served = served
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        is_head = self._request.method == "HEAD"
        while True:
            with anyio.move_on_after(self._seconds) as limit:
                chunk = await self._served.read()
            if limit.cancelled_caught:
                raise httpx.ReadTimeout(f"nothing more arrived within {self._seconds} s", request=self._request)
            if chunk is None:
                break
            if not is_head:
                yield chunk
        if not self._served.complete and self._transport.raise_app_exceptions:
            await self.aclose()
            raise httpx.RemoteProtocolError("the application has broken the response off", request=self._request)

    async def aclose(self) -> None:
        await self._transport.leave(self._served, self._transport.timeout)


class AsyncTestClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` for one application on the test's own event loop.

    Used with ``async with``, it runs the application's lifespan. Exceptions of the application are raised by the call
    that caused them. A call that takes longer than `timeout` fails, and says where the application was waiting.

    Args:
        lifespan: run the lifespan.
        record: keep all messages in `messages`.
        options: those of `ASGITransport`, then those of `httpx.AsyncClient`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str = "http://testserver",
        lifespan: bool = True,
        raise_app_exceptions: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        root_path: str = "",
        spec_version: str = "2.4",
        extensions: Iterable[str] = (),
        timeout: float = 5.0,
        record: bool = False,
        **options: Any,
    ) -> None:
        self.app = app
        self.transport = ASGITransport(
            app,
            raise_app_exceptions=raise_app_exceptions,
            client=client,
            root_path=root_path,
            spec_version=spec_version,
            extensions=extensions,
            timeout=timeout,
        )
        #: What the application has received and sent, as ("receive" or "send", message).
        self.messages: list[tuple[str, Message]] = []
        if record:
            self.transport.note = lambda direction, message: self.messages.append((direction, dict(message)))
        self._seconds = timeout
        self._lifespan = LifespanTask(app, self.transport.state, timeout) if lifespan else None
        options.setdefault("headers", {}).setdefault("user-agent", "testclient")
        super().__init__(transport=self.transport, base_url=base_url, timeout=timeout, **options)

    async def __aenter__(self) -> Self:
        if self._lifespan is not None:
            await self._lifespan.start()
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            await super().__aexit__(exc_type, exc_value, traceback)
        finally:
            if self._lifespan is not None:
                await self._lifespan.end()

    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Send a request. With `stream`, the response is returned as soon as it starts."""
        request.extensions = {**request.extensions, "whole": not stream}
        return await super().send(request, stream=stream, **options)

    @asynccontextmanager
    async def events(
        self, url: str, *, method: str = "GET", last_event_id: str | None = None, **options: Any
    ) -> AsyncIterator[EventStream]:
        """Open an event stream. Leaving the block disconnects."""
        headers = {"accept": "text/event-stream", **(options.pop("headers", None) or {})}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        async with (
            self.stream(method, url, headers=headers, **options) as response,
            aclosing(response.aiter_bytes()) as chunks,
        ):
            yield EventStream(response, chunks, self._seconds)

    @asynccontextmanager
    async def websocket(  # type: ignore[override]  # httpx2 has one of its own, for real connections
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        params: Any = None,
        timeout: float | None = None,
    ) -> AsyncIterator[WebSocketSession]:
        """Open a WebSocket. Leaving the block closes it with 1000, and raises what the application has raised.

        Raises:
            WebSocketDenialResponse: the application has rejected the handshake with a response.
            WebSocketDisconnect: it has closed the WebSocket before accepting it.
        """
        request = self.build_request("GET", url, headers=headers, params=params)
        if subprotocols:
            request.headers["sec-websocket-protocol"] = ", ".join(subprotocols)
        scope = self.transport.scope(request)
        del scope["method"]
        scope["type"] = "websocket"
        scope["scheme"] = {"http": "ws", "https": "wss"}.get(scope["scheme"], scope["scheme"])
        scope["subprotocols"] = list(subprotocols)
        scope["extensions"] = {"websocket.http.response": {}}
        session = WebSocketSession(self.app, scope, self._seconds if timeout is None else timeout, self.transport.note)
        try:
            await session.open()
            yield session
        finally:
            await session.end()
        session.raise_failure()

    def transcript(self) -> str:
        """Return the recorded messages as text, a line each, that is the same in each run: ids and dates are masked."""
        return "".join(f"{direction}: {line_of(message)}\n" for direction, message in self.messages)


class EventStream:
    """The events of a response, as they arrive.

    Attributes:
        response: the response, whose status and headers are known.
        last_event_id: the id of the last event that had one.
    """

    def __init__(self, response: httpx.Response, chunks: AsyncIterator[bytes], seconds: float) -> None:
        self.response = response
        self._seconds = seconds
        self._reader = EventReader()
        self._chunks = chunks
        self._ready: list[ServerSentEvent] = []

    @property
    def last_event_id(self) -> str:
        return self._reader.last_event_id

    async def next(self, timeout: float | None = None) -> ServerSentEvent:
        """Return the next event.

        Raises:
            TimeoutError: none has arrived within `timeout` seconds, those of the client by default.
            StopAsyncIteration: the stream has ended.
        """
        seconds = self._seconds if timeout is None else timeout
        try:
            with anyio.fail_after(seconds):
                return await anext(self)
        except TimeoutError:
            raise TimeoutError(f"no event within {seconds} s") from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        while not self._ready:
            self._ready.extend(self._reader.feed(await anext(self._chunks)))
        return self._ready.pop(0)


publish(globals())
