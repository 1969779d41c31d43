"""Subclasses of requests and responses."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.support.asgi import never, scope_of


def test_request_subclass_can_change_the_body(lib: Any, test_client_factory: Any) -> None:
    class Upper(lib("requests").Request):  # type: ignore[misc]
        async def body(self) -> bytes:
            if not hasattr(self, "_body"):
                self._body: bytes = (await super().body()).upper()
            return self._body

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Upper(scope, receive)
        await request.body()
        body = b"".join([chunk async for chunk in request.stream()])
        await lib("responses").Response(body)(scope, receive, send)

    assert test_client_factory(app).post("/", content=b"text").text == "TEXT"


def test_response_subclass_without_base_init_is_sent(lib: Any, test_client_factory: Any) -> None:
    """As sse-starlette's does: `init_headers`, `raw_headers` and its own `__call__`."""

    class Events(lib("responses").Response):  # type: ignore[misc]
        def __init__(self, events: list[str], headers: dict[str, str] | None = None) -> None:
            self.body_iterator = iter(events)
            self.status_code = 200
            self.media_type = "text/event-stream"
            self.background = None
            self.init_headers({"Cache-Control": "no-store", **(headers or {})})

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            for event in self.body_iterator:
                body = f"data: {event}\r\n\r\n".encode(self.charset)
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def events(request: Any) -> Any:
        return Events(["a", "b"], {"x-own": "1"})

    response = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/", events)])).get("/")
    assert response.text == "data: a\r\n\r\ndata: b\r\n\r\n"
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-own"] == "1"
    assert "content-length" not in response.headers


@pytest.mark.anyio
async def test_streaming_response_subclass_can_override_its_steps(lib: Any) -> None:
    """As ariadne's event stream does: `listen_for_disconnect` and `stream_response` are looked up on the instance."""
    steps: list[str] = []

    class Stream(lib("responses").StreamingResponse):  # type: ignore[misc]
        async def listen_for_disconnect(self, receive: Any) -> None:
            steps.append("listen")
            await super().listen_for_disconnect(receive)

        async def stream_response(self, send: Any) -> None:
            steps.append("stream")
            await super().stream_response(send)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(message)

    async def content() -> Any:
        for text in ("a", "b"):
            await anyio.lowlevel.checkpoint()
            yield text

    response = Stream(content(), media_type="text/plain")
    assert hasattr(response, "body_iterator")
    await response(scope_of(asgi={"spec_version": "2.3"}), never, send)
    assert sorted(steps) == ["listen", "stream"]
    assert [message.get("body") for message in sent] == [None, b"a", b"b", b""]
    steps.clear()
    await Stream(content())(scope_of(asgi={"spec_version": "2.4"}), never, send)
    assert steps == ["stream"]


@pytest.mark.parametrize("base", ["Response", "JSONResponse", "HTMLResponse", "PlainTextResponse"])
def test_response_subclass_can_override_render_and_media_type(lib: Any, base: str, test_client_factory: Any) -> None:
    class Own(getattr(lib("responses"), base)):  # type: ignore[misc]
        media_type = "text/x-own"
        charset = "latin-1"

        def render(self, content: Any) -> bytes:
            return repr(content).encode()

    async def show(request: Any) -> Any:
        return Own({"a": 1}, headers={"x-a": "b"})

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/", show)]))
    response = client.get("/")
    assert response.text == "{'a': 1}"
    assert response.headers["content-type"] == "text/x-own; charset=latin-1"
    assert response.headers["content-length"] == "8"
    assert response.headers["x-a"] == "b"


def test_response_subclass_call_is_awaited_by_every_way_in(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("responses").PlainTextResponse):  # type: ignore[misc]
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.headers["x-called"] = "yes"
            await super().__call__(scope, receive, send)

    async def show(request: Any) -> Any:
        if "fail" in request.query_params:
            raise LookupError
        return Own("own")

    async def handler(request: Any, exc: Exception) -> Any:
        return Own("handled", status_code=404)

    app = lib("applications").Starlette(
        routes=[lib("routing").Route("/", show)], exception_handlers={LookupError: handler}
    )
    client = test_client_factory(app)
    assert client.get("/").headers["x-called"] == "yes"
    assert client.get("/?fail=1").headers["x-called"] == "yes"
