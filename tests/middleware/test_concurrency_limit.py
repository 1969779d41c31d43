"""`ConcurrencyLimitMiddleware`: who runs, who waits, who is refused, and that no place is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.concurrency_limit import ConcurrencyLimitMiddleware, ServerBusy
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import Sent, ask, connect, never, scope_of, socket_scope_of


class Handler:
    """Runs until it is told to end. `running` are the paths that run now, `order` those that started."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.order: list[str] = []
        self.most = 0
        self._ends: dict[str, anyio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.running.append(path)
        self.order.append(path)
        self.most = max(self.most, len(self.running))
        self._ends[path] = anyio.Event()
        try:
            await self._ends[path].wait()
            await PlainTextResponse(path)(scope, receive, send)
        finally:
            self.running.remove(path)

    def end(self, path: str) -> None:
        self._ends[path].set()

    async def until(self, *paths: str) -> None:
        """Wait until exactly these run."""
        with anyio.fail_after(10):
            while sorted(self.running) != sorted(paths):
                await anyio.lowlevel.checkpoint()


class Requests:
    """Sends requests to an application at the same time and keeps their statuses."""

    def __init__(self, app: Any, tasks: anyio.abc.TaskGroup) -> None:
        self.app = app
        self.statuses: dict[str, int] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.ended: dict[str, anyio.Event] = {}
        self._tasks = tasks

    async def send(self, path: str, **scope: Any) -> None:
        self._tasks.start_soon(self._send, path, scope)
        await anyio.wait_all_tasks_blocked()

    async def _send(self, path: str, scope: dict[str, Any]) -> None:
        sent = Sent()
        self.ended[path] = anyio.Event()
        with anyio.CancelScope() as self.scopes[path]:
            await self.app(scope_of(path, **scope), never, sent)
            self.statuses[path] = sent[0]["status"]
            self.ended[path].set()


pytestmark = pytest.mark.anyio


async def test_no_more_than_the_limit_run() -> None:
    handler = Handler()
    async with anyio.create_task_group() as tasks:
        requests = Requests(ConcurrencyLimitMiddleware(handler, limit=2), tasks)
        for path in ("/1", "/2", "/3"):
            await requests.send(path)
        assert requests.statuses == {"/3": 503}
        handler.end("/1")
        await handler.until("/2")
        await requests.send("/4")
        await handler.until("/2", "/4")
        handler.end("/2")
        handler.end("/4")
    assert requests.statuses == {"/1": 200, "/2": 200, "/3": 503, "/4": 200}
    assert handler.most == 2


async def test_requests_wait_in_the_order_in_which_they_came() -> None:
    handler = Handler()
    async with anyio.create_task_group() as tasks:
        requests = Requests(ConcurrencyLimitMiddleware(handler, limit=1, queue=2, queue_seconds=60), tasks)
        for path in ("/1", "/2", "/3", "/4"):
            await requests.send(path)
        assert requests.statuses == {"/4": 503}  # the queue is full
        for path in ("/1", "/2", "/3"):
            await handler.until(path)
            handler.end(path)
    assert handler.order == ["/1", "/2", "/3"]
    assert handler.most == 1


async def test_request_that_waits_too_long_is_refused() -> None:
    handler = Handler()
    async with anyio.create_task_group() as tasks:
        requests = Requests(ConcurrencyLimitMiddleware(handler, limit=1, queue=1, queue_seconds=0.01), tasks)
        await requests.send("/1")
        await requests.send("/2")
        with anyio.fail_after(10):
            await requests.ended["/2"].wait()
        assert requests.statuses == {"/2": 503}
        handler.end("/1")
    assert handler.order == ["/1"]


async def test_request_that_is_cancelled_leaves_the_queue() -> None:
    handler = Handler()
    async with anyio.create_task_group() as tasks:
        requests = Requests(ConcurrencyLimitMiddleware(handler, limit=1, queue=1, queue_seconds=60), tasks)
        await requests.send("/1")
        await requests.send("/2")
        requests.scopes["/2"].cancel()
        await anyio.wait_all_tasks_blocked()
        await requests.send("/3")
        handler.end("/1")
        await handler.until("/3")
        handler.end("/3")
    assert handler.order == ["/1", "/3"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("others", [0, 1])
async def test_place_of_a_task_that_is_cancelled_before_it_runs_is_given_on(others: int) -> None:
    handler = Handler()
    app = ConcurrencyLimitMiddleware(handler, limit=1, queue=3, queue_seconds=60)
    later: list[asyncio.Future[None]] = []

    async def first() -> None:
        await app(scope_of("/1"), never, Sent())
        second.cancel()  # it has been given the place, and does not know yet

    running = asyncio.ensure_future(first())
    await anyio.wait_all_tasks_blocked()
    second = asyncio.ensure_future(app(scope_of("/2"), never, Sent()))
    await anyio.wait_all_tasks_blocked()
    for number in range(others):
        later.append(asyncio.ensure_future(app(scope_of(f"/{number + 3}"), never, Sent())))
        await anyio.wait_all_tasks_blocked()
    handler.end("/1")
    await asyncio.wait([running, second])
    assert second.cancelled()
    for number in range(others):
        await handler.until(f"/{number + 3}")
        handler.end(f"/{number + 3}")
    await asyncio.gather(*later)
    assert handler.order == ["/1", *(f"/{number + 3}" for number in range(others))]
    assert app._lines.get() == {}


async def test_place_is_given_back_whatever_happens() -> None:
    class Broken(Exception):
        pass

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise Broken

    app = ConcurrencyLimitMiddleware(broken, limit=1)
    for _ in range(3):
        with pytest.raises(Broken):
            await app(scope_of("/"), never, Sent())
    assert app._lines.get() == {}


async def test_keys_have_limits_of_their_own() -> None:
    handler = Handler()

    def user(scope: Scope) -> str | None:
        return dict(scope["headers"]).get(b"user", b"").decode() or None

    app = ConcurrencyLimitMiddleware(handler, limit=1, key=user)
    async with anyio.create_task_group() as tasks:
        requests = Requests(app, tasks)
        for path, name in (("/1", b"ada"), ("/2", b"bob"), ("/3", b"ada")):
            await requests.send(path, headers=[(b"user", name)])
        await requests.send("/4")
        await requests.send("/5")
        await handler.until("/1", "/2", "/4", "/5")
        assert requests.statuses == {"/3": 503}
        for path in ("/1", "/2", "/4", "/5"):
            handler.end(path)
    assert app._lines.get() == {}


async def test_refusal_is_a_problem_document_with_retry_after() -> None:
    async def endpoint(request: Request) -> Response:
        answer = await ask(request.app)  # a second request while this one runs
        return PlainTextResponse(f"{answer.status} {answer.header('retry-after')} {answer.body.decode()}")

    limited = [Middleware(ConcurrencyLimitMiddleware, limit=1, status=429, retry_after=100)]
    app = Pallasite(routes=[Route("/", endpoint)], middleware=limited)
    status, seconds, document = (await ask(app)).body.decode().split(" ", 2)
    assert status == "429"
    assert 80 <= int(seconds) <= 120
    assert json.loads(document)["detail"] == "The server is busy. Try again later."


async def test_handler_of_the_application_answers_refusals() -> None:
    async def busy(request: Request, exc: ServerBusy) -> Response:
        return PlainTextResponse("busy", status_code=exc.status_code)

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse((await connect_or_ask(request.app)).body)

    async def connect_or_ask(app: Any) -> Any:
        with pytest.raises(AssertionError):  # `ask` allows no 5xx
            await ask(app)
        sent = Sent()
        await app(scope_of("/"), never, sent)
        return type("Answer", (), {"body": sent[1]["body"]})

    limited = [Middleware(ConcurrencyLimitMiddleware, limit=1)]
    app = Pallasite(routes=[Route("/", endpoint)], middleware=limited, exception_handlers={ServerBusy: busy})
    assert (await ask(app)).body == b"busy"


async def test_websocket_without_a_place_is_refused_before_it_is_accepted() -> None:
    handler = Handler()
    app = ConcurrencyLimitMiddleware(handler, limit=1)
    async with anyio.create_task_group() as tasks:
        requests = Requests(app, tasks)
        await requests.send("/1")
        sent = await connect(app, "/2")
        assert [message["type"] for message in sent] == ["websocket.close"]
        extension: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
        refused = Sent()
        await app(socket_scope_of("/3", **extension), never, refused)
        assert refused[0]["status"] == 503
        handler.end("/1")


async def test_lifespan_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await ConcurrencyLimitMiddleware(app, limit=1)({"type": "lifespan"}, never, Sent())
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"limit": 1, "queue": -1}, "queue must be 0 or more, not -1"),
        ({"limit": 1, "queue_seconds": 0}, "queue_seconds must be a positive number"),
        ({"limit": 1, "status": 200}, "status must be that of an error"),
        ({"limit": 1, "retry_after": -1}, "retry_after must be a number of seconds, not -1"),
    ],
)
def test_setting_that_can_never_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConcurrencyLimitMiddleware(Handler(), **options)
