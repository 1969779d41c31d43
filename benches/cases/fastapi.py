"""FastAPI on Pallasite against FastAPI on Starlette: the applications of `benches.fastapi_app`.

FastAPI stands on whatever is called Starlette when it is imported, so each side has a process of its own.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from benches.case import CASES, Framework, case
from benches.cases.files import NEEDS as FILES
from benches.cases.files import folder
from benches.cases.forms import BOUNDARY, MULTIPART, part
from benches.cases.forms import NEEDS as FORMS
from benches.cases.middleware import BASE
from benches.exchange import Exchange, get, post

NOT_SLOWER, TWICE, THRICE = 1.0, 0.5, 0.33
# The share of Starlette's time that a compiled route may take.
GOALS = {
    "hello": 0.45,
    "parameters": 0.6,
    "json-body": 0.6,
    "sync": 0.5,
    "dependency": 0.6,
    "nested": 0.6,
    "urlencoded": 0.5,
    "upload": 0.5,
    "first-of-500": 0.65,
    "last-of-500": 0.1,
}
ORDER = {"customer": "Ada", "paid": True, "lines": [{"sku": f"ore{i}", "quantity": i, "price": 2.5} for i in range(5)]}
ADDRESS = {
    "name": "Ada Lovelace",
    "street": "12 St James's Square",
    "city": "London",
    "postcode": "SW1Y 4JH",
    "country": "United Kingdom",
    "phone": "+44 20 7946 0123",
    "email": "ada@example.org",
    "company": "Analytical Engines & Co.",
    "note": "Ring twice; leave with the neighbours.",
    "newsletter": "true",
}


def multipart(path: str, *parts: bytes) -> Exchange:
    return post(path, b"".join(parts) + b"--" + BOUNDARY + b"--\r\n", MULTIPART)


def multipart_address() -> Exchange:
    return multipart("/address", *(part(f'name="{name}"', value.encode()) for name, value in ADDRESS.items()))


def upload(kilobytes: int) -> Exchange:
    content = bytes(range(256)) * 4 * kilobytes
    file = part('name="file"; filename="ore.bin"', content, "application/octet-stream")
    return multipart("/upload", part('name="title"', b"Ore"), file)


def fastapi_case(
    title: str,
    request: Exchange | Callable[[], Exchange],
    target: float = NOT_SLOWER,
    needs: tuple[str, ...] = ("applications",),
) -> Callable[[Callable[[Framework], Any]], Callable[[Framework], Any]]:
    return case(title, group="fastapi", request=request, target=target, on_loop=True, needs=needs, apart=True)


def apps() -> Any:
    return importlib.import_module("benches.fastapi_app")


@fastapi_case("hello", get("/"))
def fastapi_hello(web: Framework) -> Any:
    return apps().small()


@fastapi_case("path and query, validated", get("/items/42", b"page=3&size=50&q=iron+crystal"))
def fastapi_parameters(web: Framework) -> Any:
    return apps().small()


@fastapi_case(
    "JSON body into a model, and a model back", post("/orders", json.dumps(ORDER).encode(), b"application/json")
)
def fastapi_json_body(web: Framework) -> Any:
    return apps().small()


@fastapi_case("dependency with yield", get("/"))
def fastapi_dependency(web: Framework) -> Any:
    return apps().with_dependency()


@fastapi_case("plain `def` endpoint", get("/"))
def fastapi_sync(web: Framework) -> Any:
    return apps().with_sync_endpoint()


@fastapi_case("three nested dependencies, one of them `def`", get("/"))
def fastapi_nested(web: Framework) -> Any:
    return apps().with_nested_dependencies()


@fastapi_case('`@app.middleware("http")`, 3 of them', get("/"), THRICE, BASE)
def fastapi_function_layers(web: Framework) -> Any:
    return apps().with_function_layers(3)


@fastapi_case(
    "urlencoded form of 10 fields",
    post("/address", urlencode(ADDRESS).encode(), b"application/x-www-form-urlencoded"),
    TWICE,
    FORMS,
)
def fastapi_urlencoded(web: Framework) -> Any:
    return apps().forms()


@fastapi_case("multipart form of 10 fields", multipart_address, TWICE, FORMS)
def fastapi_multipart(web: Framework) -> Any:
    return apps().forms()


@fastapi_case("upload of 256 KB with a field", lambda: upload(256), TWICE, FORMS)
def fastapi_upload(web: Framework) -> Any:
    return apps().forms()


@fastapi_case("static file of 2 KB", get("/static/small.css"), TWICE, FILES)
def fastapi_static(web: Framework) -> Any:
    return apps().with_static_files(folder(web))


@fastapi_case("500 routes in 20 included routers: the first", get("/group0/thing0/7"), TWICE)
def fastapi_first_of_500(web: Framework) -> Any:
    return apps().many_routes()


@fastapi_case("500 routes in 20 included routers: the last", get("/group19/thing24/7"), 0.1)
def fastapi_last_of_500(web: Framework) -> Any:
    return apps().many_routes()


@fastapi_case("500 routes in 20 included routers: 404", get("/group19/thing25/7"), 0.06)
def fastapi_none_of_500(web: Framework) -> Any:
    return apps().many_routes()


@fastapi_case("500 routes, not included: the last", get("/thing498/7"), 0.15)
def fastapi_last_of_500_flat(web: Framework) -> Any:
    return apps().flat_routes()


@fastapi_case("500 routes, not included: 404", get("/thing500/7"), 0.1)
def fastapi_none_of_500_flat(web: Framework) -> Any:
    return apps().flat_routes()


def compiled(app: Any) -> Any:
    """The application with compiled routes, which only FastAPI on Pallasite has."""
    try:
        from pallasite.fastapi import compile_routes
    except ImportError:
        return app
    compile_routes(app)
    return app


def add_compiled(name: str, goal: float) -> None:
    """Register the same case with compiled routes."""
    plain = CASES[f"fastapi-{name}"]

    def build(web: Framework) -> Any:
        return compiled(plain.build(web))

    build.__name__ = f"fastapi_compiled_{name.replace('-', '_')}"
    assert plain.request is not None
    fastapi_case(f"compiled: {plain.title}", plain.request, goal, plain.needs)(build)


for _name, _goal in GOALS.items():
    add_compiled(_name, _goal)
