"""Requests that take too long are cancelled and answered; so are bodies that do not arrive."""

from __future__ import annotations

import asyncio
import math
import re
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pallasite._runtime.bounded import Bounded
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.concurrency import run_in_threadpool
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.timeout import RequestTimeout, SlowRequestBody, TimeoutMiddleware, abandoned_threads
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Route
from pallasite.sse import EventSourceResponse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from tests.support.asgi import STALL_SECONDS, UNUSED, Client, Sent, never, scope_of

pytestmark = pytest.mark.anyio

SHORT = 0.05


class Handler:
    """Waits forever, and notes how that ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def __call__(self, request: Request) -> Response:
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self.ended.append("cleaned up")
        raise AssertionError


def application(endpoint: Any, *, middleware: Any = (), timeout: float | None = None, **settings: Any) -> Pallasite:
    async def handle(request: Request) -> Response:
        response: Response = await endpoint(request)
        return response

    return Pallasite(routes=[Route("/", handle, timeout=timeout)], middleware=middleware, **settings)


async def ask(app: ASGIApp, **scope: Any) -> Client:
    return await Client({"type": "http.request", "body": b"", "more_body": False}).request(app, **scope)


@pytest.mark.parametrize("place", ["application", "route", "middleware"])
async def test_handler_that_takes_too_long_is_cancelled_and_the_client_gets_504(place: str) -> None:
    handler = Handler()
    app = {
        "application": lambda: Pallasite(routes=[Route("/", handler.__call__)], timeout=SHORT),
        "route": lambda: Pallasite(routes=[Route("/", handler.__call__, timeout=SHORT)]),
        "middleware": lambda: Pallasite(
            routes=[Route("/", handler.__call__)], middleware=[Middleware(TimeoutMiddleware, seconds=SHORT)]
        ),
    }[place]()
    client = await ask(app)
    assert client.status == 504
    assert client.is_complete
    assert handler.ended[1:] == ["cleaned up"]
    assert handler.ended[0] in ("CancelledError", "Cancelled")


async def test_handler_in_time_is_not_touched() -> None:
    async def endpoint(request: Request) -> Response:
        await anyio.sleep(0.001)
        return PlainTextResponse("done")

    client = await ask(application(endpoint, timeout=STALL_SECONDS))
    assert (client.status, client.body) == (200, b"done")
    await anyio.sleep(0.001)  # no cancellation is left over


async def test_exception_handlers_of_the_application_answer_a_timeout() -> None:
    seen: list[str] = []

    def answer(request: Request, exc: Exception) -> Response:
        seen.append(str(exc))
        return PlainTextResponse("too slow", status_code=503)

    handler = Handler()
    app = Pallasite(routes=[Route("/", handler.__call__)], timeout=SHORT, exception_handlers={RequestTimeout: answer})
    client = await ask(app)
    assert (client.status, client.body) == (503, b"too slow")
    assert seen == ["The request was not handled within 0.05 seconds"]


async def test_exception_handlers_answer_for_the_middleware_too() -> None:
    async def answer(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("busy", status_code=503)

    app = application(
        Handler(),
        middleware=[Middleware(TimeoutMiddleware, seconds=SHORT, status=503)],
        exception_handlers={503: answer},
    )
    client = await ask(app)
    assert (client.status, client.body) == (503, b"busy")


@pytest.mark.parametrize("functions", [0, 3])
async def test_handler_below_function_middleware_is_cancelled(functions: int) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    handler = Handler()
    layers = [Middleware(TimeoutMiddleware, seconds=SHORT)]
    layers += [Middleware(BaseHTTPMiddleware, dispatch=dispatch) for _ in range(functions)]
    client = await ask(application(handler, middleware=layers))
    assert client.status == 504
    assert handler.ended[1:] == ["cleaned up"]


@pytest.mark.parametrize(("route", "seconds"), [(SHORT, 60), (SHORT, math.inf), (SHORT, None)])
async def test_route_may_take_less_than_its_application_allows(route: float, seconds: float | None) -> None:
    assert (await ask(application(Handler(), timeout=route))).status == 504
    app = Pallasite(routes=[Route("/", Handler().__call__, timeout=route)], timeout=seconds)
    assert (await ask(app)).status == 504


@pytest.mark.parametrize("route", [STALL_SECONDS, math.inf])
async def test_route_may_take_longer_than_its_application_allows(route: float) -> None:
    async def endpoint(request: Request) -> Response:
        await anyio.sleep(3 * SHORT)
        return PlainTextResponse("done")

    app = Pallasite(routes=[Route("/", endpoint, timeout=route)], timeout=SHORT)
    assert (await ask(app)).status == 200


async def test_limit_that_changes_while_the_handler_waits_counts_from_the_start() -> None:
    handler = Handler()
    inner = Pallasite(routes=[Route("/", handler.__call__)], timeout=SHORT)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(0.001)
        await inner(scope, receive, send)

    client = await ask(TimeoutMiddleware(outer, seconds=STALL_SECONDS))
    assert client.status == 504
    assert handler.ended[1:] == ["cleaned up"]


async def test_response_that_has_started_is_broken_off() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await anyio.sleep_forever()

    async def endpoint(request: Request) -> Response:
        return StreamingResponse(chunks())

    client = Client({"type": "http.request", "body": b"", "more_body": False})
    with pytest.raises(RequestTimeout):
        await client.request(application(endpoint, timeout=SHORT))
    assert (client.status, client.body, client.is_complete) == (200, b"one", False)

    client = Client({"type": "http.request", "body": b"", "more_body": False})
    with pytest.raises(RequestTimeout):
        await client.request(application(endpoint, middleware=[Middleware(TimeoutMiddleware, seconds=SHORT)]))
    assert not client.is_complete


async def test_event_streams_are_not_limited() -> None:
    async def events() -> AsyncIterator[str]:
        await anyio.sleep(2 * SHORT)
        yield "done"

    async def endpoint(request: Request) -> Response:
        return EventSourceResponse(events())

    client = await ask(application(endpoint, timeout=SHORT))
    assert b"data: done" in client.body
    assert client.is_complete


async def test_background_tasks_are_not_limited() -> None:
    done: list[str] = []

    async def task() -> None:
        await anyio.sleep(2 * SHORT)
        done.append("task")

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("now", background=BackgroundTask(task))

    assert (await ask(application(endpoint, timeout=SHORT))).status == 200
    assert done == ["task"]


async def test_last_message_that_cannot_be_sent_is_limited() -> None:
    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("x" * 100_000)

    async def stall(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    client = Client({"type": "http.request", "body": b"", "more_body": False}, on_send=stall)
    with pytest.raises(RequestTimeout):
        await client.request(application(endpoint, timeout=SHORT))


async def test_websockets_are_not_limited() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(2 * SHORT)
        await send({"type": "websocket.close", "code": 1000})

    for limited in (TimeoutMiddleware(app, seconds=SHORT), Bounded(app, SHORT)):
        sent = Sent()
        await limited(scope_of(type="websocket"), never, sent)
        assert [message["type"] for message in sent] == ["websocket.close"]


async def test_application_that_is_no_coroutine_function_is_limited_too() -> None:
    class Waits:
        def __await__(self) -> Any:
            return anyio.sleep_forever().__await__()

    def app(scope: Scope, receive: Receive, send: Send) -> Any:
        return Waits()

    assert (await ask(TimeoutMiddleware(app, seconds=SHORT))).status == 504


async def test_sync_endpoint_is_answered_in_time_and_its_thread_counted(anyio_backend_name: str) -> None:
    may_end, ended = threading.Event(), threading.Event()

    def endpoint(request: Request) -> Response:
        may_end.wait(STALL_SECONDS)
        ended.set()
        return PlainTextResponse("late")

    app = Pallasite(routes=[Route("/", endpoint)], timeout=SHORT)
    limiter = anyio.to_thread.current_default_thread_limiter()
    borrowed = limiter.borrowed_tokens
    assert (await ask(app)).status == 504
    if anyio_backend_name == "asyncio":
        assert abandoned_threads() == 1
        assert limiter.borrowed_tokens == borrowed + 1
        # The same task may use another thread meanwhile.
        assert await run_in_threadpool(lambda: "another") == "another"
    may_end.set()
    with anyio.fail_after(STALL_SECONDS):
        while limiter.borrowed_tokens != borrowed or not ended.is_set():  # noqa: ASYNC110 - a thread sets them
            await anyio.sleep(0.001)
    assert abandoned_threads() == 0


async def test_handler_that_swallows_the_cancellation_is_a_timeout_all_the_same() -> None:
    async def endpoint(request: Request) -> Response:
        try:
            await anyio.sleep_forever()
        except BaseException:
            pass
        return PlainTextResponse("late")

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope():
            try:
                await anyio.sleep_forever()
            except BaseException:
                pass

    assert (await ask(application(endpoint, timeout=SHORT))).status in (200, 504)
    assert (await ask(TimeoutMiddleware(silent, seconds=SHORT))).status == 504


async def test_error_during_clean_up_is_raised() -> None:
    async def endpoint(request: Request) -> Response:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("in finally")

    client = Client({"type": "http.request", "body": b"", "more_body": False})
    with pytest.raises(ValueError, match="in finally"):
        await client.request(application(endpoint, timeout=SHORT))
    assert client.status == 500


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_clean_up_that_never_ends_is_cancelled_again(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pallasite._runtime import bounded

    monkeypatch.setattr(bounded, "CLEAN_UP_SECONDS", SHORT)
    cancelled = 0

    async def endpoint(request: Request) -> Response:
        nonlocal cancelled
        while cancelled < 3:
            try:
                await anyio.sleep_forever()
            except BaseException:
                cancelled += 1
        return PlainTextResponse("never seen")

    client = await ask(application(endpoint, timeout=SHORT))
    assert cancelled == 3
    assert client.status == 200


async def test_cancellation_from_outside_is_not_a_timeout() -> None:
    with anyio.move_on_after(SHORT) as scope:
        await ask(application(Handler(), timeout=STALL_SECONDS))
    assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancelled_future_that_the_handler_awaits_is_not_a_timeout(anyio_backend: str) -> None:
    async def endpoint(request: Request) -> Response:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        await future
        raise AssertionError

    with pytest.raises(asyncio.CancelledError):
        await ask(application(endpoint, timeout=STALL_SECONDS))


async def test_timeout_and_disconnect_at_once_are_one_error() -> None:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        bounds = scope["pallasite.bounds"]
        await anyio.lowlevel.checkpoint()
        bounds.expire()
        bounds.lose()
        await anyio.sleep_forever()

    with pytest.raises(RequestTimeout):
        await ask(Bounded(endpoint, STALL_SECONDS, True))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancellation_of_the_task_at_the_same_time_wins(anyio_backend: str) -> None:
    async def request() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(SHORT, task.cancel)
        await ask(application(Handler(), timeout=SHORT))

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(request())


async def test_debugger_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endpoint(request: Request) -> Response:
        await anyio.sleep(2 * SHORT)
        return PlainTextResponse("done")

    monkeypatch.setattr(sys, "gettrace", lambda: print)
    assert (await ask(application(endpoint, timeout=SHORT, debug=True))).status == 200
    assert (await ask(application(endpoint, timeout=SHORT))).status == 504


# --- request bodies


async def read(request: Request) -> Response:
    return JSONResponse(len(await request.body()))


def body(*parts: str) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": part.encode(), "more_body": True} for part in parts]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await anyio.sleep_forever()
        raise AssertionError

    return receive


@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        ({"body_idle": SHORT}, "No part of the request body arrived for 0.05 seconds"),
        ({"body_deadline": SHORT}, "The request body did not arrive within 0.05 seconds"),
        ({"body_idle": 30, "body_deadline": SHORT}, "The request body did not arrive within 0.05 seconds"),
        ({"body_idle": SHORT, "body_deadline": 30}, "No part of the request body arrived for 0.05 seconds"),
    ],
)
async def test_body_that_does_not_arrive_is_408(limits: Any, detail: str) -> None:
    app = application(read, middleware=[Middleware(TimeoutMiddleware, **limits)])
    sent = Sent()
    with anyio.fail_after(STALL_SECONDS):
        await app(scope_of(method="POST") | {"method": "GET"}, body("a", "b"), sent)
    [start, content] = sent
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert content["body"].decode() == detail


async def test_body_that_arrives_in_time_is_read() -> None:
    app = application(read, middleware=[Middleware(TimeoutMiddleware, body_idle=30, body_deadline=30)])
    client = Client(
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"c", "more_body": False},
    )
    assert (await client.request(app)).body == b"3"


async def test_nothing_is_limited_after_the_body() -> None:
    async def endpoint(request: Request) -> Response:
        await request.body()
        with anyio.move_on_after(2 * SHORT):
            await request.receive()
        return PlainTextResponse("done")

    app = application(endpoint, middleware=[Middleware(TimeoutMiddleware, body_idle=SHORT)])
    assert (await ask(app)).status == 200


async def test_slow_body_below_bare_asgi_is_refused_by_the_middleware() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()

    sent = Sent()
    await TimeoutMiddleware(app, body_idle=SHORT)(scope_of(), body("a"), sent)
    assert sent[0]["status"] == 408


async def test_slow_body_after_the_response_has_started_is_raised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await receive()

    with pytest.raises(SlowRequestBody):
        await TimeoutMiddleware(app, body_idle=SHORT)(scope_of(), body("a"), Sent())


# --- settings


async def test_exempt_paths_have_no_limit() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(2 * SHORT)
        await PlainTextResponse("done")(scope, receive, send)

    limited = TimeoutMiddleware(app, seconds=SHORT, exempt=["/reports/"])
    assert (await ask(limited, path="/reports/1")).status == 200
    assert (await ask(limited, path="/report")).status == 504
    assert (await ask(TimeoutMiddleware(app, seconds=SHORT, exempt="/r"), path="/report")).status == 200
    assert (await ask(limited, **{"pallasite.exempt": True})).status == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "TimeoutMiddleware needs a limit: give seconds, body_idle or body_deadline"),
        ({"seconds": 0}, "seconds must be a positive number of seconds or None, not 0"),
        ({"seconds": True}, "seconds must be a positive number of seconds or None, not True"),
        ({"seconds": math.nan}, "seconds must be a positive number of seconds or None, not nan"),
        ({"body_idle": -1}, "body_idle must be a positive number of seconds or None, not -1"),
        ({"body_deadline": "5"}, "body_deadline must be a positive number of seconds or None, not '5'"),
        ({"seconds": 1, "status": 200}, "status must be that of an error (400 to 599), not 200"),
        ({"seconds": 1, "exempt": ["a"]}, "exempt takes path prefixes that start with a slash, not 'a'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TimeoutMiddleware(UNUSED, **settings)


@pytest.mark.parametrize("make", [lambda: Route("/", read, timeout=0), lambda: Pallasite(timeout=-1)])
def test_timeouts_that_cannot_work_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="timeout must be a positive number of seconds or None"):
        make()


def test_request_timeout_is_an_http_exception() -> None:
    error = RequestTimeout(2)
    assert isinstance(error, HTTPException)
    assert (error.status_code, error.detail, error.seconds) == (504, "Gateway Timeout", 2)
