"""An end without failed requests: the server goes on for a while after it was told to stop, and says so.

Sources: RFC 9112 section 9.6 (``Connection: close``), RFC 6455 section 7.4 with IANA's registry (close code 1012).
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from pallasite._runtime import signals
from pallasite._runtime.callers import thread_caller
from pallasite._utils import create_collapsing_task_group
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Drain", "Draining"]

_logger = logging.getLogger(__name__)

#: "Service Restart".
_CLOSE = {"type": "websocket.close", "code": 1012, "reason": "the server restarts"}


class Drain:
    """A lifespan that delays the end of the server, so that a load balancer can take it out first.

    When the server is told to stop by SIGTERM or SIGINT, `app.draining` is set at once, and `Health` reports that it
    is not ready. For `grace` seconds requests are answered as before, with ``Connection: close``. Then event
    streams end, open WebSockets are closed with code 1012, and the server is told to stop. A second signal stops it at
    once.

    It is the `lifespan` of an application, or entered in one::

        app = Pallasite(lifespan=Drain(grace=10))

        @asynccontextmanager
        async def lifespan(app):
            async with Drain(grace=10)(app), open_pool() as pool:
                yield {"pool": pool}

    A server without signals can be told with `app.draining.start()`.

    Args:
        grace: seconds. As long as the load balancer takes to notice, a few of its checks.

    Raises:
        ValueError: `grace` is negative or not finite.
    """

    def __init__(self, *, grace: float = 10.0) -> None:
        if not 0 <= grace < math.inf:
            raise ValueError(f"grace must be a number of seconds, 0 or more, not {grace!r}")
        self.grace = grace

    def __call__(self, app: Any) -> AbstractAsyncContextManager[None]:
        """Return the context in which `app` is drained before it ends."""
        return self._context(app)

    @asynccontextmanager
    async def _context(self, app: Any) -> AsyncIterator[None]:
        draining = app.draining = Draining()
        try:
            with signals.delays_server(draining.start):
                async with create_collapsing_task_group() as group:
                    group.start_soon(self._drain, app, draining)
                    yield
                    group.cancel_scope.cancel()
        finally:
            app.draining = None
            if isinstance(app.middleware_stack, _ClosingConnections):  # it may start again, as in tests
                app.middleware_stack = app.middleware_stack.app

    async def _drain(self, app: Any, draining: Draining) -> None:
        await self._until_told(draining)
        _logger.info("Draining for %s seconds", self.grace)
        app.middleware_stack = _ClosingConnections(app.middleware_stack)
        await anyio.sleep(self.grace)
        signals.end_all()
        await draining.end()

    async def _until_told(self, draining: Draining) -> None:
        seconds = 0.05
        while signals.is_refreshable() and not draining.is_set():
            # Some servers install their handlers after the start of the lifespan.
            signals.watch.refresh()
            with anyio.move_on_after(seconds):
                await draining.wait()
            seconds = 1.0
        await draining.wait()


class Draining:
    """Whether an application is about to end: its attribute `draining`, as long as `Drain` is part of its lifespan."""

    def __init__(self) -> None:
        self._is_set = False
        self._event = anyio.Event()
        self._soon = thread_caller()
        self._then: Callable[[], object] | None = None
        self._sockets: set[_Socket] = set()

    def is_set(self) -> bool:
        """Return True once the server was told to stop."""
        return self._is_set

    async def wait(self) -> None:
        """Wait until the server is told to stop."""
        await self._event.wait()

    def start(self, then: Callable[[], object] | None = None) -> None:
        """Start draining. May be called in any thread and in signal handlers. `then` is called at the end."""
        self._is_set = True
        self._then = then
        self._soon(self._event.set)

    async def serve_websocket(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run `app` for a WebSocket that is closed at the end. For `Pallasite` only."""
        socket = _Socket(receive, send)
        self._sockets.add(socket)
        try:
            await app(scope, socket.receive, socket.send)
        finally:
            self._sockets.discard(socket)

    async def end(self) -> None:
        """Close the WebSockets, and call what `start` was given. For `Drain` only."""
        async with anyio.create_task_group() as group:
            for socket in list(self._sockets):
                group.start_soon(socket.close)
        if self._then is not None:
            self._then()


class _Socket:
    """The connection of a WebSocket, which can be closed from outside the application."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_open = False
        self._is_closed = False
        self._receiving = anyio.CancelScope()
        self._returned = anyio.Event()
        self._returned.set()
        self._told = anyio.Event()

    async def receive(self) -> Message:
        with anyio.CancelScope() as self._receiving:
            self._returned = anyio.Event()
            try:
                return await self._receive()
            finally:
                self._returned.set()
        await self._told.wait()  # the application may return now, and the server close the WebSocket in its own way
        return {"type": "websocket.disconnect", "code": _CLOSE["code"], "reason": _CLOSE["reason"]}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self._is_closed:
            if kind == "websocket.close":
                return
            raise OSError("the WebSocket was closed because the server stops")
        if kind == "websocket.accept":
            self._is_open = True
        elif kind == "websocket.close":
            self._is_open = False
        await self._send(message)

    async def close(self) -> None:
        """Close the WebSocket if it is open."""
        if self._is_open:
            self._is_open, self._is_closed = False, True
            # Not every server can close a WebSocket while the application waits for a message.
            self._receiving.cancel()
            await self._returned.wait()
            try:
                await self._send(_CLOSE)
            except OSError:
                return  # its client has gone
            finally:
                self._told.set()


class _ClosingConnections:
    """Adds ``Connection: close`` to responses over HTTP/1.1, so that no client keeps a connection to this server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope.get("http_version", "1.1").startswith("1"):
            await self.app(scope, receive, send)
            return

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [field for field in message.get("headers", ()) if field[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        await self.app(scope, receive, send_closing)
