"""Subclasses of other classes: files, templates, uploads, exceptions, endpoints."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pallasite.websockets import WebSocketDisconnect  # the test client's
from tests.support.asgi import scope_of
from tests.surface.subclassing import asgi

# Files, templates, uploads, background tasks.


def test_static_files_subclass_can_override_its_steps(lib: Any, tmp_path: Path, test_client_factory: Any) -> None:
    steps: list[str] = []
    (tmp_path / "index.html").write_text("index")

    class Frontend(lib("staticfiles").StaticFiles):  # type: ignore[misc]
        def get_path(self, scope: Any) -> str:
            steps.append("get_path")
            return str(super().get_path(scope))

        async def get_response(self, path: str, scope: Any) -> Any:
            steps.append("get_response")
            assert self.config_checked
            try:
                return await super().get_response(path, scope)
            except lib("exceptions").HTTPException:
                full_path, stat_result = self.lookup_path("index.html")
                return self.file_response(full_path, stat_result, scope)

        def lookup_path(self, path: str) -> Any:
            steps.append("lookup_path")
            return super().lookup_path(path)

        def file_response(self, *args: Any, **kwargs: Any) -> Any:
            steps.append("file_response")
            return super().file_response(*args, **kwargs)

        async def check_config(self) -> None:
            steps.append("check_config")
            await super().check_config()

    files = Frontend(directory=tmp_path)
    assert files.config_checked is False
    assert files.all_directories == [tmp_path]
    client = test_client_factory(files)
    assert client.get("/deep/link").text == "index"
    assert steps[:3] == ["check_config", "get_path", "get_response"]
    assert set(steps[3:]) == {"lookup_path", "file_response"}
    client.get("/index.html")
    assert steps.count("check_config") == 1


def test_templates_subclass_can_override_template_response(lib: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<b>{{ name }}</b>{% block part %}part of {{ name }}{% endblock %}")

    class Blocks(lib("templating").Jinja2Templates):  # type: ignore[misc]
        def TemplateResponse(self, request: Any, name: str, context: Any = None, **options: Any) -> Any:
            block = options.pop("block_name", None)
            if block is None:
                return super().TemplateResponse(request, name, context, **options)
            values = {"request": request, **(context or {})}
            for processor in self.context_processors:
                values.update(processor(request))
            template = self.env.get_template(name)
            content = "".join(template.blocks[block](template.new_context(values)))
            return lib("responses").HTMLResponse(content)

    templates = Blocks(directory=tmp_path, context_processors=[lambda request: {"name": "processor"}])
    request = lib("requests").Request(scope_of())
    assert templates.TemplateResponse(request, "page.html").body == b"<b>processor</b>part of processor"
    assert templates.TemplateResponse(request, "page.html", block_name="part").body == b"part of processor"


@pytest.mark.anyio
async def test_upload_file_subclass_can_override_its_methods(lib: Any) -> None:
    class Own(lib("datastructures").UploadFile):  # type: ignore[misc]
        async def write(self, data: bytes) -> None:
            await super().write(data.upper())

        async def read(self, size: int = -1) -> bytes:
            return b"<%b>" % await super().read(size)

        async def seek(self, offset: int) -> None:
            await super().seek(offset)

        async def close(self) -> None:
            await super().close()

        @classmethod
        def __get_validators__(cls) -> Any:
            yield cls.validate

        @classmethod
        def validate(cls, value: Any) -> Any:
            return value

    file = Own(io.BytesIO(), size=0, filename="a.txt")
    await file.write(b"text")
    await file.seek(1)
    assert await file.read() == b"<EXT>"
    assert file.size == 4
    await file.close()
    assert file.file.closed


@pytest.mark.anyio
async def test_background_tasks_subclass_can_override_its_methods(lib: Any) -> None:
    done: list[str] = []

    class Own(lib("background").BackgroundTasks):  # type: ignore[misc]
        def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
            super().add_task(func, *args, **kwargs)

        async def __call__(self) -> None:
            done.append("before")
            await super().__call__()
            done.append("after")

    tasks = Own()
    tasks.add_task(done.append, "task")
    await lib("responses").PlainTextResponse("", background=tasks)(scope_of(), asgi, ignore)
    assert done == ["before", "task", "after"]


async def ignore(message: Any) -> None:
    pass


# Exceptions, the client, convertors, endpoints, users.


def test_http_exception_subclass_is_answered_as_its_base(lib: Any, test_client_factory: Any) -> None:
    class RateLimited(lib("exceptions").HTTPException):  # type: ignore[misc]
        def __init__(self, limit: int) -> None:
            self.limit = limit
            super().__init__(status_code=429, detail=f"{limit} per hour", headers={"retry-after": "9"})

    class Bare(lib("exceptions").HTTPException):  # type: ignore[misc]
        def __init__(self) -> None:
            self.status_code, self.detail, self.headers = 402, "pay", None

    async def show(request: Any) -> Any:
        raise RateLimited(5) if request.url.path == "/limited" else Bare()

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/{x}", show)]))
    response = client.get("/limited")
    assert (response.status_code, response.text, response.headers["retry-after"]) == (429, "5 per hour", "9")
    assert (client.get("/bare").status_code, client.get("/bare").text) == (402, "pay")


def test_websocket_exception_subclass_closes_as_its_base(lib: Any, test_client_factory: Any) -> None:
    class Refused(lib("exceptions").WebSocketException):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(code=1008, reason="refused")

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        raise Refused

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").WebSocketRoute("/", chat)]))
    with client.websocket_connect("/") as session, pytest.raises(WebSocketDisconnect) as caught:
        session.receive_text()
    assert (caught.value.code, caught.value.reason) == (1008, "refused")


def test_test_client_subclass_can_override_request(lib: Any) -> None:
    class Own(lib("testclient").TestClient):  # type: ignore[misc]
        def __init__(self, app: Any) -> None:
            super().__init__(app, base_url="http://own.example")

        def request(self, method: str, url: Any, **options: Any) -> Any:
            options["headers"] = {"x-own": "1"}
            return super().request(method, url, **options)

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(f"{request.url} {request.headers['x-own']}")

    client = Own(lib("routing").Router([lib("routing").Route("/a", show)]))
    assert client.get("/a").text == "http://own.example/a 1"


@pytest.mark.parametrize(
    ("base", "regex", "path", "value", "refused"),
    [
        ("IntegerConvertor", "-?[0-9]+", "/-5", -5, "/x"),
        ("FloatConvertor", r"-?[0-9]+(\.[0-9]+)?", "/-1.5", -1.5, "/x"),
        ("StringConvertor", "[a-c]+", "/abc", "abc", "/abd"),
    ],
)
def test_convertor_subclass_with_another_regex_matches_by_it(
    lib: Any,
    base: str,
    regex: str,
    path: str,
    value: Any,
    refused: str,
    test_client_factory: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    convertors = lib("convertors")
    own = type("Own", (getattr(convertors, base),), {"regex": regex})
    monkeypatch.setattr(convertors, "CONVERTOR_TYPES", convertors.CONVERTOR_TYPES)
    convertors.register_url_convertor("own_kind", own())
    try:

        async def show(request: Any) -> Any:
            return lib("responses").JSONResponse(request.path_params["x"])

        client = test_client_factory(lib("routing").Router([lib("routing").Route("/{x:own_kind}", show)]))
    finally:
        del convertors.CONVERTOR_TYPES["own_kind"]
    assert client.get(path).json() == value
    assert client.get(refused).status_code == 404


def test_endpoint_subclass_dispatches_by_method(lib: Any, test_client_factory: Any) -> None:
    class Own(lib("endpoints").HTTPEndpoint):  # type: ignore[misc]
        async def get(self, request: Any) -> Any:
            return lib("responses").PlainTextResponse(f"get {self.scope['path']}")

        def post(self, request: Any) -> Any:
            return lib("responses").PlainTextResponse("post")

    client = test_client_factory(lib("applications").Starlette(routes=[lib("routing").Route("/", Own)]))
    assert client.get("/").text == "get /"
    assert client.post("/").text == "post"
    assert client.delete("/").status_code == 405


def test_authentication_subclasses_identify_the_user(lib: Any, test_client_factory: Any) -> None:
    authentication = lib("authentication")

    class Member(authentication.BaseUser):  # type: ignore[misc, name-defined]
        def __init__(self, name: str) -> None:
            self.name = name

        @property
        def is_authenticated(self) -> bool:
            return True

        @property
        def display_name(self) -> str:
            return self.name

    class Guest(authentication.SimpleUser):  # type: ignore[misc, name-defined]
        @property
        def display_name(self) -> str:
            return f"guest {self.username}"

    class Backend(authentication.AuthenticationBackend):  # type: ignore[misc, name-defined]
        async def authenticate(self, conn: Any) -> Any:
            name = conn.headers.get("x-user")
            if name is None:
                return authentication.AuthCredentials(), Guest("nobody")
            return authentication.AuthCredentials(["member"]), Member(name)

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse(f"{request.user.display_name} {request.auth.scopes}")

    layer = lib("middleware").Middleware(lib("middleware.authentication").AuthenticationMiddleware, backend=Backend())
    client = test_client_factory(
        lib("applications").Starlette(routes=[lib("routing").Route("/", show)], middleware=[layer])
    )
    assert client.get("/").text == "guest nobody []"
    assert client.get("/", headers={"x-user": "ada"}).text == "ada ['member']"


def test_state_and_exceptions_can_be_pickled_with_their_attributes(lib: Any) -> None:
    error = lib("exceptions").HTTPException(404, "gone", {"x": "y"})
    again = pickle.loads(pickle.dumps(error))
    assert (again.status_code, again.detail, again.headers) == (404, "gone", {"x": "y"})
