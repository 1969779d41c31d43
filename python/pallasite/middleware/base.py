"""`BaseHTTPMiddleware`: middleware written as a function from a request to a response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel

from pallasite._utils import create_collapsing_task_group
from pallasite.background import BackgroundTask
from pallasite.exceptions import ClientDisconnect
from pallasite.middleware._downstream import Downstream, EagerDownstream, TaskDownstream, running_loop
from pallasite.requests import CONSUMED, ConsumedBody, Request
from pallasite.responses import Response
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "AsyncContentStream",
    "BaseHTTPMiddleware",
    "BodyStreamGenerator",
    "DispatchFunction",
    "RequestResponseEndpoint",
]

RequestResponseEndpoint = Callable[[Request], Awaitable[Response]]
DispatchFunction = Callable[[Request, RequestResponseEndpoint], Awaitable[Response]]
BodyStreamGenerator = AsyncGenerator[bytes | MutableMapping[str, Any], None]
T = TypeVar("T")
AsyncContentStream = AsyncIterable[str | bytes | memoryview | MutableMapping[str, Any]]


class _CachedRequest(Request):
    """The request passed to `dispatch`. The wrapped application can still read the body.

    After `body()` it receives that body, and after `form()` its `Request` has the same form. After a complete
    `stream()` its reader raises `RuntimeError`. Otherwise it receives the remaining chunks.
    """

    _passed_on_body = False
    _passed_on_disconnect = False
    _passed_on_content = False  # at least one byte that is not in `_body`
    _streamed_on = False  # the application, not `dispatch`, has read the stream to its end

    async def wrapped_receive(self) -> Message:
        """The `receive` channel of the wrapped application."""
        if self._passed_on_disconnect:
            return {"type": "http.disconnect"}
        if self._passed_on_body:
            return await self._pass_on_disconnect()
        if hasattr(self, "_body") or self._stream_consumed:
            self._passed_on_body = True
            return self._kept_body()
        message = await self._pass_on_chunk()
        self._passed_on_body = self._stream_consumed
        return message

    def _kept_body(self) -> Message:
        """Return the body that `dispatch` has read, or a message that makes reading it an error."""
        if hasattr(self, "_body"):
            return _body_message(self._body)
        advice = "call `await request.body()` there before reading the body in another way"
        error = ConsumedBody(f"The request body was already read by a middleware; {advice}", self._form)
        return {**_body_message(b""), CONSUMED: error}

    async def _pass_on_disconnect(self) -> Message:
        # The application has the whole body. Only a disconnect can follow.
        if not self._is_disconnected:
            message = await self._receive()
            if message["type"] != "http.disconnect":
                raise RuntimeError(f"Unexpected message received: {message['type']}")
        return self._disconnect()

    async def _pass_on_chunk(self) -> Message:
        while True:
            message = await (self._next_message() if self._kept else self._receive())
            if message["type"] == "http.disconnect":
                return self._disconnect()
            body, more_body = message.get("body", b""), message.get("more_body", False)
            if message["type"] != "http.request" or (more_body and not body):
                await anyio.lowlevel.checkpoint()  # a `receive` that never waits must not block the event loop
                continue
            if body:
                self._passed_on_content = True
            if not more_body:
                self._stream_consumed = self._streamed_on = True
                if CONSUMED in message:
                    return message
            return _body_message(body, more_body)

    def _disconnect(self) -> Message:
        self._is_disconnected = self._passed_on_disconnect = True
        return {"type": "http.disconnect"}


class _Replay:
    """The `receive` channel of an application that `dispatch` calls after another one, for example to try again."""

    __slots__ = ("_is_rest", "_passed_on_body", "_request")

    def __init__(self, request: _CachedRequest) -> None:
        self._request = request
        self._passed_on_body = False
        self._is_rest = request._passed_on_content  # only the rest of the body is left, or nothing

    async def receive(self) -> Message:
        request = self._request
        if request._passed_on_disconnect:
            return {"type": "http.disconnect"}
        if self._passed_on_body:
            return await request._pass_on_disconnect()
        if hasattr(request, "_body") or (request._stream_consumed and not request._streamed_on):
            self._passed_on_body = True
            return request._kept_body()
        message = _body_message(b"") if request._stream_consumed else await request._pass_on_chunk()
        self._passed_on_body = request._stream_consumed
        if self._passed_on_body and self._is_rest:
            advice = "call `await request.body()` in it before the first `call_next`"
            error = ConsumedBody(f"The application was called again without its body; {advice}", is_strict=True)
            return {**message, CONSUMED: error}
        return message


def _body_message(body: bytes, more_body: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more_body}


class BaseHTTPMiddleware:
    """A middleware whose `dispatch(request, call_next)` handles each HTTP request and returns the response.

    Subclass it and override `dispatch`, or pass a function with the same signature. `await call_next(request)` calls
    the wrapped application and returns its response as soon as it has started. Headers can be changed; the body is
    still to be read, as `body_iterator`. `call_next` raises the application's exception. Context variables that the
    application has set by then are visible afterwards.

    The application runs in its own task and ends before this middleware does. Its background tasks run after the
    response has been sent. If `dispatch` returns another response, the application's messages are dropped. If
    `dispatch` raises, the application is cancelled.

    Deviation: a response is not completed if the application fails midway, so that the client notices. The exception
    is raised where the body is read, or a RuntimeError if the application ended without one. Each `call_next` calls
    the application again, so a failed call can be repeated if `dispatch` has read the body with `body()`. An
    application that ends without a response because the client disconnected raises `ClientDisconnect`.

    Cost: 10 us on asyncio; a task and its wake-ups on trio.
    """

    def __init__(self, app: ASGIApp, dispatch: DispatchFunction | None = None) -> None:
        self.app = app
        self.dispatch_func = self.dispatch if dispatch is None else dispatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        loop, request = running_loop(), _CachedRequest(scope, receive, send)
        if loop is None:
            return await self._respond_on_trio(request)
        # All in one frame: each further awaiting frame would cost 0.2 us per message.
        exchange = _Exchange(self.app, request, loop, None)
        try:
            response = await self.dispatch_func(request, exchange.call_next)
            await response(scope, request.wrapped_receive, send)
            for downstream in exchange.started:
                downstream.finish()
                if not downstream.ended:
                    await downstream.join()
                downstream.settle_context()
                if downstream.error is not None:
                    downstream.raise_error()
        except GeneratorExit:
            raise  # discarded with the event loop: nothing can be awaited
        except BaseException:
            await exchange.abort()
            raise

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Return the response to `request`; `await call_next(request)` returns that of the wrapped application."""
        raise NotImplementedError

    async def _respond_on_trio(self, request: _CachedRequest) -> None:
        async with create_collapsing_task_group() as task_group:
            exchange = _Exchange(self.app, request, None, task_group)
            response = await self.dispatch_func(request, exchange.call_next)
            await response(request.scope, request.wrapped_receive, request._send)
            for downstream in exchange.started:
                downstream.finish()
        for downstream in exchange.started:
            downstream.settle_context()
            downstream.raise_error()


