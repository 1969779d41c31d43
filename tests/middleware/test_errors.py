"""The last resort: the response to an unhandled exception, and what the server receives."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from pallasite._compat import mode
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.middleware import errors
from pallasite.middleware._debug_values import MAX_VALUE_CHARS
from pallasite.middleware.errors import MAX_FRAMES, MAX_LOCALS, MAX_TEXT_CHARS, ServerErrorMiddleware
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Route, WebSocketRoute, request_response
from pallasite.testclient import TestClient
from pallasite.types import ASGIApp, Message
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.asgi import Client


class Broken(Exception):
    pass


async def fail(request: Request) -> Response:
    marker = "a <value> & more"
    raise Broken(f"it <b>broke</b>: {len(marker)}")


def test_unhandled_exception_is_a_plain_500_and_is_raised_on(test_client_factory: Any) -> None:
    app = Pallasite(routes=[Route("/", fail)])
    with pytest.raises(Broken):
        test_client_factory(app).get("/")
    response = test_client_factory(app, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.text) == (500, "Internal Server Error")


@pytest.mark.parametrize("key", [500, Exception], ids=["status", "class"])
@pytest.mark.parametrize("is_async", [True, False], ids=["coroutine", "function"])
def test_handler_returns_the_500(key: Any, is_async: bool, test_client_factory: Any) -> None:
    def handler(request: Request, exc: Exception) -> Response:
        return JSONResponse({"error": type(exc).__name__, "path": request.url.path}, status_code=500)

    async def async_handler(request: Request, exc: Exception) -> Response:
        return handler(request, exc)

    app = Pallasite(routes=[Route("/", fail)], exception_handlers={key: async_handler if is_async else handler})
    response = test_client_factory(app, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.json()) == (500, {"error": "Broken", "path": "/"})


def test_debug_page_is_plain_text_unless_the_client_wants_html(test_client_factory: Any) -> None:
    client = test_client_factory(Pallasite(debug=True, routes=[Route("/", fail)]), raise_server_exceptions=False)
    response = client.get("/")
    assert response.status_code == 500
    assert response.headers["content-type"].startswith("text/plain")
    assert "Traceback (most recent call last)" in response.text
    assert "Broken: it <b>broke</b>: 16" in response.text


def test_debug_page_for_a_browser_escapes_everything(test_client_factory: Any) -> None:
    client = test_client_factory(Pallasite(debug=True, routes=[Route("/", fail)]), raise_server_exceptions=False)
    response = client.get("/", headers={"accept": "text/html"})
    assert response.headers["content-type"].startswith("text/html")
    assert "it &lt;b&gt;broke&lt;/b&gt;" in response.text
    assert "<b>broke" not in response.text
    assert "a &lt;value&gt; &amp; more" in response.text  # a local variable
    assert "raise Broken" in response.text  # the source line


def test_debug_page_shows_bounded_values_and_survives_a_broken_repr() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    def deep(level: int) -> None:
        huge, odd = "x" * 100_000, Unprintable()
        if not level:
            raise Broken(huge, odd)
        deep(level - 1)

    middleware = ServerErrorMiddleware(PlainTextResponse("unused"), debug=True)
    try:
        deep(200)
    except Broken as exc:
        exc.args = ("y" * 100_000,)
        page = middleware.generate_html(exc)
        assert "repr() failed: RuntimeError" in page
        assert "x" * (MAX_VALUE_CHARS + 1) not in page
        assert page.count("<details") <= 51
        assert len(page) < 1_000_000
    assert MAX_LOCALS > 0


def raised(function: Any, *arguments: Any) -> Exception:
    try:
        function(*arguments)
    except Exception as exc:
        return exc
    raise AssertionError("nothing was raised")


def sink(levels: int) -> None:
    depth_of_this_frame = levels  # noqa: F841
    if levels == 0:
        raise Broken("at the bottom")
    sink(levels - 1)


PAGE = ServerErrorMiddleware(PlainTextResponse("unused"), debug=True)


@pytest.mark.parametrize("levels", [0, 1, MAX_FRAMES - 2, MAX_FRAMES - 1, MAX_FRAMES, MAX_FRAMES + 1, 300])
def test_debug_page_has_the_innermost_frames(levels: int) -> None:
    page = PAGE.generate_html(raised(sink, levels))
    frames = min(levels + 2, MAX_FRAMES)  # with that of `raised`
    assert page.count("<b>") == frames
    shown = min(levels + 1, MAX_FRAMES)
    assert page.count("depth_of_this_frame</td>") == shown
    assert f"depth_of_this_frame</td><td>{shown - 1}</td>" in page
    assert "depth_of_this_frame</td><td>0</td>" in page


def test_debug_text_of_a_long_message_has_its_ends() -> None:
    text = PAGE.generate_plain_text(raised(int, "y" * 5 + "z" * 10))
    assert "left out" not in text
    text = PAGE.generate_plain_text(Broken("begin" + "x" * MAX_TEXT_CHARS + "end"))
    assert len(text) < MAX_TEXT_CHARS + 100
    assert "begin" in text
    assert "characters left out" in text
    assert text.endswith("end\n")


class Endless(Exception):
    def __str__(self) -> str:
        while self.args == ():
            pass
        return "never"


class Wordless(Exception):
    def __str__(self) -> str:
        raise SystemExit


def test_debug_page_of_an_exception_that_cannot_be_formatted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "TEXT_SECONDS", 0.05)
    page = PAGE.generate_html(raised(throw, Endless()))
    assert "str() failed: TooSlow" in page
    assert "Endless: &lt;exception str() failed&gt;" in page
    assert "Wordless: &lt;str() failed: SystemExit&gt;" in PAGE.generate_html(Wordless())
    monkeypatch.setattr(errors, "TEXT_SECONDS", -1)
    assert PAGE.generate_plain_text(Broken("x")) == "Broken: the traceback takes too long to be shown\n"


def throw(exc: Exception) -> None:
    raise exc


def test_debug_page_limits_the_time_for_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def __repr__(self) -> str:
            while True:
                pass

    def fails() -> None:
        first, second = Slow(), Slow()
        raise Broken(str(first is second))

    monkeypatch.setattr(errors, "FRAME_SECONDS", 0.02)
    page = PAGE.generate_html(raised(fails))
    assert page.count("&lt;Slow: repr() takes too long&gt;") == 2


def test_debug_page_hides_what_is_called_secret() -> None:
    def fails() -> None:
        password = api_key = "s3" + "cret"
        headers = {"authorization": password, "accept": "plain"}
        raw = [(b"cookie", api_key), (b"accept", "plain")]
        raise Broken(f"{len(headers)}{len(raw)}")

    page = PAGE.generate_html(raised(fails))
    assert "s3" + "cret" not in page
    assert page.count("hidden: the name suggests a secret") == 4
    assert page.count("&#x27;plain&#x27;") == 2


def test_debug_page_shows_so_many_locals() -> None:
    source = "\n".join(f"v{number} = {number}" for number in range(MAX_LOCALS + 5))
    page = PAGE.generate_html(raised(exec, f"def f():\n {source.replace(chr(10), chr(10) + ' ')}\n 1/0\nf()", {}))
    assert f"<td>v{MAX_LOCALS - 1}</td>" in page
    assert f"<td>v{MAX_LOCALS}</td>" not in page


@pytest.mark.parametrize("debug", ["", "false", "0", "1", "true"])
def test_debug_from_the_environment_is_refused(debug: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="debug must be True or False"):
        Pallasite(debug=debug).build_middleware_stack()
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    Pallasite(debug=debug).build_middleware_stack()


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize("handled", [False, True])
def test_debug_page_is_not_shown_without_debug(accept: str, handled: bool, test_client_factory: Any) -> None:
    async def handler(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("ours", status_code=500)

    app = Pallasite(routes=[Route("/", fail)], exception_handlers={500: handler} if handled else None)
    client = test_client_factory(app, raise_server_exceptions=False)
    assert client.get("/", headers={"accept": accept}).text == ("ours" if handled else "Internal Server Error")


def test_debug_page_of_an_exception_never_raised_has_no_frames() -> None:
    page = ServerErrorMiddleware(PlainTextResponse("unused")).generate_html(Broken("quiet"))
    assert "Broken: quiet" in page


def test_exception_after_the_response_started_is_raised_only(test_client_factory: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        raise Broken("late")

    wrapped = ServerErrorMiddleware(app)
    with pytest.raises(Broken):
        test_client_factory(wrapped).get("/")
    response = test_client_factory(wrapped, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.text) == (200, "done")


def test_failing_background_task_leaves_the_response_alone(test_client_factory: Any) -> None:
    def task() -> None:
        raise Broken("in the background")

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("sent", background=BackgroundTask(task))

    client = test_client_factory(Pallasite(routes=[Route("/", endpoint)]), raise_server_exceptions=False)
    assert client.get("/").text == "sent"


async def gone(app: ASGIApp, *, cannot_read: bool) -> list[Message]:
    """Return the messages to a client that sends half a body and disconnects. `send` fails if it `cannot_read`."""

    async def fail_to_read(message: Message) -> None:
        client.sent.remove(message)
        raise OSError("gone")

    client = Client(
        {"type": "http.request", "body": b"half", "more_body": True}, on_send=fail_to_read if cannot_read else None
    )
    client.gone.set()
    return (await client.request(app, method="POST")).sent


async def read_body(request: Request) -> Response:
    return Response(await request.body())


@pytest.mark.anyio
@pytest.mark.parametrize("cannot_read", [False, True])
@pytest.mark.parametrize(
    "app",
    [
        Pallasite(routes=[Route("/", read_body, methods=["POST"])]),
        Pallasite(
            debug=True,
            routes=[Route("/", read_body, methods=["POST"])],
            exception_handlers=cast(Any, {Exception: fail}),
        ),
        ServerErrorMiddleware(request_response(read_body)),
    ],
    ids=["stock", "debug", "alone"],
)
async def test_client_that_disconnects_in_its_body_is_not_an_error(
    app: ASGIApp, cannot_read: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "pallasite.errors"):
        sent = await gone(app, cannot_read=cannot_read)
    assert [message.get("status") for message in sent] == ([] if cannot_read else [400, None])
    assert caplog.messages == ["the client of POST / went away"]


@pytest.mark.anyio
@pytest.mark.parametrize("handlers", [{}, {ClientDisconnect: fail}], ids=["no-handler", "handler"])
async def test_response_in_the_middle_of_which_the_client_goes_away_is_cut_off(handlers: Any) -> None:
    async def echo(request: Request) -> Response:
        return StreamingResponse(request.stream())

    app = Pallasite(routes=[Route("/", echo, methods=["POST"])], exception_handlers=handlers)
    sent = await gone(app, cannot_read=False)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]


def test_handler_for_a_client_that_went_away_is_called() -> None:
    async def gone(request: Request, exc: Exception) -> Response:
        return Response(status_code=418)

    async def leave(request: Request) -> Response:
        raise ClientDisconnect

    app = Pallasite(routes=[Route("/", leave)], exception_handlers={ClientDisconnect: gone})
    assert TestClient(app).get("/").status_code == 418


@pytest.mark.parametrize("standing_in", [False, True])
def test_websocket_whose_client_goes_away_is_an_error_only_for_starlette(
    standing_in: bool, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    monkeypatch.setattr(mode, "current", mode.STARLETTE if standing_in else mode.PALLASITE)
    client = test_client_factory(Pallasite(routes=[WebSocketRoute("/ws", listen)]))
    with (
        pytest.raises(WebSocketDisconnect) if standing_in else caplog.at_level(logging.DEBUG, "pallasite.errors"),
        client.websocket_connect("/ws"),
    ):
        pass
    assert caplog.messages == ([] if standing_in else ["the client of the websocket /ws went away"])


def test_other_protocols_pass_untouched(test_client_factory: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})
        raise Broken(scope["type"])

    with (
        pytest.raises(Broken, match="websocket"),
        test_client_factory(ServerErrorMiddleware(app)).websocket_connect("/"),
    ):
        pass


def test_debug_response_can_be_replaced_on_the_class(test_client_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(self: ServerErrorMiddleware, request: Request, exc: Exception) -> Response:
        return PlainTextResponse("my page", status_code=500)

    monkeypatch.setattr(ServerErrorMiddleware, "debug_response", mine)
    client = test_client_factory(Pallasite(debug=True, routes=[Route("/", fail)]), raise_server_exceptions=False)
    assert client.get("/").text == "my page"
