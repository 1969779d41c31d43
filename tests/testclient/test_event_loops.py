"""The test client: the event loops that it starts, shares and ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pallasite._testing import loops
from pallasite._testing.exchange import Exchange
from pallasite._testing.loops import EventLoopThread
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.testclient import TestClient
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import START
from tests.support.clients import ClientFactory
from tests.testclient.apps import OK, echo, endpoint, thread_identity


def loop_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("pallasite-testclient")}


def end_of(threads: set[threading.Thread]) -> None:
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


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


def test_leftover_tasks_are_cancelled_before_the_request_returns() -> None:
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


def test_leftover_generators_are_closed_before_the_request_returns(test_client_factory: ClientFactory) -> None:
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
        await anyio.to_thread.run_sync(meeting.wait)  # all three are served at the same time, or none
        return OK

    client = test_client_factory(app)
    answers: list[str] = []
    workers = [threading.Thread(target=lambda: answers.append(client.get("/").text)) for _ in range(3)]
    for worker in workers:
        worker.start()
    end_of(set(workers))
    assert answers == ["ok"] * 3


# Clients with these do not share loops with others. Another test may still use one.
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
import logging, sys, threading, warnings
logging.getLogger("asyncio").setLevel(logging.ERROR)  # no warnings of slow callbacks: the machine may be busy
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
def test_forked_child_makes_its_own_loops(anyio_backend: str) -> None:
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
    # Python leaves the signal ignored if its parent ignores it, for example in the background of a shell script.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            client.get(path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert cleaned == [True]
