"""Patches of single methods, of globals and of FastAPI's functions reach every request."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.surface.patching import WHENEVER, application, client_of_patched, spy_on_call

# Single methods.


def test_templates_init_patched_can_add_context_processors(
    lib: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = lib("templating").Jinja2Templates
    (tmp_path / "page.html").write_text("{{ added }}")
    old_init = templates.__init__

    def patched(self: Any, *args: Any, **kwargs: Any) -> None:
        kwargs["context_processors"] = [*kwargs.get("context_processors", ()), lambda request: {"added": "by tracer"}]
        old_init(self, *args, **kwargs)

    monkeypatch.setattr(templates, "__init__", patched)
    request = lib("requests").Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    assert templates(tmp_path).TemplateResponse(request, "page.html").body == b"by tracer"


@WHENEVER
def test_background_task_call_patched_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    background = lib("background")
    cls, calls = background.BackgroundTask, []
    old_call = cls.__call__

    async def traced(self: Any) -> None:
        calls.append(self.func)
        await old_call(self)

    def note() -> None:
        pass

    async def home(request: Any) -> Any:
        tasks = background.BackgroundTasks()
        tasks.add_task(note)
        return lib("responses").PlainTextResponse("home", background=tasks)

    def single(request: Any) -> Any:
        return lib("responses").PlainTextResponse("one", background=cls(note))

    def patch() -> None:
        monkeypatch.setattr(cls, "__call__", traced)
        monkeypatch.setattr(cls, "_otel_original_call", old_call, raising=False)

    Route = lib("routing").Route
    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[Route("/", home), Route("/single", single)]),
        patch,
        test_client_factory,
    )
    calls.clear()
    client.get("/")
    client.get("/single")
    assert calls == [note, note]
    assert cls._otel_original_call is old_call


@WHENEVER
def test_response_call_patched_on_the_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    cls = lib("responses").Response
    client = client_of_patched(
        when, lambda: application(lib), lambda: spy_on_call(monkeypatch, cls, calls), test_client_factory
    )
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == ["/"]


def test_debug_response_set_on_the_class_or_instance_is_used(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = lib("middleware.errors").ServerErrorMiddleware

    class Pretty:
        def respond(self, request: Any, exc: Exception) -> Any:
            return lib("responses").PlainTextResponse(f"pretty {exc}", status_code=500)

    async def failing(request: Any) -> Any:
        raise RuntimeError("mess")

    app = lib("applications").Starlette(debug=True, routes=[lib("routing").Route("/", failing)])
    client = test_client_factory(app, raise_server_exceptions=False)
    assert "pretty" not in client.get("/").text
    monkeypatch.setattr(app.middleware_stack, "debug_response", Pretty().respond)
    assert client.get("/").text == "pretty mess"
    monkeypatch.undo()
    monkeypatch.setattr(errors, "debug_response", Pretty().respond)
    assert client.get("/").text == "pretty mess"


def test_upload_file_takes_a_new_method(
    lib: Any, tmp_path: Path, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def save(self: Any, path: Path) -> int:
        return path.write_bytes(await self.read())  # noqa: ASYNC240

    async def upload(request: Any) -> Any:
        async with request.form() as form:
            size = await form["file"].save(target)
        return lib("responses").PlainTextResponse(str(size))

    target = tmp_path / "saved"
    monkeypatch.setattr(lib("datastructures").UploadFile, "save", save, raising=False)
    client = test_client_factory(lib("routing").Router([lib("routing").Route("/", upload, methods=["POST"])]))
    assert client.post("/", files={"file": ("a.txt", b"four")}).text == "4"
    assert target.read_bytes() == b"four"


# Globals that test suites replace in a module.


def test_spooled_file_replaced_in_formparsers_is_what_holds_uploads(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    formparsers = lib("formparsers")
    made: list[Any] = []
    original = formparsers.SpooledTemporaryFile

    class Watched(original):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    async def upload(request: Any) -> Any:
        async with request.form() as form:
            return lib("responses").PlainTextResponse(str(form["file"].file in made))

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Watched)
    client = test_client_factory(lib("routing").Router([lib("routing").Route("/", upload, methods=["POST"])]))
    assert client.post("/", files={"file": ("a.txt", b"four")}).text == "True"


@WHENEVER
def test_lookup_path_patched_on_static_files_is_reached(
    lib: Any, when: str, tmp_path: Path, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = lib("staticfiles").StaticFiles
    other = tmp_path / "other.txt"
    other.write_text("other")
    (tmp_path / "one.txt").write_text("one")

    def lookup(self: Any, path: str) -> Any:
        return str(other), other.stat()

    client = client_of_patched(
        when,
        lambda: cls(directory=tmp_path),
        lambda: monkeypatch.setattr(cls, "lookup_path", lookup),
        test_client_factory,
    )
    assert client.get("/one.txt").text == "other"
    monkeypatch.undo()
    assert client.get("/one.txt").text == "one"


@WHENEVER
def test_json_dumps_replaced_is_what_encodes(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def home(request: Any) -> Any:
        return lib("responses").JSONResponse({"a": 1})

    old_dumps = json.dumps

    def dumps(value: Any, **options: Any) -> str:
        return old_dumps([value], **options)

    client = client_of_patched(
        when,
        lambda: lib("applications").Starlette(routes=[lib("routing").Route("/", home)]),
        lambda: monkeypatch.setattr(lib("responses").json, "dumps", dumps),
        test_client_factory,
    )
    assert client.get("/").text == '[{"a":1}]'


def test_clock_replaced_decides_when_a_session_is_over(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(request: Any) -> Any:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return lib("responses").PlainTextResponse(str(request.session["visits"]))

    session = lib("middleware").Middleware(
        lib("middleware.sessions").SessionMiddleware, secret_key="a secret of more than 32 characters", max_age=60
    )
    app = lib("applications").Starlette(routes=[lib("routing").Route("/", count)], middleware=[session])
    client = test_client_factory(app)
    now = time.time()
    assert client.get("/").text == "1"
    cookie = {"cookie": f"session={client.cookies['session']}"}
    client.cookies.clear()
    monkeypatch.setattr(time, "time", lambda: now + 50)
    assert client.get("/", headers=cookie).text == "2"
    client.cookies.clear()
    monkeypatch.setattr(time, "time", lambda: now + 70)
    assert client.get("/", headers=cookie).text == "1"


def test_open_file_of_anyio_replaced_is_what_file_responses_open_with(
    lib: Any, tmp_path: Path, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("content")
    opened: list[Any] = []
    open_file = anyio.open_file

    async def watched(file: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(file)
        return await open_file(file, *args, **kwargs)

    monkeypatch.setattr(anyio, "open_file", watched)
    assert test_client_factory(lib("responses").FileResponse(path)).get("/").text == "content"
    assert [Path(file) for file in opened] == [path]


# FastAPI's own functions, which run inside endpoints.


def test_fastapi_functions_patched_are_called_in_handlers(lib: Any) -> None:
    """The same program in a new process, on Pallasite through the alias and on Starlette itself."""
    program = """
    import sys
    if sys.argv[1] == "pallasite":
        import pallasite
        pallasite.install_as_starlette()
    import fastapi, fastapi.routing
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    calls = []
    def spy(name):
        old = getattr(fastapi.routing, name)
        def traced(*args, **kwargs):
            calls.append(name)
            return old(*args, **kwargs)
        setattr(fastapi.routing, name, traced)
    for name in ("get_request_handler", "run_endpoint_function", "solve_dependencies"):
        spy(name)

    class Instrumented(fastapi.FastAPI):
        pass
    fastapi.FastAPI = Instrumented
    app = fastapi.FastAPI()
    @app.get("/{x}")
    async def show(x: int):
        return x
    assert isinstance(app, Starlette)
    assert TestClient(app).get("/5").json() == 5
    print(*sorted(set(calls)))
    """
    package = lib("routing").__package__
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), package],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "get_request_handler run_endpoint_function solve_dependencies\n", result.stderr


def test_fastapi_route_methods_patched_whenever_are_asked_as_on_starlette() -> None:
    """The same routes are called in the same order on both, on class and instance, with included routers."""
    program = """
    import sys
    if sys.argv[1] == "pallasite":
        import pallasite
        pallasite.install_as_starlette()
    import fastapi, fastapi.routing
    from starlette import routing
    from starlette.testclient import TestClient
    from unittest import mock

    calls = []
    def spy(target, name):
        old = getattr(target, name)
        def traced(*args, **kwargs):
            route = args[0] if isinstance(target, type) else target
            calls.append((name, getattr(route, "path", type(route).__name__)))
            return old(*args, **kwargs)
        return mock.patch.object(target, name, traced)

    def make():
        app, router = fastapi.FastAPI(), fastapi.APIRouter()
        async def show():
            return 1
        for path in ("/a", "/b/{x}"):
            router.add_api_route(path, show)
            app.add_api_route(path, show)
        app.include_router(router, prefix="/in")
        return app

    def ask(client):
        for path in ("/b/1", "/in/b/1", "/none", "/a/"):
            print(path, client.get(path).status_code, calls)
            calls.clear()

    for cls in (fastapi.routing.APIRoute, routing.Route, routing.Router):
        for name in ("matches", "handle"):
            if not hasattr(cls, name):
                continue
            for when in range(3):
                print(cls.__name__, name, when)
                patch = spy(cls, name)
                if when == 0:
                    patch.start()
                app = make()
                if when == 1:
                    patch.start()
                client = TestClient(app)
                if when == 2:
                    client.get("/b/1")
                    calls.clear()
                    patch.start()
                ask(client)
                patch.stop()
                ask(client)
    for index in (-3, -2):
        app = make()
        client = TestClient(app)
        ask(client)
        with spy(app.routes[index], "matches"), spy(app.routes[index], "handle"):
            ask(client)
        ask(client)
    """
    said = {}
    for package in ("pallasite", "starlette"):
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), package],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        said[package] = result.stdout.splitlines()
    assert said["pallasite"] == said["starlette"]
    assert any("('matches', '/a')" in line for line in said["starlette"])
    assert any("('handle', '/b/{x}')" in line for line in said["starlette"])
