"""FastAPI finds the same route on Pallasite, which skips most routes in its loop, as on the installed Starlette.

Random applications, changed and patched between requests, in a process for each side.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import pallasite
from pallasite._compat import fastapi_loop

pytest.importorskip("fastapi")
pytest.importorskip("starlette")

APPLICATIONS = Path(__file__).with_name("fastapi_routes.py")
SEEDS = [str(seed) for seed in range(30)]


def run(*arguments: str) -> str:
    # Sets of methods, whose order FastAPI shows, are to have the same order on both sides.
    here = str(Path(pallasite.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": here, "PYTHONHASHSEED": "0"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def observed(*prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*prefix, str(APPLICATIONS), *SEEDS).splitlines()[-1])
    return found


def test_random_applications_answer_as_on_starlette() -> None:
    ours, theirs = observed("-m", "pallasite", "as-starlette"), observed()
    assert (ours["app"], theirs["app"]) == ("SparedApp", "method")
    for seed in SEEDS:
        for number, (expected, got) in enumerate(zip(theirs["seen"][seed], ours["seen"][seed], strict=True)):
            assert got == expected, f"seed {seed}, request {number}"


def program(source: str) -> None:
    run("-c", "import pallasite\npallasite.install_as_starlette()\n" + PROGRAM + textwrap.dedent(source))


PROGRAM = """
import copy
import fastapi.routing
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pallasite._compat import fastapi as fastapi_matching

def route_to(router, path):
    @router.get(path)
    async def answer():
        return path
"""


def test_copy_of_an_application_looks_through_its_own_routes() -> None:
    program("""
        app = FastAPI()
        route_to(app, "/a")
        copied = copy.deepcopy(app)
        route_to(copied, "/b")
        assert type(copied.router.middleware_stack) is fastapi_matching.SparedApp
        assert TestClient(copied).get("/b").json() == "/b"
        assert TestClient(app).get("/b").status_code == 404
    """)


def test_subclass_of_the_router_gets_all_routes() -> None:
    program("""
        class Own(APIRouter):
            async def app(self, scope, receive, send):
                self.seen = len(list(self.routes))
                await super().app(scope, receive, send)

        router = Own()
        route_to(router, "/a")
        route_to(router, "/b")
        app = FastAPI()
        app.mount("/own", router)
        assert TestClient(app).get("/own/b").json() == "/b"
        assert router.seen == 2
    """)


@pytest.mark.parametrize(
    "change",
    [
        "fastapi.routing.APIRouter.app = wrapped(fastapi.routing.APIRouter.app)",
        "fastapi.routing.APIRoute.matches = wrapped(fastapi.routing.APIRoute.matches)",
        "del fastapi.routing._IncludedRouter.effective_candidates",
        "fastapi.routing.__file__ = 'nowhere.py'",
        "inspect.getsource = without_text",
        "fastapi.routing.APIRoute.matches = changed",
        "fastapi.routing.APIRoute.matches = more",
        "inspect.getsource = lambda function: 'async def app(self, scope): ...'",
    ],
    ids=["loop", "matches", "missing", "other-file", "no-text", "other-names", "other-parameters", "other-loop"],
)
def test_loop_that_was_not_read_is_left_alone(change: str) -> None:
    program(f"""
        import inspect

        def without_text(function):
            raise OSError("no source text")

        def changed(self, scope):
            return fastapi.routing.routing.Route.matches(self, scope)

        def more(self, scope, more=None):
            return fastapi.routing.routing.Route.matches(self, scope)

        for function in (changed, more):
            function.__code__ = function.__code__.replace(co_filename=fastapi.routing.__file__)

        def wrapped(function):
            def wrapper(*arguments):
                return function(*arguments)
            return wrapper

        {change}
        app = FastAPI()
        route_to(app, "/a")
        assert type(app.router.middleware_stack).__name__ == "method"
        assert TestClient(app).get("/a").json() == "/a"
    """)


@pytest.mark.parametrize("patched", ["router", "app.router.routes[-1]"], ids=["router", "inclusion"])
def test_included_router_with_a_patched_method_is_asked(patched: str) -> None:
    program(f"""
        app, router = FastAPI(), APIRouter()
        route_to(router, "/a")
        app.include_router(router)
        asked = []
        patched = {patched}
        matches = patched.matches
        patched.matches = lambda scope: asked.append(scope["path"]) or matches(scope)
        assert TestClient(app).get("/b").status_code == 404
        assert asked == ["/b", "/b/"]
    """)


def test_lifespan_sees_all_routes() -> None:
    program("""
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lifespan(app):
            yield {"routes": len(app.router.routes)}

        app = FastAPI(lifespan=lifespan)
        route_to(app, "/a")

        @app.get("/count")
        async def count(request: fastapi.Request):
            return request.state.routes

        with TestClient(app) as client:
            assert client.get("/count").json() == len(app.routes)
            assert client.get("/a").json() == "/a"
    """)


def test_endpoint_called_for_a_selected_route_finds_its_way() -> None:
    """An endpoint that passes its request on to another application, scope and all."""
    program("""
        from starlette.responses import Response

        inner = FastAPI()
        route_to(inner, "/a/{x}")

        class Passed(Response):
            async def __call__(self, scope, receive, send):
                await inner(scope, receive, send)

        app, router = FastAPI(), APIRouter()

        @router.get("/a/{x}")
        async def answer():
            return Passed()

        app.include_router(router)
        assert TestClient(app).get("/a/1").json() == "/a/{x}"
    """)


LOOP = """\
async def app(self, scope, receive, send):
    if "router" not in scope:
        scope["router"] = self
    partial = None
    for route in self.routes:
        match, child_scope = route.matches(scope)
        if match == Match.FULL:
            return await route.handle(scope, receive, send)
        if match == Match.PARTIAL and partial is None:
            partial = (route, child_scope)
    redirect_scope = dict(scope)
    if self.redirect_slashes:
        redirect_scope["path"] = redirect_scope["path"].rstrip("/")
    else:
        redirect_scope["path"] = redirect_scope["path"] + "/"
    for route in self.routes:
        match, _ = route.matches(redirect_scope)
        if match != Match.NONE:
            return await self.redirect(scope)
    await self.default(scope, receive, send)
