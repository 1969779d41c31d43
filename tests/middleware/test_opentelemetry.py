"""Spans of requests: their number, names and attributes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.opentelemetry import OpenTelemetryMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, StreamingResponse
from pallasite.routing import Mount, Route, WebSocketRoute
from pallasite.types import Message
from pallasite.websockets import WebSocket
from tests.support.asgi import UNUSED, Sent
from tests.support.clients import ClientFactory

pytestmark = pytest.mark.anyio


class Recorded(trace.NonRecordingSpan):
    def __init__(self, name: str, parent: Any, kind: Any, attributes: Any) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.name, self.parent, self.kind, self.attributes = name, parent, kind, dict(attributes)
        self.status: StatusCode | None = None
        self.ended = False
        self.exceptions: list[BaseException] = []

    def update_name(self, name: str) -> None:
        self.name = name

    def set_attribute(self, key: Any, value: Any) -> None:
        self.attributes[key] = value

    def set_status(self, status: Any, description: Any = None) -> None:
        self.status = status.status_code

    def is_recording(self) -> bool:
        return True

    def record_exception(self, exception: BaseException, *arguments: Any, **options: Any) -> None:
        self.exceptions.append(exception)

    def end(self, end_time: int | None = None) -> None:
        self.ended = True


class Recorder(trace.TracerProvider, trace.Tracer):
    """A provider that keeps its spans in a list."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def get_tracer(self, *arguments: Any, **options: Any) -> Any:
        return self

    def start_span(  # type: ignore[override] # with only the arguments that the middleware passes
        self, name: str, context: Any = None, kind: Any = SpanKind.INTERNAL, attributes: Any = None
    ) -> trace.Span:
        parent = trace.get_current_span(context).get_span_context()
        span = Recorded(name, parent, kind, attributes)
        self.spans.append(span)
        return span

    def start_as_current_span(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def recorder() -> Any:
    return Recorder()


def application(recorder: Any, routes: Any, **options: Any) -> Any:
    return Pallasite(
        routes=routes, middleware=[Middleware(OpenTelemetryMiddleware, tracer_provider=recorder, **options)]
    )


def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def test_span_is_named_after_method_and_route(recorder: Any, test_client_factory: ClientFactory) -> None:
    app = application(recorder, [Mount("/api", routes=[Route("/users/{name}", home)])])
    client = test_client_factory(app, base_url="http://example.org:8080")
    assert client.get("/api/users/ada?q=1", headers={"user-agent": "tests"}).text == "ok"
    (span,) = recorder.spans
    assert (span.name, span.kind, span.status, span.ended) == ("GET /api/users/{name}", SpanKind.SERVER, None, True)
    assert not span.parent.is_valid
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/users/{name}",
        "url.path": "/api/users/ada",
        "url.query": "q=1",
        "url.scheme": "http",
        "server.address": "example.org",
        "server.port": 8080,
        "network.protocol.version": "1.1",
        "client.address": "testclient",
        "user_agent.original": "tests",
    }


def test_span_continues_the_clients_trace(recorder: Any, test_client_factory: ClientFactory) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    test_client_factory(application(recorder, [Route("/", home)])).get("/", headers={"traceparent": parent})
    assert f"{recorder.spans[0].parent.trace_id:032x}" == parent.split("-")[1]


def test_span_is_current_in_the_endpoint(recorder: Any, test_client_factory: ClientFactory) -> None:
    seen = []

    async def endpoint(request: Request) -> Any:
        seen.append(trace.get_current_span())
        return home(request)

    test_client_factory(application(recorder, [Route("/", endpoint)])).get("/")
    assert seen == recorder.spans


def test_span_of_no_route_is_named_after_the_method(recorder: Any, test_client_factory: ClientFactory) -> None:
    test_client_factory(application(recorder, [])).get("/nowhere")
    (span,) = recorder.spans
    assert (span.name, "http.route" in span.attributes) == ("GET", False)


def test_span_of_a_mounted_application_has_the_mounts_path(recorder: Any, test_client_factory: ClientFactory) -> None:
    app = application(recorder, [Mount("/files", PlainTextResponse("ok")), Mount("/", PlainTextResponse("ok"))])
    client = test_client_factory(app)
    client.get("/files/a")
    client.get("/a")
    assert [span.name for span in recorder.spans] == ["GET /files", "GET /"]


def test_error_and_error_response_are_marked(recorder: Any, test_client_factory: ClientFactory) -> None:
    def fail(request: Request) -> None:
        raise LookupError("no")

    routes = [Route("/fail", fail), Route("/503", lambda request: PlainTextResponse("later", 503))]
    client = test_client_factory(application(recorder, routes), raise_server_exceptions=False)
    client.get("/fail")
    client.get("/503")
    client.get("/404")
    failed, unavailable, missing = recorder.spans
    assert failed.attributes["error.type"] == "LookupError"
    assert (unavailable.attributes["error.type"], unavailable.status) == ("503", StatusCode.ERROR)
    assert ("error.type" in missing.attributes, missing.status) == (False, None)


def test_stream_is_one_span_to_its_end(recorder: Any, test_client_factory: ClientFactory) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        assert not recorder.spans[0].ended
        yield b"a"
        yield b"b"

    app = application(recorder, [Route("/", lambda request: StreamingResponse(pieces()))])
    assert test_client_factory(app).get("/").content == b"ab"
    assert [span.ended for span in recorder.spans] == [True]


async def test_client_that_leaves_ends_the_span(recorder: Any) -> None:
    async def gone(message: Message) -> None:
        raise OSError("gone")

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    with pytest.raises(OSError, match="gone"):
        await OpenTelemetryMiddleware(PlainTextResponse("ok"), tracer_provider=recorder)(scope, UNUSED, gone)
    assert [(span.ended, span.attributes["error.type"]) for span in recorder.spans] == [(True, "OSError")]
    assert not any("opentelemetry" in key for key in scope)


