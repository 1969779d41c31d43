"""Compiled routes answer as FastAPI's own do, and leave to FastAPI what they do not know.

FastAPI runs on Pallasite in processes of their own, because these tests import the installed Starlette.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pallasite

pytest.importorskip("fastapi")
pytest.importorskip("starlette")

APPLICATIONS = Path(__file__).with_name("fastapi_compiled.py")
SEEDS = [str(seed) for seed in range(40)]


def run(*arguments: str, fails: bool = False) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(pallasite.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (result.returncode != 0) is fails, result.stderr
    return result.stderr if fails else result.stdout


def program(source: str, *options: str) -> None:
    run("-m", "pallasite", "as-starlette", *options, "-c", PROGRAM + textwrap.dedent(source))


PROGRAM = """
import sys
from typing import Annotated
import fastapi.routing
from fastapi import APIRouter, Depends, FastAPI, Form, Request
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pallasite.fastapi import CompiledRoute, compile_routes

def is_compiled(route):
    return type(route.app).__name__ == "CompiledApp"

def runs_compiled(app, path="/a"):
    # Whether a request is answered without FastAPI's own handler.
    own = []
    solve = sys.modules["fastapi.dependencies.utils"].solve_dependencies.__code__
    def seen(frame, event, argument):
        if event == "call" and frame.f_code is solve:
            own.append(path)
    import threading
    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        with TestClient(app) as client:
            response = client.get(path)
    finally:
        threading.setprofile(None)
        sys.setprofile(None)
    assert response.status_code == 200, response.text
    return not own

app = FastAPI()
@app.get("/a")
async def a(n: int = 3):
    return {"n": n}
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_random_applications_answer_the_same_compiled(backend: str) -> None:
    found = json.loads(run("-m", "pallasite", "as-starlette", str(APPLICATIONS), backend, *SEEDS).splitlines()[-1])
    assert found["differences"] == []
    assert found["routes"] > 200
    assert {"200", "204", "401", "418", "422", "500"} <= found["statuses"].keys()


def test_application_is_compiled_with_its_routers_and_later_routes() -> None:
    program("""
        router = APIRouter(prefix="/in")
        @router.get("/b")
        def b():
            return "b"
        app.include_router(router, prefix="/twice")
        app.include_router(router)
        assert not runs_compiled(app)
        assert compile_routes(app) == 3  # /a once, /in/b for each time that it is included
        @app.get("/later")
        async def later():
            return "later"
        @router.get("/later")
        async def later_in_router():
            return "later"
        for path in ("/a", "/in/b", "/twice/in/b", "/later", "/in/later"):
            assert runs_compiled(app, path), path
        assert TestClient(app).get("/a?n=x").status_code == 422
    """)


def test_copy_of_an_application_is_compiled_too() -> None:
    program("""
        import copy
        compile_routes(app)
        copied = copy.deepcopy(app)
        assert runs_compiled(copied)
        assert copied.router is not app.router
    """)


def test_route_class_compiles_its_routes() -> None:
    program("""
        router = APIRouter(route_class=CompiledRoute)
        @router.get("/b")
        async def b():
            return "b"
        assert is_compiled(router.routes[0])
        app.include_router(router, prefix="/in")
        assert runs_compiled(app, "/in/b")
        assert not runs_compiled(app, "/a")
    """)


def test_route_class_compiles_where_the_loop_is_not_recognised() -> None:
    program("""
        fastapi.routing.APIRouter.app = lambda self, *rest, app=APIRouter.app: app(self, *rest)
        router = APIRouter(route_class=CompiledRoute)
        @router.get("/b")
        async def b():
            return "b"
        app = FastAPI()
        app.include_router(router, prefix="/in")
        assert runs_compiled(app, "/in/b")
    """)


def test_switch_compiles_every_application() -> None:
    program(
        """
        class Own(APIRoute):
            async def handle(self, scope, receive, send):
                handled.append(self.path)
                await super().handle(scope, receive, send)

        handled = []
        router = APIRouter(route_class=Own)
        @router.get("/b")
        async def b():
            return "b"
        app.include_router(router, prefix="/in")
        assert runs_compiled(app)
        assert not runs_compiled(app, "/in/b") and handled == ["/b"]
        """,
        "--compile-fastapi",
    )