"""


def test_loop_that_acts_only_on_matches_is_recognised() -> None:
    assert fastapi_loop.skips_other_routes(ast.parse(LOOP).body[0])


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ("    partial = None\n", "    partial = list(self.routes)\n"),
        ("    partial = None\n", "    self.partial = None\n"),
        ("    partial = None\n", "    partial = remember(self)\n"),
        ("if match == Match.FULL:", "if match == Match.FULL or self.any:"),
        ("match == Match.PARTIAL and partial", "self.any and partial"),
        ("            partial = (route, child_scope)\n", "            pass\n        else:\n            count()\n"),
        ("        if match != Match.NONE:\n", "        count()\n        if match != Match.NONE:\n"),
        ("match, child_scope = route.matches(scope)", "match, child_scope = ask(route, scope)"),
        ("route.matches(redirect_scope)", "route.matches(scope)"),
        ('redirect_scope["path"] + "/"', 'redirect_scope["path"] + "/index"'),
        ("    await self.default", "    else:\n        count()\n    await self.default"),
        ("for route in self.routes:\n        match, _", "for route in self.others:\n        match, _"),
    ],
)
def test_loop_that_sees_other_routes_is_not_recognised(part: str, instead: str) -> None:
    assert part in LOOP
    assert not fastapi_loop.skips_other_routes(ast.parse(LOOP.replace(part, instead, 1)).body[0])


def test_index_sees_what_changes_how_a_route_matches() -> None:
    program("""
        import re
        app = FastAPI()
        route_to(app, "/a")
        router = APIRouter(prefix="/in")
        route_to(router, "/b")
        app.include_router(router)
        client = TestClient(app)
        index = app.router.middleware_stack
        assert client.get("/in/b").json() == "/b"
        assert index._index is not None

        route = app.router.routes[-2]
        route.path_regex = re.compile("^/changed$")
        assert [client.get(path).status_code for path in ("/a", "/changed")] == [404, 200]
        assert index._index is None

        app.router.routes.pop(-2)
        assert [client.get(path).status_code for path in ("/changed", "/in/b")] == [404, 200]
        assert index._index is not None
        app.router.routes[-1].__dict__["own"] = 1
        app.router.routes.append(app.router.routes.pop())
        assert client.get("/in/b").json() == "/b"
        assert index._index is None
    """)


def test_scope_of_an_outer_router_is_left_as_it_was() -> None:
    program("""
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Mount, Route

        inner = FastAPI()
        route_to(inner, "/a")
        outer = Starlette(routes=[Mount("/m", inner)])
        seen = []

        async def answer(scope, receive, send):
            seen.append(type(scope["route"]).__name__)
            await JSONResponse(1)(scope, receive, send)

        inner.mount("/below", answer)
        client = TestClient(outer)
        assert client.get("/m/below/x").json() == 1
        assert client.post("/m/a").status_code == 405
        assert client.get("/m/a").json() == "/a"
        assert seen == ["Mount"]
    """)


def test_form_limits_of_routers_reach_their_routes() -> None:
    program("""
        from typing import Annotated
        from fastapi import Form

        outer, inner = APIRouter(form_limits={"max_fields": 1}), APIRouter()
        app = FastAPI(form_limits={"max_fields": 3})
        for router, path in ((outer, "/outer"), (inner, "/inner"), (app, "/own")):
            @router.post(path)
            async def count(a: Annotated[str, Form()], b: Annotated[str, Form()] = ""):
                return a + b
        outer.include_router(inner)
        app.include_router(outer)
        client = TestClient(app)
        assert client.post("/own", data={"a": "1", "b": "2"}).json() == "12"
        assert client.post("/inner", data={"a": "1", "b": "2"}).status_code == 400
        assert client.post("/outer", data={"a": "1"}).json() == "1"
    """)
