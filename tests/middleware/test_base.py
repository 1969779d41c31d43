"""`BaseHTTPMiddleware`: what `dispatch`, the application below and the server see of each other.

`layer` runs a test against ours and against Starlette's class, `place` runs the application below it in ways that take
different paths: without waiting, after waiting, from a child task, within a cancel scope.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref

import anyio
import anyio.lowlevel
import pytest
import sniffio
from starlette.middleware.base import BaseHTTPMiddleware as StarlettesBase

from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response, StreamingResponse
from tests.support.asgi import Sent

pytestmark = pytest.mark.anyio

HTTP = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}


@pytest.fixture(params=[BaseHTTPMiddleware, StarlettesBase], ids=["pallasite", "starlette"])
def layer(request):
    return request.param


@pytest.fixture
def on_asyncio(anyio_backend):
    if anyio_backend != "asyncio":
        pytest.skip("asyncio's own tools")


def at_once(app):
    return app


def after_waiting(app):
    async def placed(scope, receive, send):
        await anyio.sleep(0.001)
        await app(scope, receive, send)

    return placed


def waiting_at_each_send(app):
    async def placed(scope, receive, send):
        async def slow_send(message):
            await anyio.lowlevel.checkpoint()
            await send(message)
            await anyio.lowlevel.checkpoint()

        await app(scope, receive, slow_send)

    return placed


def in_cancel_scope(app):
    async def placed(scope, receive, send):
        with anyio.fail_after(20):
            await app(scope, receive, send)

    return placed


def in_child_task(app):
    async def placed(scope, receive, send):
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(app, scope, receive, send)

    return placed


PLACES = [at_once, after_waiting, waiting_at_each_send, in_cancel_scope, in_child_task]


@pytest.fixture(params=PLACES, ids=lambda place: place.__name__)
def place(request):
    return request.param


@pytest.fixture(params=PLACES[:-1], ids=lambda place: place.__name__)
def place_in_own_task(request):
    """Without the child task, whose errors come in groups."""
    return request.param


class Client:
    """What a server would be: the messages it has for the application, and those that it got."""

    def __init__(self, *messages, on_send=None):
        self.messages = list(messages)
        self.on_send = on_send
        self.sent = []
        self.disconnected = anyio.Event()

    async def receive(self):
        if self.messages:
            return self.messages.pop(0)
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if self.on_send is not None:
            await self.on_send(message)

    async def request(self, app, **scope):
        with anyio.fail_after(20):
            await app({**HTTP, **scope}, self.receive, self.send)
        return self

    @property
    def status(self):
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return start["status"]

    @property
    def headers(self):
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        return dict(start["headers"])

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")

    @property
    def is_complete(self):
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


def chunk(body, more_body=True):
    return {"type": "http.response.body", "body": body, "more_body": more_body}


async def hello(scope, receive, send):
    await send(dict(START))
    await send(chunk(b"hello", more_body=False))


async def three_chunks(scope, receive, send):
    await send(dict(START))
    for body in (b"one ", b"two ", b"three"):
        await send(chunk(body))
    await send(chunk(b"", more_body=False))


async def pass_on(request, call_next):
    return await call_next(request)


# A response's way up


async def test_response_passes_with_headers_changed(layer, place):
    async def dispatch(request, call_next):
        response = await call_next(request)
        response.headers["x-layer"] = "2"
        return response

    client = await Client().request(layer(place(hello), dispatch=dispatch))
    assert (client.status, client.body, client.is_complete) == (200, b"hello", True)
    assert client.headers == {b"x-app": b"1", b"x-layer": b"2"}


@pytest.mark.parametrize("app", [hello, three_chunks], ids=["plain", "stream"])
@pytest.mark.parametrize("layers", [1, 2, 5, 150])
async def test_messages_through_layers_are_those_of_starlette(place, app, layers):
    sent = []
    for base in (BaseHTTPMiddleware, StarlettesBase):
        stack = place(app)
        for _ in range(layers):
            stack = base(stack, dispatch=pass_on)
        sent.append((await Client().request(stack)).sent)
    assert sent[0] == sent[1]


async def test_body_replaced_by_dispatch_is_sent(layer, place):
    async def dispatch(request, call_next):
        response = await call_next(request)
        chunks = [part async for part in response.body_iterator]

        async def upper():
            for part in chunks:
                yield part.upper()

        response.body_iterator = upper()
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"ONE TWO THREE", True)


async def test_body_wrapped_by_dispatch_is_streamed(layer, place):
    async def dispatch(request, call_next):
        response = await call_next(request)
        inner = response.body_iterator

        async def numbered():
            number = 0
            async for part in inner:
                number += 1
                yield b"%d:%b" % (number, part)

        response.body_iterator = numbered()
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert client.body == b"1:one 2:two 3:three"


async def test_body_read_in_part_by_dispatch_is_sent_from_there(layer, place):
    async def dispatch(request, call_next):
        response = await call_next(request)
        assert await response.body_iterator.__anext__() == b"one "
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"two three", True)


async def test_body_closed_by_dispatch_is_sent_no_more(layer, place):
    async def dispatch(request, call_next):
        response = await call_next(request)
        await response.body_iterator.aclose()
        return response

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"", True)


async def half(scope, receive, send):
    await send(dict(START))
    await send(chunk(b"half"))


@pytest.mark.parametrize("wrapped", [False, True])
async def test_body_left_unfinished_by_application_is_not_completed(place, wrapped):
    async def dispatch(request, call_next):
        response = await call_next(request)
        if wrapped:
            pieces = response.body_iterator
            response.body_iterator = (piece async for piece in pieces)
        return response

    client = Client()
    with pytest.raises(RuntimeError, match="ended before its response was complete"):
        await client.request(BaseHTTPMiddleware(place(half), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"half", False)


async def test_body_left_unfinished_for_a_client_that_is_gone_is_no_error(place):
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        await half(scope, receive, send)

    sent = Sent()

    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await BaseHTTPMiddleware(place(app), dispatch=pass_on)(scope, receive, sent)
    assert [message.get("body") for message in sent] == [None, b"half"]


async def test_early_hint_and_debug_and_pathsend_pass(layer, place):
    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": [b"</a.css>"]})
        await send({"type": "http.response.debug", "info": {"template": "x"}})
        await send(dict(START))
        await send({"type": "http.response.pathsend", "path": "/some/file"})

    client = await Client().request(layer(place(app), dispatch=pass_on))
    assert client.sent == [
        {"type": "http.response.early_hint", "links": [b"</a.css>"]},
        {"type": "http.response.debug", "info": {"template": "x"}},
        START,
        {"type": "http.response.pathsend", "path": "/some/file"},
    ]


async def test_message_out_of_place_is_refused(layer, place_in_own_task):
    async def app(scope, receive, send):
        await send(chunk(b"too early"))

    with pytest.raises(AssertionError):
        await Client().request(layer(place_in_own_task(app), dispatch=pass_on))


async def test_headers_that_are_no_list_can_be_changed(anyio_backend):
    async def app(scope, receive, send):
        await send({**START, "headers": ((b"x-app", b"1"),)})
        await send(chunk(b"", more_body=False))

    async def dispatch(request, call_next):
        response = await call_next(request)
        response.headers["x-layer"] = "2"
        return response

    client = await Client().request(BaseHTTPMiddleware(app, dispatch=dispatch))
    assert client.headers == {b"x-app": b"1", b"x-layer": b"2"}


async def test_background_of_the_response_set_by_dispatch_runs_after_it(layer, place):
    events = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        events.append("app ends")

    async def dispatch(request, call_next):
        response = await call_next(request)

        async def background():
            events.append(f"dispatch's, {len(client.sent)} sent")

        response.background = background
        return response

    client = Client()
    await client.request(layer(place(app), dispatch=dispatch))
    assert events == ["dispatch's, 3 sent", "app ends"]


# Scopes and timeouts that end before the response does


async def test_fail_after_around_call_next_ends_while_application_goes_on(layer, place):
    async def dispatch(request, call_next):
        with anyio.fail_after(10):
            return await call_next(request)

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert (client.body, client.is_complete) == (b"one two three", True)


async def test_fail_after_in_each_of_three_layers(layer, place):
    async def dispatch(request, call_next):
        with anyio.fail_after(10):
            response = await call_next(request)
        with anyio.fail_after(10):
            await anyio.lowlevel.checkpoint()
        return response

    app = place(three_chunks)
    for _ in range(3):
        app = place(layer(app, dispatch=dispatch))
    client = await Client().request(app)
    assert client.body == b"one two three"


async def test_task_group_around_call_next_ends_while_application_goes_on(layer, place):
    async def dispatch(request, call_next):
        responses = []

        async def call():
            responses.append(await call_next(request))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(call)
        return responses[0]

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert client.body == b"one two three"


async def test_application_scope_stays_open_while_dispatch_enters_and_leaves_its_own(layer):
    async def app(scope, receive, send):
        with anyio.move_on_after(30) as outer:
            await send(dict(START))
            with anyio.move_on_after(20):
                await send(chunk(b"one "))
            await send(chunk(b"two"))
            await anyio.lowlevel.checkpoint()
        assert not outer.cancelled_caught
        await send(chunk(b"", more_body=False))

    async def dispatch(request, call_next):
        with anyio.CancelScope():
            response = await call_next(request)
            with anyio.fail_after(5):
                first = await response.body_iterator.__anext__()
        with anyio.fail_after(5):
            rest = [part async for part in response.body_iterator]
        return PlainTextResponse(b"".join([first, *rest]))

    client = await Client().request(layer(app, dispatch=dispatch))
    assert client.body == b"one two"


async def test_application_deadline_that_passes_while_it_waits_to_send_cancels_it(layer, place_in_own_task):
    events, over = [], anyio.Event()

    async def app(scope, receive, send):
        await send(dict(START))
        await send(chunk(b"one "))
        with anyio.move_on_after(0.02) as scope_:
            await send(chunk(b"never taken "))
        events.append(scope_.cancelled_caught)
        over.set()
        await send(chunk(b"end", more_body=False))

    async def dispatch(request, call_next):
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(5):
            await over.wait()
        await response.body_iterator.aclose()
        return PlainTextResponse(first)

    client = await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert (client.body, events) == (b"one ", [True])


async def test_asyncio_wait_for_around_call_next(layer, place, on_asyncio):
    async def dispatch(request, call_next):
        return await asyncio.wait_for(call_next(request), 10)

    client = await Client().request(layer(place(three_chunks), dispatch=dispatch))
    assert client.body == b"one two three"


async def test_asyncio_timeouts_in_dispatch_and_application(layer, place, on_asyncio):
    async def app(scope, receive, send):
        async with asyncio.timeout(10):
            await three_chunks(scope, receive, send)

    async def dispatch(request, call_next):
        async with asyncio.timeout(10):
            response = await call_next(request)
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return response

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"one two three"


async def test_asyncio_timeout_of_parked_application_reaches_it(layer, on_asyncio):
    events, over = [], anyio.Event()

    async def app(scope, receive, send):
        await send(dict(START))
        await send(chunk(b"one "))
        try:
            async with asyncio.timeout(0.02):
                await send(chunk(b"never taken "))
        except TimeoutError:
            events.append("timeout")
            over.set()

    async def dispatch(request, call_next):
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(5):
            await over.wait()
        await response.body_iterator.aclose()
        return PlainTextResponse(first)

    client = await Client().request(layer(app, dispatch=dispatch))
    assert (client.body, events) == (b"one ", ["timeout"])


async def test_timeout_of_call_next_leaves_application_running_to_its_end(layer, place):
    events = []

    async def app(scope, receive, send):
        events.append(await receive())
        await send(dict(START))
        await send(chunk(b"late", more_body=False))
        events.append("app ends")

    async def dispatch(request, call_next):
        with anyio.move_on_after(0.02):
            return await call_next(request)
        return PlainTextResponse("too slow", status_code=504)

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert (client.status, client.body) == (504, b"too slow")
    assert events == [{"type": "http.disconnect"}, "app ends"]


# Errors


async def test_error_before_the_response_reaches_dispatch(layer, place_in_own_task):
    async def app(scope, receive, send):
        raise KeyError("app")

    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        except KeyError as error:
            return PlainTextResponse(repr(error), status_code=500)

    client = await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert (client.status, client.body) == (500, b"KeyError('app')")


async def test_error_before_the_response_passes_unchanged_through_layers(layer, place_in_own_task):
    error = KeyError("app")

    async def app(scope, receive, send):
        raise error

    stack = layer(layer(place_in_own_task(app), dispatch=pass_on), dispatch=pass_on)
    with pytest.raises(KeyError) as caught:
        await Client().request(stack)
    assert caught.value is error


async def test_error_group_of_the_application_stays_a_group(layer):
    async def app(scope, receive, send):
        raise ExceptionGroup("two", [ValueError(1), KeyError(2)])

    with pytest.raises(ExceptionGroup, match="two"):
        await Client().request(layer(app, dispatch=pass_on))


@pytest.mark.parametrize("how", ["cause", "context", "neither"])
async def test_error_keeps_what_it_came_from(layer, place_in_own_task, how):
    async def app(scope, receive, send):
        if how == "neither":
            raise KeyError("outer")
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise KeyError("outer") from (inner if how == "cause" else inner.__cause__)

    with pytest.raises(KeyError) as caught:
        await Client().request(layer(place_in_own_task(app), dispatch=pass_on))
    assert caught.value.__suppress_context__
    assert repr(caught.value.__cause__) == ("None" if how == "neither" else "ValueError('inner')")


async def test_application_without_response_is_an_error(layer, place):
    async def app(scope, receive, send):
        pass

    with pytest.raises(RuntimeError, match=r"^No response returned\.$"):
        await Client().request(layer(place(app), dispatch=pass_on))


async def test_application_that_cannot_be_called_is_an_error(layer):
    with pytest.raises(TypeError):
        await Client().request(layer(lambda scope: None, dispatch=pass_on))


async def test_application_that_is_no_coroutine_function_is_awaited(layer, place):
    class Task:
        def __init__(self, *arguments):
            self.arguments = arguments

        def __await__(self):
            return hello(*self.arguments).__await__()

    client = await Client().request(layer(place(Task) if place is not in_child_task else Task, dispatch=pass_on))
    assert client.body == b"hello"


async def test_error_after_the_response_is_raised_at_the_end(layer, place_in_own_task):
    async def app(scope, receive, send):
        await hello(scope, receive, send)
        raise KeyError("after")

    client = Client()
    with pytest.raises(KeyError, match="after"):
        await client.request(layer(place_in_own_task(app), dispatch=pass_on))
    assert (client.body, client.is_complete) == (b"hello", True)


@pytest.mark.parametrize("layers", [1, 3])
async def test_error_in_the_stream_aborts_the_response(place_in_own_task, layers):
    async def app(scope, receive, send):
        await send(dict(START))
        await send(chunk(b"half"))
        raise KeyError("broken")

    stack = place_in_own_task(app)
    for _ in range(layers):
        stack = BaseHTTPMiddleware(stack, dispatch=pass_on)
    client = Client()
    with pytest.raises(KeyError, match="broken"):
        await client.request(stack)
    assert client.sent == [START, chunk(b"half")]


async def test_error_in_the_stream_can_be_handled_by_who_reads_it(place_in_own_task):
    async def app(scope, receive, send):
        await send(dict(START))
        await send(chunk(b"half"))
        raise KeyError("broken")

    async def dispatch(request, call_next):
        response = await call_next(request)
        try:
            return PlainTextResponse(b"".join([part async for part in response.body_iterator]))
        except KeyError:
            return PlainTextResponse("sorry", status_code=502)

    client = await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert (client.status, client.body) == (502, b"sorry")


async def test_error_of_dispatch_is_raised_plainly(layer, place):
    async def dispatch(request, call_next):
        await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(three_chunks), dispatch=dispatch))


async def test_error_of_dispatch_cancels_the_application_at_each_await(layer, place):
    events = []

    async def app(scope, receive, send):
        try:
            await send(dict(START))
            await send(chunk(b"never taken"))
        finally:
            try:
                events.append("clean up")
                await anyio.lowlevel.checkpoint()
                await anyio.sleep(10)
                events.append("not cancelled again")
            finally:
                events.append("app ends")

    async def dispatch(request, call_next):
        await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(app), dispatch=dispatch))
    assert events == ["clean up", "app ends"]


async def test_error_of_dispatch_does_not_break_a_shield(layer, place):
    events = []

    async def app(scope, receive, send):
        try:
            await send(dict(START))
            await send(chunk(b"never taken"))
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.sleep(0.005)
                events.append("cleaned up")
            await anyio.lowlevel.checkpoint()
            events.append("not cancelled again")

    async def dispatch(request, call_next):
        await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(app), dispatch=dispatch))
    assert events == ["cleaned up"]


async def test_error_of_dispatch_cancels_an_application_that_has_not_answered(layer, place):
    events = []

    async def app(scope, receive, send):
        try:
            await anyio.sleep_forever()
        finally:
            events.append("app ends")

    async def dispatch(request, call_next):
        with anyio.move_on_after(0.02):
            await call_next(request)
        raise KeyError("dispatch")

    with pytest.raises(KeyError, match="dispatch"):
        await Client().request(layer(place(app), dispatch=dispatch))
    assert events == ["app ends"]


async def test_client_gone_while_sending_ends_the_application(layer, place):
    events = []

    async def app(scope, receive, send):
        await send(dict(START))
        try:
            while True:
                await send(chunk(b"more"))
        finally:
            events.append("app ends")

    async def fail(message):
        if len(client.sent) == 4:
            raise OSError("gone")

    client = Client(on_send=fail)
    with pytest.raises(OSError, match="gone"):
        await client.request(layer(place(app), dispatch=pass_on))
    assert (len(client.sent), events) == (4, ["app ends"])


async def cancelled_when(reached, app):
    """Runs a request and cancels it once `reached` is set."""
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(Client().request, app)
        with anyio.fail_after(10):
            await reached.wait()
        task_group.cancel_scope.cancel()


async def test_cancellation_from_outside_ends_both(layer, place):
    events, reached = [], anyio.Event()

    async def app(scope, receive, send):
        await send(dict(START))
        try:
            await send(chunk(b"one "))
            reached.set()
            await anyio.sleep_forever()
        finally:
            events.append("app")

    async def dispatch(request, call_next):
        try:
            response = await call_next(request)
            assert [part async for part in response.body_iterator]
        finally:
            events.append("dispatch")
        raise AssertionError("cancelled before")

    await cancelled_when(reached, layer(layer(place(app), dispatch=dispatch), dispatch=pass_on))
    assert sorted(events) == ["app", "dispatch"]


async def test_asyncio_cancel_from_outside_ends_both(layer, place, on_asyncio):
    events = []
    started = asyncio.Event()

    async def app(scope, receive, send):
        try:
            started.set()
            await asyncio.sleep(30)
        finally:
            events.append("app")

    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        finally:
            events.append("dispatch")

    task = asyncio.create_task(Client().request(layer(place(app), dispatch=dispatch)))
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(events) == ["app", "dispatch"]


async def test_cancellation_during_background_work_reaches_it(layer, place):
    events, reached = [], anyio.Event()

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        try:
            reached.set()
            await anyio.sleep_forever()
        finally:
            events.append("app ends")

    await cancelled_when(reached, layer(place(app), dispatch=pass_on))
    assert events == ["app ends"]


async def test_chunk_whose_sending_was_cancelled_is_not_sent(layer, place_in_own_task):
    async def app(scope, receive, send):
        await send(dict(START))
        await send(chunk(b"one "))
        with anyio.move_on_after(0.02):
            await send(chunk(b"cancelled "))
        over.set()
        await send(chunk(b"two", more_body=False))

    over = anyio.Event()

    async def dispatch(request, call_next):
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(5):
            await over.wait()
        return PlainTextResponse(b"".join([first] + [part async for part in response.body_iterator]))

    client = await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert client.body == b"one two"


# Background work, other responses, several calls


@pytest.mark.parametrize("layers", [1, 3])
async def test_background_work_comes_after_the_response_and_is_awaited(layer, place, layers):
    events = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        events.append(client.is_complete)
        await anyio.sleep(0.005)
        events.append(await receive())

    stack = place(app)
    for _ in range(layers):
        stack = layer(stack, dispatch=pass_on)
    client = Client()
    await client.request(stack)
    assert events == [True, {"type": "http.disconnect"}]


async def test_other_response_drops_the_applications_messages_and_lets_it_end(layer, place):
    events = []

    async def app(scope, receive, send):
        await three_chunks(scope, receive, send)
        events.append(await receive())

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("other")

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert (client.body, events) == (b"other", [{"type": "http.disconnect"}])


async def test_other_response_and_then_an_error_of_the_application_is_raised(layer, place_in_own_task):
    async def app(scope, receive, send):
        await three_chunks(scope, receive, send)
        raise KeyError("late")

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("other")

    client = Client()
    with pytest.raises(KeyError, match="late"):
        await client.request(layer(place_in_own_task(app), dispatch=dispatch))
    assert client.body == b"other"


async def test_dropped_endless_stream_leaves_the_loop_to_others(layer, place):
    async def app(scope, receive, send):
        await send(dict(START))
        async with anyio.create_task_group() as task_group:

            async def end_on_disconnect():
                while (await receive())["type"] != "http.disconnect":
                    pass
                task_group.cancel_scope.cancel()

            task_group.start_soon(end_on_disconnect)
            while True:
                await send(chunk(b"more"))

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("other")

    client = await Client({"type": "http.request"}).request(layer(place(app), dispatch=dispatch))
    assert client.body == b"other"


async def test_dispatch_that_never_calls_next_starts_nothing(layer):
    async def app(scope, receive, send):
        raise AssertionError("not called")

    async def dispatch(request, call_next):
        return PlainTextResponse("own")

    client = await Client().request(layer(app, dispatch=dispatch))
    assert client.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"3"), (b"content-type", b"text/plain; charset=utf-8")],
        },
        {"type": "http.response.body", "body": b"own"},
    ]


async def test_second_call_after_the_first_response_was_read(layer, place):
    async def dispatch(request, call_next):
        first = await call_next(request)
        body = b"".join([part async for part in first.body_iterator])
        second = await call_next(request)
        second.headers["x-first"] = body.decode()
        return second

    client = await Client().request(layer(place(hello), dispatch=dispatch))
    assert (client.body, client.headers[b"x-first"]) == (b"hello", b"hello")


async def test_second_call_after_an_error_starts_anew(place_in_own_task):
    calls = []

    async def app(scope, receive, send):
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        while True:
            try:
                return await call_next(request)
            except ConnectionError:
                pass

    client = await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert (client.body, len(calls)) == (b"hello", 3)


async def test_two_calls_at_the_same_time_both_give_a_response(place):
    async def dispatch(request, call_next):
        bodies = []

        async def call():
            response = await call_next(request)
            bodies.append(b"".join([part async for part in response.body_iterator]))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(call)
            task_group.start_soon(call)
        return PlainTextResponse(b"|".join(bodies))

    client = await Client().request(BaseHTTPMiddleware(place(three_chunks), dispatch=dispatch))
    assert client.body == b"one two three|one two three"


# Backpressure and concurrency


async def test_application_is_at_most_one_chunk_ahead(layer, place):
    made = []

    async def app(scope, receive, send):
        await send(dict(START))
        for number in range(6):
            made.append(number)
            await send(chunk(b"%d" % number))
        await send(chunk(b"", more_body=False))

    ahead = []

    async def slow(message):
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        if message["type"] == "http.response.body" and message["body"]:
            ahead.append(len(made) - int(message["body"]) - 1)

    client = await Client(on_send=slow).request(layer(place(app), dispatch=pass_on))
    assert client.body == b"012345"
    assert max(ahead) <= 1


async def test_application_goes_on_once_its_chunk_was_taken(layer, place):
    """A dispatch that takes a chunk and then waits for what the application does next must not wait for ever."""
    went_on = anyio.Event()

    async def app(scope, receive, send):
        await send(dict(START))
        await send(chunk(b"one "))
        went_on.set()
        await send(chunk(b"two", more_body=False))

    async def dispatch(request, call_next):
        response = await call_next(request)
        first = await response.body_iterator.__anext__()
        with anyio.fail_after(5):
            await went_on.wait()
        rest = [part async for part in response.body_iterator]
        return PlainTextResponse(b"".join([first, *rest]))

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"one two"


async def test_several_tasks_of_the_application_send(layer):
    async def app(scope, receive, send):
        await send(dict(START))
        async with anyio.create_task_group() as task_group:
            for number in range(5):
                task_group.start_soon(send, chunk(b"%d" % number))
        await send(chunk(b"", more_body=False))

    client = await Client().request(layer(app, dispatch=pass_on))
    assert sorted(client.body) == sorted(b"01234")


async def test_streaming_response_below_streams(layer, place):
    async def numbers():
        for number in range(5):
            yield str(number)

    client = await Client().request(layer(place(StreamingResponse(numbers())), dispatch=pass_on))
    assert (client.body, client.is_complete) == (b"01234", True)


# The request's way down


def body_message(body, more_body=False):
    return {"type": "http.request", "body": body, "more_body": more_body}


async def read_all(receive):
    messages = []
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


READERS = {
    "nothing": ([b"ab", b"cd"], None),
    "body": ([b"abcd"], b"abcd"),
    "stream": ([b""], b"abcd"),
    "first chunk": ([b"cd"], b"ab"),
}


@pytest.mark.parametrize("what", READERS)
async def test_body_read_by_dispatch_is_read_again_by_the_application(layer, place, what):
    seen = []

    async def app(scope, receive, send):
        seen.extend(message["body"] for message in await read_all(receive))
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        read = None
        if what == "body":
            read = await request.body()
        elif what == "stream":
            read = b"".join([part async for part in request.stream()])
        elif what == "first chunk":
            stream = request.stream()
            read = await stream.__anext__()
            await stream.aclose()
        assert read == READERS[what][1]
        return await call_next(request)

    client = Client(body_message(b"ab", True), body_message(b"", True), body_message(b"cd"))
    await client.request(layer(place(app), dispatch=dispatch))
    assert seen == READERS[what][0]


async def test_body_read_by_the_application_is_gone_for_dispatch(layer, place):
    async def app(scope, receive, send):
        await read_all(receive)
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        response = await call_next(request)
        with pytest.raises(RuntimeError, match="Stream consumed"):
            await request.body()
        return response

    client = await Client(body_message(b"ab")).request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


async def test_body_is_read_in_each_of_three_layers_and_below(layer, place):
    seen = []

    async def app(scope, receive, send):
        seen.append([message["body"] for message in await read_all(receive)])
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        seen.append(await request.body())
        return await call_next(request)

    stack = place(app)
    for _ in range(3):
        stack = layer(stack, dispatch=dispatch)
    await Client(body_message(b"a", True), body_message(b"b")).request(stack)
    assert seen == [b"ab", b"ab", b"ab", [b"ab"]]


async def test_disconnect_reaches_the_application_and_is_known_to_dispatch(layer, place):
    async def app(scope, receive, send):
        assert [await receive(), await receive()] == [{"type": "http.disconnect"}] * 2
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        response = await call_next(request)
        assert await request.is_disconnected()
        return response

    client = Client()
    client.disconnected.set()
    await client.request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


async def test_disconnect_after_the_body_reaches_the_application(layer, place):
    async def app(scope, receive, send):
        await read_all(receive)
        client.disconnected.set()
        assert [await receive(), await receive()] == [{"type": "http.disconnect"}] * 2
        await hello(scope, receive, send)

    client = Client(body_message(b"ab"))
    await client.request(layer(place(app), dispatch=pass_on))
    assert client.body == b"hello"


async def test_disconnect_seen_by_dispatch_is_not_waited_for_again(layer, place):
    async def app(scope, receive, send):
        assert (await receive())["body"] == b"ab"
        assert (await receive())["type"] == "http.disconnect"
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        await request.body()
        assert await request.is_disconnected()
        client.disconnected = anyio.Event()  # a server that tells it only once
        return await call_next(request)

    client = Client(body_message(b"ab"), {"type": "http.disconnect"})
    await client.request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


async def test_second_body_from_the_server_is_an_error(place_in_own_task):
    async def app(scope, receive, send):
        await receive()
        await receive()

    client = Client(body_message(b"ab"), body_message(b"cd"))
    with pytest.raises(RuntimeError, match=r"Unexpected message received: http\.request"):
        await client.request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=pass_on))


async def test_message_of_an_unknown_type_is_passed_over(place):
    async def app(scope, receive, send):
        assert [message["body"] for message in await read_all(receive)] == [b"ab"]
        await hello(scope, receive, send)

    client = Client({"type": "http.something"}, body_message(b"ab"))
    await client.request(BaseHTTPMiddleware(place(app), dispatch=pass_on))
    assert client.body == b"hello"


async def test_waiting_receive_is_told_of_the_responses_end(layer):
    seen = []

    async def app(scope, receive, send):
        async def listen():
            seen.append(await receive())

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(listen)
            await anyio.sleep(0.005)
            await hello(scope, receive, send)

    client = await Client().request(layer(app, dispatch=pass_on))
    assert (client.body, seen) == (b"hello", [{"type": "http.disconnect"}])


async def test_scope_changed_by_dispatch_is_seen_below(layer, place):
    async def app(scope, receive, send):
        assert scope["state"] == {"user": "ada"}
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        request.state.user = "ada"
        return await call_next(request)

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass_untouched(layer, kind):
    seen = []

    async def app(*arguments):
        seen.append(arguments)

    async def dispatch(request, call_next):
        raise AssertionError("not for HTTP")

    client = Client()
    arguments = {"type": kind}, client.receive, client.send
    await layer(app, dispatch=dispatch)(*arguments)
    assert seen == [arguments]
    assert seen[0][0] is arguments[0]


# Whose task and context it is

word = contextvars.ContextVar("word", default="nothing")


async def test_context_of_dispatch_is_seen_below(layer, place):
    async def app(scope, receive, send):
        assert word.get() == "from dispatch"
        await hello(scope, receive, send)

    async def dispatch(request, call_next):
        word.set("from dispatch")
        return await call_next(request)

    client = await Client().request(layer(place(app), dispatch=dispatch))
    assert client.body == b"hello"


@pytest.mark.parametrize("layers", [1, 3])
async def test_context_set_below_is_seen_by_dispatch(place_in_own_task, layers):
    async def app(scope, receive, send):
        word.set("from below")
        await hello(scope, receive, send)

    seen = []

    async def dispatch(request, call_next):
        response = await call_next(request)
        seen.append(word.get())
        return response

    stack = place_in_own_task(app)
    for _ in range(layers):
        stack = BaseHTTPMiddleware(stack, dispatch=dispatch)
    await Client().request(stack)
    assert seen == ["from below"] * layers


async def test_context_set_below_is_seen_by_dispatch_when_the_application_fails(place_in_own_task):
    async def app(scope, receive, send):
        word.set("from below")
        raise KeyError

    async def dispatch(request, call_next):
        with pytest.raises(KeyError):
            await call_next(request)
        return PlainTextResponse(word.get())

    client = await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert client.body == b"from below"


async def test_context_variable_can_be_reset_below_across_waits(layer, place):
    async def app(scope, receive, send):
        token = word.set("for a while")
        await send(dict(START))
        await anyio.lowlevel.checkpoint()
        await send(chunk(b"one"))
        assert word.get() == "for a while"
        await send(chunk(b"", more_body=False))
        word.reset(token)

    client = await Client().request(layer(place(app), dispatch=pass_on))
    assert client.body == b"one"


@pytest.mark.parametrize("before", [None, "before"])
async def test_context_variable_reset_below_is_reset_above(place_in_own_task, before):
    fresh = contextvars.ContextVar("fresh")
    if before is not None:
        fresh.set(before)

    async def app(scope, receive, send):
        token = fresh.set("for a while")
        await hello(scope, receive, send)
        fresh.reset(token)

    async def dispatch(request, call_next):
        response = await call_next(request)
        assert fresh.get() == "for a while"
        return response

    await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert fresh.get(None) == before


async def test_context_variable_set_by_dispatch_afterwards_is_kept(place_in_own_task):
    async def app(scope, receive, send):
        token = word.set("for a while")
        await hello(scope, receive, send)
        word.reset(token)

    async def dispatch(request, call_next):
        response = await call_next(request)
        word.set("mine")
        return response

    await Client().request(BaseHTTPMiddleware(place_in_own_task(app), dispatch=dispatch))
    assert word.get() == "mine"


async def test_current_task_of_the_application_stays_the_same(layer, place_in_own_task, anyio_backend):
    tasks = []

    async def app(scope, receive, send):
        assert sniffio.current_async_library() == anyio_backend
        tasks.append(anyio.get_current_task().id)
        await send(dict(START))
        tasks.append(anyio.get_current_task().id)
        await anyio.lowlevel.checkpoint()
        tasks.append(anyio.get_current_task().id)
        await send(chunk(b"one"))
        tasks.append(anyio.get_current_task().id)
        await send(chunk(b"", more_body=False))
        tasks.append(anyio.get_current_task().id)

    async def dispatch(request, call_next):
        own = anyio.get_current_task().id
        response = await call_next(request)
        assert anyio.get_current_task().id == own
        assert own not in tasks
        return response

    await Client().request(layer(place_in_own_task(app), dispatch=dispatch))
    assert len(tasks) == 5
    assert len(set(tasks)) == 1


async def test_task_is_shown_as_what_it_runs(on_asyncio):
    shown = []

    async def app(scope, receive, send):
        task = asyncio.current_task()
        shown.append(repr(task))
        shown.extend(task.get_stack())
        await hello(scope, receive, send)

    await Client().request(BaseHTTPMiddleware(app, dispatch=pass_on))
    assert "_run" in shown[0]
    assert len(shown) > 1


async def test_no_task_is_left_behind(layer, place, on_asyncio):
    before = asyncio.all_tasks()
    for app in (hello, three_chunks):
        await Client().request(layer(layer(place(app), dispatch=pass_on), dispatch=pass_on))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_request_leaves_no_reference_circle(on_asyncio):
    class Payload:
        pass

    payload = Payload()
    gone = weakref.ref(payload)

    async def app(scope, receive, send):
        await receive()
        await three_chunks(scope, receive, send)

    gc.collect()
    gc.disable()
    try:
        client = Client(body_message(b""))
        await client.request(BaseHTTPMiddleware(app, dispatch=pass_on), payload=payload)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del payload
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_child_task_of_the_application_sends(layer, on_asyncio):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        client = await Client().request(layer(in_child_task(three_chunks), dispatch=pass_on))
    finally:
        loop.set_task_factory(None)
    assert client.body == b"one two three"


async def test_send_of_an_outer_layer_used_below_an_inner_one(layer):
    """What `request._send` of a dispatch is good for: an event stream that goes past the inner layer."""

    async def app(scope, receive, send):
        await scope["outer_send"](dict(START))
        await scope["outer_send"](chunk(b"past"))
        await scope["outer_send"](chunk(b" by", more_body=False))

    async def note(request, call_next):
        request.scope["outer_send"] = request._send
        try:
            return await call_next(request)
        except RuntimeError:
            return Quiet()

    class Quiet:
        async def __call__(self, scope, receive, send):
            pass

    client = Client()
    await client.request(layer(layer(app, dispatch=note), dispatch=pass_on))
    assert client.body == b"past by"


# How it is subclassed


async def test_dispatch_overridden_is_called(layer):
    class Tagging(layer):
        def __init__(self, app, tag):
            super().__init__(app)
            self.tag = tag

        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-tag"] = self.tag
            return response

    middleware = Tagging(hello, tag="blue")
    client = await Client().request(middleware)
    assert client.headers[b"x-tag"] == b"blue"
    assert middleware.app is hello
    assert middleware.dispatch_func == middleware.dispatch


async def test_dispatch_replaced_on_the_instance_is_called(layer):
    async def dispatch(request, call_next):
        return PlainTextResponse("replaced")

    middleware = layer(hello, dispatch=pass_on)
    middleware.dispatch_func = dispatch
    assert (await Client().request(middleware)).body == b"replaced"


async def test_application_replaced_on_the_instance_is_called(layer):
    middleware = layer(hello, dispatch=pass_on)
    middleware.app = three_chunks
    assert (await Client().request(middleware)).body == b"one two three"


async def test_call_overridden_may_go_round_it(layer):
    class Sometimes(layer):
        async def __call__(self, scope, receive, send):
            if scope["path"] == "/skip":
                await self.app(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    async def dispatch(request, call_next):
        return PlainTextResponse("dispatched")

    middleware = Sometimes(hello, dispatch=dispatch)
    assert (await Client().request(middleware)).body == b"dispatched"
    assert (await Client().request(middleware, path="/skip")).body == b"hello"


async def test_dispatch_not_given_is_an_error():
    with pytest.raises(NotImplementedError):
        await Client().request(BaseHTTPMiddleware(hello))


async def test_response_class_is_a_response_and_can_be_made_from_content():
    from pallasite.middleware.base import _StreamingResponse

    async def content():
        yield b"a"
        yield b"b"

    response = _StreamingResponse(
        content(), status_code=201, headers={"x": "y"}, media_type="text/plain", info={"debug": 1}
    )
    assert isinstance(response, Response)
    client = await Client().request(response)
    assert client.sent == [
        {"type": "http.response.debug", "info": {"debug": 1}},
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"x", b"y"), (b"content-type", b"text/plain; charset=utf-8")],
        },
        chunk(b"a"),
        chunk(b"b"),
        chunk(b"", more_body=False),
    ]


async def test_request_given_to_dispatch_is_a_request():
    kinds = []

    async def dispatch(request, call_next):
        kinds.append(isinstance(request, Request))
        assert not hasattr(request, "_body")
        return await call_next(request)

    await Client().request(BaseHTTPMiddleware(hello, dispatch=dispatch))
    assert kinds == [True]