def test_install_as_starlette_takes_the_switch() -> None:
    source = """
        import pallasite
        pallasite.install_as_starlette(compile_fastapi=True)
        """
    run("-c", textwrap.dedent(source) + PROGRAM + "assert runs_compiled(app)")


def test_fastapi_on_starlette_is_refused() -> None:
    message = run("-c", "import pallasite.fastapi", fails=True)
    assert "ImportError: pallasite.fastapi needs FastAPI to run on Pallasite: call" in message


@pytest.mark.parametrize(
    "change",
    [
        "app.dependency_overrides[a] = lambda: None",
        "fastapi.routing.solve_dependencies = wrapped(fastapi.routing.solve_dependencies)",
        "fastapi.routing.run_endpoint_function = wrapped(fastapi.routing.run_endpoint_function)",
        "utils.request_params_to_args = wrapped(utils.request_params_to_args)",
        "fastapi.routing.JSONResponse.render = wrapped(fastapi.routing.JSONResponse.render)",
        "utils.ModelField.validate = wrapped(utils.ModelField.validate)",
    ],
    ids=["overrides", "dependencies", "endpoint", "parameters", "response", "field"],
)
def test_patch_made_later_is_honoured(change: str) -> None:
    program(f"""
        utils = sys.modules["fastapi.dependencies.utils"]
        def wrapped(function):
            def wrapper(*arguments, **options):
                return function(*arguments, **options)
            return wrapper

        compile_routes(app)
        assert runs_compiled(app)
        {change}
        # FastAPI's frames are seen again, with a wrapper in between or without.
        assert not runs_compiled(app)
    """)


def test_handler_of_another_kind_is_left_alone() -> None:
    program("""
        from fastapi.responses import StreamingResponse
        from fastapi.sse import EventSourceResponse

        class Timed(APIRoute):
            def get_route_handler(self):
                handler = super().get_route_handler()
                async def timed(request):
                    response = await handler(request)
                    response.headers["x-timed"] = "1"
                    return response
                return timed

        router = APIRouter(route_class=Timed)
        @router.get("/timed")
        async def timed():
            return 1
        app.include_router(router)
        rooted = FastAPI(root_path="/root")
        @rooted.get("")
        async def without_path(n: int):
            return n
        assert compile_routes(rooted) == 1
        assert [TestClient(rooted).get(f"/root?n={n}").status_code for n in "1x"] == [200, 422]
        @app.get("/function")
        async def function():
            return 1
        async def other(scope, receive, send):
            await fastapi.routing.JSONResponse(2)(scope, receive, send)
        app.router.routes[-1].app = other
        @app.get("/lines")
        async def lines():
            yield {"n": 1}
        @app.get("/events", response_class=EventSourceResponse)
        async def events():
            yield {"n": 1}
        @app.get("/raw", response_class=StreamingResponse)
        async def raw():
            yield b"raw"
        @app.get("/limited")
        async def limited(value: Annotated[int, Depends(lambda: 1, max_concurrency=1)]):
            return value
        @app.post("/limit", max_body_size=10)
        async def limit(request: Request):
            return len(await request.body())
        assert compile_routes(app) == 1  # /a
        client = TestClient(app)
        assert client.get("/timed").headers["x-timed"] == "1"
        assert client.get("/lines").text == '{"n": 1}\\n'
        assert client.get("/events").text.startswith("data:")
        assert client.get("/raw").text == "raw"
        assert client.get("/function").text == "2"
        assert client.get("/limited").text == "1"
        assert client.post("/limit", content=b"x" * 11).status_code == 413
    """)


