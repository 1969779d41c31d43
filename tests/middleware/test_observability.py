"""Request ids, log lines, metrics and spans of requests, whoever responds to them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import pallasite
from pallasite._http import scope_keys
from pallasite._observability import access_log
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.concurrency import run_in_threadpool
from pallasite.middleware import Middleware
from pallasite.middleware.observability import ObservabilityMiddleware, RequestIdFilter
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.problems import problem_handlers
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route, WebSocketRoute
from pallasite.types import Message, Receive, Scope, Send
from pallasite.websockets import WebSocket
from tests.support.asgi import (
    STALL_SECONDS,
    UNUSED,
    Client,
    Sent,
    ask,
    connect,
    exchange,
    never,
    scope_of,
    socket_scope_of,
)

pytestmark = pytest.mark.anyio

SIZE = Path(__file__).stat().st_size
# RFC 9562 section 5.7.
UUID7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def ids(request: Request) -> Response:
    in_thread = await run_in_threadpool(pallasite.request_id)
    seen = [pallasite.request_id(), in_thread, request.state.request_id, request.headers["x-request-id"]]
    return JSONResponse(seen)


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def broken(request: Request) -> Response:
    raise LookupError("broken")


async def upstream(request: Request) -> Response:
    return PlainTextResponse("", headers={"X-Request-ID": "upstream"})


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(str(pallasite.request_id()))
    await websocket.close()


async def refuse(websocket: WebSocket) -> None:
    await websocket.close()


async def stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        await anyio.sleep_forever()

    return StreamingResponse(chunks())


async def page(request: Request) -> Response:
    return FileResponse(__file__)


ROUTES = [
    Route("/ids", ids),
    Route("/hello/{name}", hello),
    Route("/broken", broken),
    Route("/upstream", upstream),
    Route("/stream", stream),
    Route("/file", page),
    WebSocketRoute("/chat", chat),
    WebSocketRoute("/refuse", refuse),
]


def observed(*more: Middleware, **options: Any) -> Pallasite:
    return Pallasite(routes=ROUTES, middleware=[Middleware(ObservabilityMiddleware, **options), *more])


@pytest.fixture(autouse=True)
def counters_in_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """A function that returns the lines of the access log."""
    caplog.set_level(logging.INFO, "pallasite.access")

    def read(app: Pallasite) -> list[str]:
        layer = app.middleware_stack.app  # type: ignore[union-attr]
        layer._log.flush()
        return [record.getMessage() for record in caplog.records if record.name == "pallasite.access"]

    return read


async def metrics(app: Any, path: str = "/metrics") -> dict[str, float]:
    answer = await ask(app, path)
    assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    rows = [line.rpartition(" ") for line in answer.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def counted(method: str, status: int, route: str) -> str:
    return (
        f'http_server_request_duration_seconds_count{{http_request_method="{method}",'
        f'http_response_status_code="{status}",http_route="{route}"}}'
    )


# --- ids


async def test_id_is_the_same_everywhere() -> None:
    answer = await ask(observed(), "/ids")
    request_id = answer.header("x-request-id")
    assert request_id is not None
    assert UUID7.fullmatch(request_id)
    assert json.loads(answer.body) == [request_id] * 4
    assert pallasite.request_id() is None


async def test_each_request_has_an_id_of_its_own() -> None:
    app = observed()
    found = [(await ask(app, "/ids")).header("x-request-id") for _ in range(200)]
    assert len(set(found)) == 200


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([b"abc-1.2_3"], True),
        ([b"a" * 128], True),
        ([b"a" * 129], False),
        ([b""], False),
        ([b"a b"], False),
        ([b"\xe9"], False),
        ([b'a"b'], False),
        ([b"one", b"two"], False),
        ([], False),
    ],
)
async def test_id_of_the_client_is_kept_if_it_is_valid_and_trusted(
    trusted: bool, given: list[bytes], kept: bool
) -> None:
    headers = [(b"host", b"testserver"), *((b"x-request-id", value) for value in given)]
    answer = await ask(observed(trust_request_id=trusted), "/ids", headers=headers)
    request_id = answer.header("x-request-id")
    if kept and trusted:
        assert request_id == given[0].decode()
    else:
        assert request_id is not None
        assert UUID7.fullmatch(request_id)
    assert json.loads(answer.body) == [request_id] * 4


async def test_headers_of_the_server_are_not_changed() -> None:
    headers = ((b"X-Request-ID", b"theirs"), (b"host", b"testserver"))
    scope = scope_of("/ids") | {"headers": headers}
    await exchange(observed(), scope)
    assert headers == ((b"X-Request-ID", b"theirs"), (b"host", b"testserver"))
    assert [name for name, _ in scope["headers"]] == [b"host", b"x-request-id"]


async def test_state_of_the_server_is_used() -> None:
    state: dict[str, Any] = {"pool": 1}
    await exchange(observed(), scope_of("/ids", state=state))
    assert state.keys() == {"pool", "request_id"}


async def test_id_may_have_another_name() -> None:
    answer = await ask(observed(request_id="X-Correlation-ID", trust_request_id=True), "/hello/x", headers=[
        (b"x-correlation-id", b"mine")
    ])  # fmt: skip
    assert answer.header("x-correlation-id") == "mine"


async def test_id_of_the_application_is_not_doubled() -> None:
    assert (await ask(observed(), "/upstream")).values("x-request-id") == ["upstream"]


async def test_not_found_refusals_and_server_errors_have_the_id() -> None:
    app = observed(Middleware(TrustedHostMiddleware, allowed_hosts=["testserver"]))
    assert (await ask(app, "/none")).header("x-request-id")
    refused = await ask(app, "/hello/x", headers=[(b"host", b"other.test")])
    assert (refused.status, len(refused.values("x-request-id"))) == (400, 1)
    sent = Sent()
    with pytest.raises(LookupError):
        await app(scope_of("/broken"), never, sent)
    assert sent[0]["status"] == 500
    assert len([name for name, _ in sent[0]["headers"] if name == b"x-request-id"]) == 1


async def test_report_of_the_server_has_the_id() -> None:
    app, sent = observed(), Sent()
    with pytest.raises(LookupError):
        await app(scope_of("/broken"), never, sent)
    assert dict(sent[0]["headers"])[b"x-request-id"].decode() == pallasite.request_id()


async def test_problem_document_names_the_id() -> None:
    app = observed()
    problem_handlers(app)
    answer = await ask(app, "/none", headers=[(b"accept", b"application/json")])
    assert json.loads(answer.body)["instance"] == f"urn:uuid:{answer.header('x-request-id')}"


async def test_websocket_has_an_id_too() -> None:
    accepted, text, _ = await connect(observed(), "/chat")
    assert dict(accepted["headers"])[b"x-request-id"].decode() == text["text"]


async def test_log_records_get_the_id_by_a_filter() -> None:
    record = logging.makeLogRecord({"msg": "text"})
    assert RequestIdFilter().filter(record)
    assert record.__dict__["request_id"] == "-"
    seen = []

    async def endpoint(request: Request) -> Response:
        RequestIdFilter().filter(record)
        seen.append(record.__dict__["request_id"])
        return Response()

    app = Pallasite(routes=[Route("/", endpoint)], middleware=[Middleware(ObservabilityMiddleware)])
    answer = await ask(app)
    assert seen == [answer.header("x-request-id")]


async def test_observed_once_by_nested_layers() -> None:
    inner = observed()
    outer = Pallasite(routes=[Mount("/in", app=inner)], middleware=[Middleware(ObservabilityMiddleware)])
    answer = await ask(outer, "/in/ids")
    assert json.loads(answer.body) == [answer.header("x-request-id")] * 4


async def test_outside_an_application() -> None:
    app = ObservabilityMiddleware(Pallasite(routes=ROUTES), prometheus="/metrics")
    sent = Sent()
    with pytest.raises(LookupError):
        await app(scope_of("/broken"), never, sent)
    assert len([name for name, _ in sent[0]["headers"] if name == b"x-request-id"]) == 1
    assert (await metrics(app))[counted("GET", 500, "/broken")] == 1


async def test_nothing_is_done_when_everything_is_off() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((receive, send))

    await ObservabilityMiddleware(app, request_id=None)(scope_of(), never, UNUSED)
    assert seen == [never, UNUSED]
    await ObservabilityMiddleware(app)({"type": "lifespan"}, never, UNUSED)
    assert seen[2:] == [never, UNUSED]


# --- access log


async def test_json_lines(lines: Any) -> None:
    app = observed(access_log="json")
    answer = await ask(app, "/hello/x", query=b"q=1&Access_Token=s3cret&token", method="GET")
    [line] = lines(app)
    entry = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert 0 < entry.pop("first_byte") <= entry.pop("duration")
    assert entry == {
        "type": "http",
        "request_id": answer.header("x-request-id"),
        "client": "192.0.2.1",
        "method": "GET",
        "path": "/hello/x",
        "query": "q=1&Access_Token=[hidden]&token",
        "route": "/hello/{name}",
        "status": 200,
        "bytes": 5,
    }


async def test_combined_lines(lines: Any) -> None:
    app = observed(access_log="combined", hidden=())
    headers = [(b"host", b"testserver"), (b"referer", b"https://a.test/"), (b"user-agent", b'curl "8"\\')]
    await ask(app, "/hello/x", query=b"token=1", headers=headers)
    [line] = lines(app)
    assert re.fullmatch(
        r'192\.0\.2\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /hello/x\?token=1 HTTP/1\.1" 200 5'
        r' "https://a\.test/" "curl \\"8\\"\\\\"',
        line,
    )


@pytest.mark.parametrize("style", ["json", "combined"])
async def test_no_client_can_forge_a_line(lines: Any, style: Any) -> None:
    app = observed(access_log=style)
    hostile = "/a\r\n127.0.0.1 - - forged\x1b[2J\u2028\u202e\ud800"
    await ask(
        app, hostile, headers=[(b"user-agent", b'\x00\x9b\xe2\x80\xa8"\\'), (b"referer", b"\n")], query=b"\n=\x1b"
    )
    await ask(app, "/hello/x", client=None)
    found = lines(app)
    assert len(found) == 2
    assert all(line.isascii() and line.isprintable() for line in found)


async def test_server_errors_websockets_and_files_are_logged(lines: Any, anyio_backend: Any) -> None:
    app = observed(access_log="json")
    with pytest.raises(LookupError):
        await app(scope_of("/broken"), never, Sent())
    await connect(app, "/chat")
    await connect(app, "/refuse")
    await ask(app, "/file")
    await exchange(app, scope_of("/file", extensions={"http.response.pathsend": {}}))
    broken_, chat_, refused, file, sent = map(json.loads, lines(app))
    assert (broken_["status"], broken_["error"], "client_gone" in broken_) == (500, "LookupError", False)
    assert (chat_["type"], chat_["status"], chat_["route"]) == ("websocket", 101, "/chat")
    assert refused["status"] == 403
    assert file["bytes"] == sent["bytes"] == SIZE


async def test_client_that_left_is_logged(lines: Any) -> None:
    app = observed(access_log="json", prometheus="/metrics")
    await exchange(app, scope_of("/stream"))  # the client disconnects after the request
    [line] = lines(app)
    entry = json.loads(line)
    assert (entry["client_gone"], entry["status"], entry.get("error")) == (True, 200, None)
    labels = '{http_request_method="GET",http_response_status_code="200",http_route="/stream"}'
    assert (await metrics(app))["http_server_requests_abandoned_total" + labels] == 1


async def test_cancelled_request_is_logged(lines: Any) -> None:
    app = observed(access_log="json")
    with anyio.CancelScope() as scope:

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                scope.cancel()

        await app(scope_of("/stream"), never, send)
    [line] = lines(app)
    assert json.loads(line)["client_gone"] is True


async def test_background_task_does_not_count_as_part_of_the_response() -> None:
    durations = []

    class Record(ObservabilityMiddleware):
        def _report(self, scope: Scope, record: Any, error: BaseException | None) -> None:
            durations.append((record.duration, record.complete))

    steps = []

    async def later() -> None:
        await anyio.sleep(0.05)
        steps.append("done")

    async def endpoint(request: Request) -> Response:
        return Response(background=BackgroundTask(later))

    app = Pallasite(routes=[Route("/", endpoint)], middleware=[Middleware(Record, access_log="json")])
    await ask(app)
    assert steps == ["done"]
    [(duration, complete)] = durations
    assert complete
    assert duration < 50_000


async def test_skipped_and_exempt_requests_leave_no_trace(lines: Any) -> None:
    async def probe(request: Request) -> Response:
        request.scope[scope_keys.EXEMPT] = True
        return Response()

    app = Pallasite(
        routes=[Route("/probe", probe), *ROUTES],
        middleware=[Middleware(ObservabilityMiddleware, access_log="json", prometheus="/metrics", skip="/hello/")],
    )
    assert (await ask(app, "/hello/x")).header("x-request-id") is None
    assert (await ask(app, "/probe")).header("x-request-id")
    assert lines(app) == []
    assert not any(name.startswith("http_server_request_duration") for name in await metrics(app))


async def test_lines_are_written_before_the_application_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pallasite.access")
    app = observed(access_log="json")
    await ask(app, "/hello/x")
    await exchange(app, {"type": "lifespan"}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    assert [record.name for record in caplog.records] == ["pallasite.access"]


# --- metrics


async def test_requests_are_counted_by_method_status_and_route() -> None:
    app = observed(prometheus="/metrics")
    for _ in range(3):
        await ask(app, "/hello/x")
    await ask(app, "/hello/x", method="POST")
    await ask(app, "/none", method="BREW")
    await ask(app, "/none/2", method="BREW2")
    await connect(app, "/chat")
    found = await metrics(app)
    assert found[counted("GET", 200, "/hello/{name}")] == 3
    assert found[counted("POST", 405, "/hello/{name}")] == 1
    assert found[counted("_OTHER", 404, "")] == 2
    labels = '{http_request_method="GET",http_response_status_code="200",http_route="/hello/{name}"}'
    assert found["http_server_response_body_bytes_total" + labels] == 15
    bucket = "http_server_response_start_seconds_bucket" + labels[:-1] + ',le="+Inf"}'
    assert found[bucket] == 3
    assert found["http_server_active_requests"] == found["websocket_server_active_connections"] == 0


async def test_open_requests_and_websockets_are_counted() -> None:
    app = observed(prometheus="/metrics")
    client = Client()
    async with anyio.create_task_group() as group:
        group.start_soon(app, scope_of("/stream"), client.receive, client.send)
        socket = socket_scope_of("/chat")
        group.start_soon(app, socket, never, client.send)
        open_now = (0.0, 0.0)
        with anyio.fail_after(STALL_SECONDS):
            while open_now != (1, 1):  # a thread opens the counters
                found = await metrics(app)
                open_now = (found["http_server_active_requests"], found["websocket_server_active_connections"])
        group.cancel_scope.cancel()
    assert (await metrics(app))["http_server_active_requests"] == 0


async def test_metrics_are_read_only_and_may_be_mounted() -> None:
    app = Pallasite(routes=[Mount("/api", app=observed(prometheus="/metrics"))])
    await ask(app, "/api/hello/x")
    assert counted("GET", 200, "/api/hello/{name}") in await metrics(app, "/api/metrics")
    refused = await ask(app, "/api/metrics", method="POST")
    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD")
    assert (await ask(app, "/api/metrics", method="HEAD")).status == 200


# --- OpenTelemetry


async def test_span_and_metrics_go_to_their_providers(lines: Any) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracer, meter = TracerProvider(), MeterProvider([reader])
    tracer.add_span_processor(SimpleSpanProcessor(exporter))
    app = observed(tracer=tracer, meter=meter, access_log="json")
    await ask(app, "/hello/x")
    with pytest.raises(LookupError):
        await app(scope_of("/broken"), never, Sent())
    await ask(app, "/none", method="BREW")
    await connect(app, "/chat")
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["GET /hello/{name}", "GET /broken", "BREW"]
    trace_id = spans[0].context.trace_id
    assert json.loads(lines(app)[0])["trace_id"] == f"{trace_id:032x}"
    data: Any = reader.get_metrics_data()
    found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    attributes = [dict(point.attributes) for point in found["http.server.request.duration"].data.data_points]
    always = {"url.scheme": "http", "network.protocol.version": "1.1"}
    assert attributes == [
        {"http.request.method": "GET", "http.route": "/hello/{name}", "http.response.status_code": 200} | always,
        {
            "http.request.method": "GET",
            "http.route": "/broken",
            "http.response.status_code": 500,
            "error.type": "LookupError",
        }
        | always,
        {"http.request.method": "_OTHER", "http.response.status_code": 404} | always,
    ]
    bounds = found["http.server.request.duration"].data.data_points[0].explicit_bounds
    assert bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert sum(point.value for point in found["http.server.active_requests"].data.data_points) == 0


async def test_error_response_is_an_error_for_the_meter() -> None:
    reader = InMemoryMetricReader()

    async def down(request: Request) -> Response:
        return Response(status_code=503)

    layer = Middleware(ObservabilityMiddleware, request_id=None, meter=MeterProvider([reader]), tracer=True)
    app = Pallasite(routes=[Route("/", down)], middleware=[layer])
    await exchange(app, scope_of())
    data: Any = reader.get_metrics_data()
    points = [metric.data.data_points[0] for metric in data.resource_metrics[0].scope_metrics[0].metrics]
    assert any(point.attributes.get("error.type") == "503" for point in points)


async def test_response_that_never_started_has_no_status() -> None:
    reader = InMemoryMetricReader()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    app = ObservabilityMiddleware(silent, meter=MeterProvider([reader]))
    await app(scope_of(), never, Sent())
    data: Any = reader.get_metrics_data()
    names = {metric.name: metric.data.data_points[0] for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert "http.response.status_code" not in names["http.server.request.duration"].attributes


async def test_tracer_alone_is_used() -> None:
    exporter, tracer = InMemorySpanExporter(), TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(exporter))
    await ask(observed(request_id=None, tracer=tracer), "/hello/x")
    assert [span.name for span in exporter.get_finished_spans()] == ["GET /hello/{name}"]


def test_global_providers_can_be_used() -> None:
    assert ObservabilityMiddleware(UNUSED, tracer=True, meter=True).app is UNUSED


@pytest.mark.parametrize("option", ["tracer", "meter"])
def test_without_opentelemetry_the_error_says_what_to_install(option: str) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from pallasite.middleware.observability import ObservabilityMiddleware\n"
        f"ObservabilityMiddleware(None, {option}=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: opentelemetry-api must be installed" in done.stderr


# --- construction


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"access_log": "xml"}, "access_log must be 'json', 'combined' or None, not 'xml'"),
        ({"prometheus": "metrics"}, "a path must start with a slash: 'metrics'"),
        ({"skip": ["/a", "b"]}, "a path must start with a slash: 'b'"),
        ({"request_id": "x request"}, "x request"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ObservabilityMiddleware(UNUSED, **options)


def test_log_goes_to_standard_output_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "from pallasite.applications import Pallasite\n"
        "from pallasite.middleware.observability import ObservabilityMiddleware\n"
        "from pallasite.testclient import TestClient\n"
        "app = Pallasite()\n"
        "app.add_middleware(ObservabilityMiddleware, access_log='json')\n"
        "TestClient(app).get('/none')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["status"] == 404
    assert access_log.logger.name == "pallasite.access"


def test_systems_without_fork_and_file_locks_count_for_themselves() -> None:
    code = (
        "import os, sys, anyio, asyncio, random\n"
        "sys.modules['fcntl'] = None; del os.register_at_fork, os.getuid, os.getsid\n"
        "from pallasite.applications import Pallasite\n"
        "from pallasite.middleware.observability import ObservabilityMiddleware\n"
        "from pallasite.testclient import TestClient\n"
        "app = Pallasite()\n"
        "app.add_middleware(ObservabilityMiddleware, access_log='json', prometheus='/metrics')\n"
        "client = TestClient(app)\n"
        "assert client.get('/none').status_code == 404\n"
        "assert 'http_response_status_code=\"404\"' in client.get('/metrics').text\n"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