class _Exchange:
    """One request in one middleware: the applications that `call_next` has started."""

    __slots__ = ("_app", "_loop", "_request", "_task_group", "started")

    def __init__(
        self,
        app: ASGIApp,
        request: _CachedRequest,
        loop: asyncio.AbstractEventLoop | None,
        task_group: anyio.abc.TaskGroup | None,
    ) -> None:
        self._app = app
        self._request = request
        self._loop = loop
        self._task_group = task_group
        self.started: list[EagerDownstream | TaskDownstream] = []

    async def call_next(self, request: Request) -> Response:
        """Return the wrapped application's response, started but not read.

        The application receives the scope of this middleware, not that of `request`.

        Raises:
            Exception: the application's exception.
            ClientDisconnect: the client disconnected, and the application ended without a response.
            RuntimeError: the application ended without a response.
        """
        own, loop = self._request, self._loop
        receive = _Replay(own).receive if self.started else own.wrapped_receive
        downstream: EagerDownstream | TaskDownstream
        if loop is not None:
            downstream = EagerDownstream(self._app, own.scope, receive)
            self.started.append(downstream)
            downstream.start(loop)
        else:
            assert self._task_group is not None, "one of the two is given"
            downstream = TaskDownstream(self._app, own.scope, receive)
            self.started.append(downstream)
            downstream.start(self._task_group)
        info = None
        try:
            while (message := downstream.poll() or await downstream.next()) is not None:
                kind = message["type"]
                if kind == "http.response.debug":
                    info = message["info"]
                elif kind == "http.response.early_hint":
                    await own._send(message)
                else:
                    assert kind == "http.response.start"
                    return _StreamingResponse._of(downstream, message, info)
            raise anyio.EndOfStream
        except anyio.EndOfStream:
            error, downstream.error = downstream.error, None
            if error is None:
                if downstream.client_is_gone:
                    # The application gave up, as it should: nothing can receive a response.
                    raise ClientDisconnect from None
                raise RuntimeError("No response returned.") from None
            # Keep the cause of the error in the traceback, but not the end of the stream.
            raise error from error.__cause__ or error.__context__
        finally:
            error = None  # its traceback holds this frame
            downstream.adopt_context()

    async def abort(self) -> None:
        for downstream in self.started:
            if isinstance(downstream, EagerDownstream) and not downstream.ended:
                await downstream.abort()
            downstream.settle_context()


