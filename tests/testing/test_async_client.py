"""The async test client: one event loop for test and application."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route
from pallasite.sse import EventSourceResponse
from pallasite.testing import ASGITransport, AsyncTestClient, Faults
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import STALL_SECONDS
from tests.testing.apps import APP, ROUTES, STEPS, VISITOR

pytestmark = pytest.mark.anyio

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    from pallasite.testclient import httpx

SHORT = 0.05

# --- requests


async def test_request_and_response(client: AsyncTestClient) -> None:
    VISITOR.set("the test")
    response = await client.get("/about", params={"q": "1"})
    assert response.json() == {
        "method": "GET",
        "url": "http://testserver/about?q=1",
        "client": ["testclient", 50000],
        "agent": "testclient",
        "visitor": "the test",
        "state": None,
    }
    assert (await client.post("/echo", content=b"body")).text == "body"
    head = await client.head("/about")
    assert (head.content, int(head.headers["content-length"]) > 0) == (b"", True)


async def test_settings_are_seen_by_the_application() -> None:
    options: Any = {"base_url": "https://example.test:8443", "client": ("192.0.2.1", 7), "root_path": "/sub"}
    async with AsyncTestClient(APP, headers={"user-agent": "mine"}, **options) as client:
        found = (await client.get("/sub/about")).json()
    assert (found["url"], found["client"]) == ("https://example.test:8443/sub/about", ["192.0.2.1", 7])
    assert found["agent"] == "mine"


async def test_objects_of_the_test_work_in_the_application() -> None:
    lock, event = anyio.Lock(), anyio.Event()

    async def endpoint(request: Request) -> Response:
        event.set()
        async with lock:
            return PlainTextResponse("free")

    async with (
        AsyncTestClient(Pallasite(routes=[Route("/", endpoint)])) as client,
        anyio.create_task_group() as group,
    ):
        await lock.acquire()
        group.start_soon(client.get, "/")
        await event.wait()
        lock.release()
        assert (await client.get("/")).text == "free"


async def test_exception_is_raised_by_the_call(client: AsyncTestClient) -> None:
    with pytest.raises(LookupError, match="broken"):
        await client.get("/broken")
    async with AsyncTestClient(APP, raise_app_exceptions=False) as other:
        assert (await other.get("/broken")).status_code == 500
        async with other.stream("GET", "/broken") as response:
            assert response.status_code == 500


async def test_call_that_takes_too_long_says_where_the_application_waits(client: AsyncTestClient) -> None:
    with pytest.raises(httpx.ReadTimeout, match=r"no response to GET http://testserver/hangs within 0\.05 s") as raised:
        await client.get("/hangs", timeout=SHORT)
    assert re.search(r"apps\.py:\d+ in hangs: await anyio\.sleep_forever\(\)", str(raised.value))
    with pytest.raises(httpx.ReadTimeout):
        async with client.stream("GET", "/hangs", timeout=SHORT):
            raise AssertionError("not reached")


async def test_application_that_does_not_respond() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async with AsyncTestClient(silent, lifespan=False) as client:
        with pytest.raises(AssertionError, match="has not responded to GET http://testserver/"):
            await client.get("/")
        with pytest.raises(AssertionError, match="has not responded"):
            async with client.stream("GET", "/"):
                raise AssertionError("not reached")
    async with AsyncTestClient(silent, raise_app_exceptions=False) as client:
        assert (await client.get("/")).status_code == 500


async def test_background_tasks_are_awaited(client: AsyncTestClient) -> None:
    await client.get("/later")
    assert STEPS == ["background"]
    async with client.stream("GET", "/later") as response:
        await response.aread()
    assert STEPS == ["background"] * 2


# --- streams


async def test_response_is_read_while_the_application_sends_it(client: AsyncTestClient) -> None:
    async with client.stream("GET", "/stream") as response, aclosing(response.aiter_bytes()) as chunks:
        assert [await anext(chunks) for _ in range(3)] == [b"0;", b"1;", b"2;"]
        assert len(STEPS) <= 4  # held up by its reader
    assert STEPS[-1] == "closed"


async def test_stream_that_is_not_read_is_left(client: AsyncTestClient) -> None:
    async with client.stream("GET", "/stream"):
        pass
    assert STEPS[-1] == "closed"
    response = await client.send(client.build_request("GET", "/stream"), stream=True)
    await client.transport.aclose()
    assert STEPS[-1] == "closed"
    await response.aclose()


async def test_exception_after_the_start_is_raised_by_the_reader(client: AsyncTestClient) -> None:
    async with client.stream("GET", "/breaks") as response:
        with pytest.raises(LookupError, match="in the middle"):
            await response.aread()
    async with (
        AsyncTestClient(APP, raise_app_exceptions=False) as other,
        other.stream("GET", "/breaks") as response,
    ):
        assert await response.aread() == b"first"


async def test_response_that_is_broken_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with AsyncTestClient(app, lifespan=False) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="broken the response off"):
            await client.get("/")
        async with client.stream("GET", "/") as response:
            with pytest.raises(httpx.RemoteProtocolError, match="broken the response off"):
                await response.aread()


async def test_request_and_response_at_the_same_time(client: AsyncTestClient) -> None:
    send, receive = anyio.create_memory_object_stream[bytes](0)

    async def body() -> AsyncIterator[bytes]:
        async with receive:
            async for chunk in receive:
                yield chunk

    async with client.stream("POST", "/answers", content=body()) as response:
        chunks = response.aiter_bytes()
        for word in (b"one", b"two"):
            await send.send(word)
            assert await anext(chunks) == word.upper()
        send.close()
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_reader_that_waits_too_long(client: AsyncTestClient) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await receive()
        await receive()

    async with AsyncTestClient(app, lifespan=False) as own, own.stream("GET", "/", timeout=SHORT) as response:
        with pytest.raises(httpx.ReadTimeout, match=r"nothing more arrived within 0\.05 s"):
            await response.aread()


async def test_head_of_a_stream(client: AsyncTestClient) -> None:
    async with client.stream("HEAD", "/about") as response:
        assert await response.aread() == b""


async def test_application_that_ignores_the_disconnect_is_cancelled() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            await anyio.sleep_forever()
        finally:
            STEPS.append("cancelled")

    async with AsyncTestClient(app, lifespan=False, timeout=SHORT) as client, client.stream("GET", "/"):
        pass
    assert STEPS == ["cancelled"]


async def test_clients_of_their_own_use_the_transport() -> None:
    async with httpx.AsyncClient(transport=ASGITransport(APP), base_url="http://x") as client:
        assert (await client.get("/about")).json()["url"] == "http://x/about"
        async with client.stream("GET", "/stream") as response, aclosing(response.aiter_bytes()) as chunks:
            assert await anext(chunks) == b"0;"
    assert STEPS[-1] == "closed"


# --- faults


@pytest.mark.parametrize(
    ("faults", "steps"),
    [
        (Faults(), [b"body"]),
        (Faults(chunk_size=3), [b"bod", b"y"]),
        (Faults(cut_body_after=3), [b"bod", "gone"]),
        (Faults(chunk_size=2, cut_body_after=2), [b"bo", "gone"]),
    ],
)
async def test_faults_of_the_request(client: AsyncTestClient, faults: Faults, steps: list[Any]) -> None:
    with pytest.raises(httpx.WriteError) if "gone" in steps else nullcontext():
        await client.post("/reads", content=b"body", extensions={"faults": faults})
    assert steps == STEPS


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_client_that_leaves_in_the_middle_of_the_response(spec_version: str) -> None:
    async with (
        AsyncTestClient(APP, spec_version=spec_version) as client,
        client.stream("GET", "/stream", extensions={"faults": Faults(cut_response_after=5)}) as response,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
    assert STEPS[-1] == "closed"
    assert len(STEPS) < 10


async def test_what_is_sent_to_a_client_that_left_is_lost_before_asgi_24() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        STEPS.append("all sent")

    async with AsyncTestClient(app, lifespan=False, spec_version="2.3") as client:
        with pytest.raises(httpx.WriteError, match="as its faults say"):
            await client.get("/", extensions={"faults": Faults(cut_response_after=4)})
    assert STEPS == ["all sent"]


# --- messages


async def test_messages_are_recorded_and_shown_alike_each_time() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        date = b"Sun, 06 Nov 1994 08:49:37 GMT"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"date", date)]})
        await send({"type": "http.response.body", "body": b"id 01a21df0-9b3c-7e7f-b44c-a8b3076b2286 \xff"})

    async with AsyncTestClient(app, lifespan=False, record=True) as client:
        await client.get("/")
    assert client.messages[0] == ("receive", {"type": "http.request", "body": b"", "more_body": False})
    assert client.transcript() == (
        'receive: {"type": "http.request", "body": "", "more_body": false}\n'
        'send: {"type": "http.response.start", "status": 200, "headers": [["date", "*"]]}\n'
        'send: {"type": "http.response.body", "body": "id * \\\\xff"}\n'
    )


async def test_trailers_and_debugging_information() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.debug", "info": {"template": "page.html", "other": object()}})
        await send({"type": "http.response.unknown"})
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body", "body": b"body"})
        await send({"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"b", b"2")]})

    async with AsyncTestClient(app, lifespan=False, record=True) as client:
        response: Any = await client.get("/")
    assert response.extensions["http.response.trailers"] == [(b"a", b"1"), (b"b", b"2")]
    assert response.template == "page.html"
    assert '"other": "<object>"' in client.transcript()


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (["start", "start"], "started the response twice"),
        (["body"], "before the start"),
        (["start", "body", "body"], "after the end"),
        (["start", "trailers"], "without announcing"),
    ],
)
async def test_messages_out_of_order(messages: list[str], text: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for kind in messages:
            await send({"type": f"http.response.{kind}", "status": 200})

    async with AsyncTestClient(app, lifespan=False) as client:
        with pytest.raises(AssertionError, match=text):
            await client.get("/")


# --- events


async def test_events_arrive_one_by_one_and_resume(client: AsyncTestClient) -> None:
    async with client.events("/events") as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        first = await stream.next()
        assert (first.data, first.event, first.id) == ("line\n1", "tick", "1")
        await stream.next()
        with pytest.raises(TimeoutError, match=r"no event within 0\.05 s"):
            await stream.next(timeout=SHORT)
    async with client.events("/events", last_event_id=stream.last_event_id) as stream:
        async for event in stream:
            assert event.id == "3"
            break


async def test_stream_of_events_that_ends(client: AsyncTestClient) -> None:
    async def one(request: Request) -> Response:
        return EventSourceResponse(["only"])

    async with AsyncTestClient(Pallasite(routes=[Route("/", one)])) as own, own.events("/") as stream:
        assert [event.data async for event in stream] == ["only"]


# --- lifespan


async def test_lifespan_runs_in_a_task_of_its_own_and_shares_its_state() -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            STEPS.append("up")
            yield {"pool": "a pool"}
            group.cancel_scope.cancel()
        STEPS.append("down")

    async with AsyncTestClient(Pallasite(routes=ROUTES, lifespan=lifespan)) as client:
        assert STEPS == ["up"]
        assert (await client.get("/about")).json()["state"] == "a pool"
    assert STEPS == ["up", "down"]


async def test_lifespan_can_be_left_out() -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        STEPS.append("up")
        yield

    async with AsyncTestClient(Pallasite(lifespan=lifespan), lifespan=False) as client:
        await client.get("/")
    assert STEPS == []


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_failure_of_the_lifespan_is_raised(phase: str) -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if phase == "startup":
            raise LookupError("startup")
        yield
        raise LookupError("shutdown")

    with pytest.raises(LookupError, match=phase):
        async with AsyncTestClient(Pallasite(lifespan=lifespan)):
            STEPS.append("entered")
    assert (["entered"] if phase == "shutdown" else []) == STEPS


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_lifespan_that_hangs(phase: str) -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if phase == "startup":
            await anyio.sleep_forever()
        yield
        await anyio.sleep_forever()

    with pytest.raises(TimeoutError, match=rf"has not finished its {phase} within 0\.05 s"):
        async with AsyncTestClient(Pallasite(lifespan=lifespan), timeout=SHORT):
            pass


async def test_applications_without_a_lifespan() -> None:
    async def only_http(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse("ok")(scope, receive, send)

    async with AsyncTestClient(only_http) as client:
        assert (await client.get("/")).text == "ok"

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="the lifespan has failed: no database"):
        async with AsyncTestClient(fails):
            raise AssertionError("not reached")


async def test_client_in_many_tasks(client: AsyncTestClient) -> None:
    found: list[str] = []

    async def one(number: int) -> None:
        found.append((await client.post("/echo", content=str(number))).text)

    with anyio.fail_after(STALL_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, number)
    assert sorted(found, key=int) == [str(number) for number in range(50)]