@pytest.mark.parametrize(
    ("excluded", "traced"),
    [
        ((), ["/health", "/page"]),
        ("", ["/health", "/page"]),
        ("/health$, /nothing", ["/page"]),
        (["^http://testserver/"], []),
        ([r"testserver/pa+ge"], ["/health"]),
    ],
)
def test_excluded_urls_have_no_span(
    recorder: Any, test_client_factory: ClientFactory, excluded: Any, traced: Any
) -> None:
    app = application(recorder, [Route("/health", home), Route("/page", home)], excluded_urls=excluded)
    client = test_client_factory(app)
    assert [client.get(path).status_code for path in ("/health", "/page")] == [200, 200]
    assert [span.attributes["url.path"] for span in recorder.spans] == traced


def test_request_has_one_span_however_many_layers_there_are(recorder: Any, test_client_factory: ClientFactory) -> None:
    inner = application(recorder, [Route("/", home)])
    test_client_factory(application(recorder, [Mount("/inner", inner)])).get("/inner/")
    assert [span.name for span in recorder.spans] == ["GET /inner/"]


async def test_scope_with_next_to_nothing_in_it_is_traced(recorder: Any) -> None:
    sent = Sent()
    scope = {"type": "http", "method": "get", "path": "/", "query_string": b"", "headers": []}
    await OpenTelemetryMiddleware(PlainTextResponse("ok"), tracer_provider=recorder)(scope, UNUSED, sent)
    (span,) = recorder.spans
    assert span.name == "GET"
    assert span.attributes["http.request.method_original"] == "get"
    assert sent[0]["status"] == 200


@pytest.mark.parametrize("host", [b"a:99999999", b"[", b"\xff", b"a b", b"", b"a:b", b"[::1%]:x"])
async def test_forged_host_is_not_an_error(recorder: Any, host: bytes) -> None:
    sent = Sent()
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"\xff", "headers": [(b"host", host)]}
    await OpenTelemetryMiddleware(PlainTextResponse("ok"), tracer_provider=recorder)(scope, UNUSED, sent)
    assert (len(recorder.spans), sent[0]["status"]) == (1, 200)


async def test_no_op_provider_costs_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace.NoOpTracerProvider, "get_tracer", lambda *arguments, **options: pytest.fail("asked"))
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    sent = Sent()
    await OpenTelemetryMiddleware(PlainTextResponse("ok"))({"type": "http", "headers": []}, UNUSED, sent)
    assert sent[0]["status"] == 200


def test_websocket_and_lifespan_have_no_span(recorder: Any, test_client_factory: ClientFactory) -> None:
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app = application(recorder, [WebSocketRoute("/", echo)])
    with test_client_factory(app) as client, client.websocket_connect("/") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"
    assert recorder.spans == []


def test_package_that_is_missing_is_named() -> None:
    script = """
import sys
sys.modules["opentelemetry"] = None
try:
    import pallasite.middleware.opentelemetry
except ImportError as error:
    assert "opentelemetry-api" in str(error), error
else:
    sys.exit("it was imported")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_global_propagator_is_the_one_that_is_asked() -> None:
    assert "traceparent" in propagate.get_global_textmap().fields


async def test_server_that_no_url_can_name_is_left_out(recorder: Any) -> None:
    async def send(message: Message) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "server": ("h", 99999)}
    await application(recorder, [Route("/", home)])(scope, None, send)
    [span] = recorder.spans
    assert "server.address" not in span.attributes


def test_span_that_is_not_recorded_is_current_and_ended(test_client_factory: ClientFactory) -> None:
    class Dropped(trace.NonRecordingSpan):
        ended = False

        def end(self, end_time: int | None = None) -> None:
            self.ended = True

    class Dropping(Recorder):
        def start_span(self, *arguments: Any, **options: Any) -> trace.Span:
            self.spans.append(Dropped(trace.SpanContext(1, 2, is_remote=False)))
            return self.spans[-1]  # type: ignore[no-any-return]

    recorder, current = Dropping(), []

    async def look(request: Request) -> PlainTextResponse:
        current.append(trace.get_current_span())
        return PlainTextResponse("ok")

    client = test_client_factory(application(recorder, [Route("/", look)]))
    assert client.get("/").text == "ok"
    (span,) = recorder.spans
    assert (current, span.ended) == ([span], True)
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_error_is_recorded_with_its_message(recorder: Any, test_client_factory: ClientFactory) -> None:
    error = KeyError("crystal")

    async def broken(request: Request) -> PlainTextResponse:
        raise error

    client = test_client_factory(application(recorder, [Route("/", broken)]), raise_server_exceptions=False)
    assert client.get("/").status_code == 500
    (span,) = recorder.spans
    assert (span.exceptions, span.status, span.attributes["error.type"]) == ([error], StatusCode.ERROR, "KeyError")


def test_propagator_may_ask_for_the_names_of_fields(recorder: Any, test_client_factory: ClientFactory) -> None:
    from opentelemetry.propagators.textmap import TextMapPropagator

    class Listing(TextMapPropagator):
        names: list[str] = []

        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            self.names = getter.keys(carrier)
            return context or {}

        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None: ...

        @property
        def fields(self) -> set[str]:
            return set()

    before, listing = propagate.get_global_textmap(), Listing()
    propagate.set_global_textmap(listing)
    try:
        client = test_client_factory(application(recorder, [Route("/", home)]))
        client.get("/", headers={"X-Own": "1"})
    finally:
        propagate.set_global_textmap(before)
    assert {"host", "x-own"} <= set(listing.names)
