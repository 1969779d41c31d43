"""Instances of subclasses: attributes, weak references, a base `__init__` that is not called."""

from __future__ import annotations

import io
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi import scope_of
from tests.surface.subclassing import asgi


async def home(request: Any) -> None:
    """Stands for an endpoint that is never called."""


def make_arguments(lib: Any, name: str, folder: Path) -> dict[str, Any]:
    """Return the arguments that the `__init__` of a class needs."""
    arguments: dict[str, dict[str, Any]] = {
        "Route": {"path": "/", "endpoint": home},
        "WebSocketRoute": {"path": "/", "endpoint": home},
        "Mount": {"path": "/m", "app": asgi},
        "Host": {"host": "example.org", "app": asgi},
        "HTTPConnection": {"scope": scope_of()},
        "Request": {"scope": scope_of()},
        "WebSocket": {"scope": scope_of(type="websocket"), "receive": asgi, "send": asgi},
        "JSONResponse": {"content": 1},
        "StreamingResponse": {"content": iter(())},
        "FileResponse": {"path": folder},
        "RedirectResponse": {"url": "/"},
        "BaseHTTPMiddleware": {"app": asgi, "dispatch": home},
        "ServerErrorMiddleware": {"app": asgi},
        "ExceptionMiddleware": {"app": asgi},
        "GZipMiddleware": {"app": asgi},
        "CORSMiddleware": {"app": asgi},
        "SessionMiddleware": {"app": asgi, "secret_key": "a secret of more than 32 characters"},
        "TrustedHostMiddleware": {"app": asgi},
        "HTTPSRedirectMiddleware": {"app": asgi},
        "AuthenticationMiddleware": {"app": asgi, "backend": object()},
        "RequestBodyLimitMiddleware": {"app": asgi, "max_body_size": 1},
        "StaticFiles": {"directory": folder},
        "Jinja2Templates": {"directory": folder},
        "UploadFile": {"file": io.BytesIO()},
        "BackgroundTask": {"func": print},
        "HTTPException": {"status_code": 400},
        "WebSocketException": {"code": 1008},
        "TestClient": {"app": asgi},
        "Middleware": {"cls": asgi},
        "SimpleUser": {"username": "u"},
        "HTTPEndpoint": {"scope": scope_of(), "receive": asgi, "send": asgi},
        "WebSocketEndpoint": {"scope": scope_of(type="websocket"), "receive": asgi, "send": asgi},
        "URL": {"url": "/"},
        "Secret": {"value": "s"},
    }
    return arguments.get(name, {})


CLASSES = {
    "Starlette": "applications",
    "Router": "routing",
    "BaseRoute": "routing",
    "Route": "routing",
    "WebSocketRoute": "routing",
    "Mount": "routing",
    "Host": "routing",
    "HTTPConnection": "requests",
    "Request": "requests",
    "WebSocket": "websockets",
    "Response": "responses",
    "HTMLResponse": "responses",
    "PlainTextResponse": "responses",
    "JSONResponse": "responses",
    "RedirectResponse": "responses",
    "StreamingResponse": "responses",
    "FileResponse": "responses",
    "Middleware": "middleware",
    "BaseHTTPMiddleware": "middleware.base",
    "ServerErrorMiddleware": "middleware.errors",
    "ExceptionMiddleware": "middleware.exceptions",
    "GZipMiddleware": "middleware.gzip",
    "CORSMiddleware": "middleware.cors",
    "SessionMiddleware": "middleware.sessions",
    "TrustedHostMiddleware": "middleware.trustedhost",
    "HTTPSRedirectMiddleware": "middleware.httpsredirect",
    "AuthenticationMiddleware": "middleware.authentication",
    "RequestBodyLimitMiddleware": "middleware.body_limit",
    "StaticFiles": "staticfiles",
    "Jinja2Templates": "templating",
    "UploadFile": "datastructures",
    "URL": "datastructures",
    "Headers": "datastructures",
    "MutableHeaders": "datastructures",
    "QueryParams": "datastructures",
    "FormData": "datastructures",
    "State": "datastructures",
    "Secret": "datastructures",
    "BackgroundTask": "background",
    "BackgroundTasks": "background",
    "HTTPException": "exceptions",
    "WebSocketException": "exceptions",
    "TestClient": "testclient",
    "Convertor": "convertors",
    "StringConvertor": "convertors",
    "PathConvertor": "convertors",
    "IntegerConvertor": "convertors",
    "FloatConvertor": "convertors",
    "UUIDConvertor": "convertors",
    "HTTPEndpoint": "endpoints",
    "WebSocketEndpoint": "endpoints",
    "AuthenticationBackend": "authentication",
    "AuthCredentials": "authentication",
    "BaseUser": "authentication",
    "SimpleUser": "authentication",
    "UnauthenticatedUser": "authentication",
    "BaseSchemaGenerator": "schemas",
    "SchemaGenerator": "schemas",
}


@pytest.mark.parametrize("name", CLASSES)
def test_subclass_instances_take_attributes_and_weak_references(lib: Any, name: str, tmp_path: Path) -> None:
    base = getattr(lib(CLASSES[name]), name)

    class Own(base):  # type: ignore[misc, valid-type]
        shared = "class"

    options = make_arguments(lib, name, tmp_path)
    if name == "SchemaGenerator":
        options = {"base_schema": {}}
    made = Own(**options)
    assert isinstance(made, base)
    # State keeps its attributes elsewhere.
    made.anything = name
    assert made.anything == name
    assert made.shared == "class"
    assert isinstance(vars(made), dict)
    assert weakref.ref(made)() is made


@pytest.mark.parametrize("name", CLASSES)
def test_subclass_may_leave_out_the_base_init(lib: Any, name: str) -> None:
    base = getattr(lib(CLASSES[name]), name)

    class Own(base):  # type: ignore[misc, valid-type]
        def __init__(self, *, told: str) -> None:
            self.__dict__["told"] = told

    made = Own(told="this")
    assert isinstance(made, base)
    assert vars(made) == {"told": "this"}