def test_release_that_works_otherwise_is_left_alone() -> None:
    program("""
        from pallasite._fastapi import known
        changes = {
            "get_request_handler": None,
            "request_response": lambda func: func,
            "serialize_response": print,
            "run_endpoint_function": lambda **options: unknown_name(),
        }
        changes["run_endpoint_function"].__module__ = "fastapi.routing"
        for name, changed in changes.items():
            known.is_known.cache_clear()
            original = getattr(fastapi.routing, name)
            setattr(fastapi.routing, name, changed)
            assert not known.is_known(fastapi.routing), name
            assert known.handler_parts(app.routes[-1].app, fastapi.routing) is None or name[0] in "sr", name
            setattr(fastapi.routing, name, original)
        known.is_known.cache_clear()
        assert known.is_known(fastapi.routing)
        known._PARTS += " another"
        known.is_known.cache_clear()
        assert not known.is_known(fastapi.routing)
        assert compile_routes(app) == 0
        assert not runs_compiled(app)
    """)


def test_result_of_any_kind_becomes_the_response_that_fastapi_makes() -> None:
    program("""
        from fastapi import Response
        from fastapi.responses import PlainTextResponse
        from pydantic import BaseModel
        class Item(BaseModel):
            name: str
        @app.get("/none", status_code=204)
        async def none():
            return None
        @app.get("/model", response_class=PlainTextResponse)
        async def model() -> Item:
            return Item(name="text")
        @app.get("/object")
        async def other(response: Response):
            response.headers["x-own"] = "1"
            response.status_code = 202
            return {1: {"a"}}
        def answers():
            client = TestClient(app, raise_server_exceptions=False)
            found = [client.get(path) for path in ("/none", "/model", "/object")]
            return [(answer.status_code, answer.headers.items(), answer.content) for answer in found]
        before = answers()
        assert compile_routes(app) == 4
        assert answers() == before
        assert [status for status, _, _ in before] == [204, 500, 202]
        assert before[0][2] == b""
    """)


def test_plain_application_has_no_exit_stack() -> None:
    """Outside a FastAPI application, its handlers fail, compiled or not."""
    program("""
        import pytest
        from starlette.applications import Starlette
        route = CompiledRoute("/a", a)
        with pytest.raises(AssertionError, match="fastapi_middleware_astack"):
            TestClient(Starlette(routes=[route])).get("/a")
    """)


def test_form_limits_and_errors_of_bodies() -> None:
    program("""
        @app.post("/form", form_limits={"max_fields": 2})
        async def form(a: Annotated[str, Form()]):
            return a
        @app.post("/json")
        async def read(item: dict[str, int]):
            return item
        def answers(client):
            many = {"a": "1", "b": "2", "c": "3"}
            answer = [client.post("/form", data=many), client.post("/form", data={"a": "x"})]
            answer += [client.post("/json", content=b'{"a"', headers={"content-type": "application/json"})]
            limited = FastAPI(max_body_size=5)
            limited.mount("/", app)
            parts = [b'{"a":', b'1}']
            answer += [TestClient(limited).post("/json", json={"a": 1, "b": 2})]
            json_type = {"content-type": "application/json"}
            answer += [TestClient(limited).post("/json", content=iter(parts), headers=json_type)]
            from starlette.exceptions import HTTPException
            class Refusing:
                def __init__(self, error, app=app):
                    self.error = error
                    self.app = app
                async def __call__(self, scope, receive, send):
                    async def failing():
                        if scope["type"] == "lifespan":
                            return await receive()
                        raise self.error
                    await self.app(scope, failing, send)
            for error in (HTTPException(418), ValueError("no body")):
                answer += [TestClient(Refusing(error)).post("/json", json={})]
            from starlette.middleware.body_limit import _RequestBodyTooLarge
            grouped = Refusing(ExceptionGroup("of a middleware", [_RequestBodyTooLarge()]), limited)
            answer += [TestClient(grouped).post("/json", json={})]
            return [(response.status_code, response.text) for response in answer]
        before = answers(TestClient(app))
        compile_routes(app)
        assert answers(TestClient(app)) == before
        assert [status for status, _ in before] == [400, 200, 422, 413, 413, 418, 400, 413]
    """)