class _StreamingResponse(Response):
    """The result of `call_next`. Callers may read or replace `body_iterator`, change headers, and set `background`."""

    info: Mapping[str, Any] | None = None
    background: BackgroundTask | None = None
    _downstream: Downstream | None = None
    _body_iterator: AsyncContentStream | None = None

    def __init__(
        self,
        content: AsyncContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self._body_iterator = content
        self.status_code = status_code
        self.media_type = media_type
        self.info = info
        self.init_headers(headers)

    @classmethod
    def _of(cls, downstream: Downstream, start: Message, info: Mapping[str, Any] | None) -> _StreamingResponse:
        response = cls.__new__(cls)
        response.status_code = start["status"]
        headers = start.get("headers", [])
        response.raw_headers = headers if isinstance(headers, list) else list(headers)
        response._downstream = downstream
        if info is not None:
            response.info = info
        return response

    @property
    def body_iterator(self) -> AsyncContentStream:
        """The chunks of the body. Assign another iterator to send other chunks."""
        iterator = self._body_iterator
        if iterator is None:
            assert self._downstream is not None, "made from content or from an application"
            iterator = self._body_iterator = self._downstream.body()
        return iterator

    @body_iterator.setter
    def body_iterator(self, iterator: AsyncContentStream) -> None:
        self._body_iterator = iterator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.info is not None:
            await send({"type": "http.response.debug", "info": self.info})
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        downstream = self._downstream
        if downstream is None or self._body_iterator is not None:
            await self._iterate(send)
        else:
            # No one has read or replaced `body_iterator`: send what `_iterate` would, without a generator, 1 us less a
            # chunk.
            # Between two layers the last chunk need not be followed by an empty one: the outer layer adds it.
            between_layers = isinstance(getattr(send, "__self__", None), Downstream)
            while (message := downstream.poll() or await downstream.next()) is not None:
                kind = message["type"]
                if kind == "http.response.pathsend" or (downstream.complete and between_layers):
                    await send(message)
                    break
                assert kind == "http.response.body", f"Unexpected message: {message}"
                if body := message.get("body", b""):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                if downstream.complete:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    break
            else:
                downstream.raise_incomplete()  # unless the client is gone; either way the body is not marked complete
        if self.background is not None:
            await self.background()

    async def _iterate(self, send: Send) -> None:
        is_sent = False
        # Iterate to the end, without `break`: on trio an unfinished generator is an error.
        async for chunk in self.body_iterator:
            if isinstance(chunk, dict):
                # A message in place of the body, such as pathsend.
                await send(chunk)
                is_sent = True
            else:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not is_sent and not (self._downstream is not None and self._downstream.client_is_gone):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
