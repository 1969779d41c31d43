"""Errors as documents that programs can read. Source: RFC 9457 (Problem Details for HTTP APIs).

`ProblemException` ends a request with such a document, `ProblemResponse` is the document, and `problem_handlers` makes
every error of an application one. `refuse` is for middleware, which runs outside the application's exception handlers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from pallasite._compat.public import publish
from pallasite._exception_handler import find_handler
from pallasite._http import scope_keys
from pallasite._http.phrases import PHRASES
from pallasite._http.typed import InvalidParameter
from pallasite._runtime.calls import call_in_threadpool
from pallasite._utils import is_async_callable
from pallasite.background import BackgroundTask
from pallasite.exceptions import HTTPException
from pallasite.negotiation import preferred_type
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.types import Receive, Scope, Send
from pallasite.websockets import WebSocket

__all__ = ["InvalidParameter", "ProblemException", "ProblemResponse", "problem_handlers", "problem_response", "refuse"]

_MEDIA_TYPE = "application/problem+json"
# What a client may ask for when it can read a problem document, and the types of people.
_OFFERS = (_MEDIA_TYPE, "application/json", "text/plain", "text/html")
_RESERVED = frozenset({"type", "title", "status", "detail", "instance"})
_EXTENSION = re.compile("[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class ProblemException(HTTPException):
    """Ends the request with a problem document.

    Args:
        type: a URI reference that identifies the kind of problem. ``about:blank`` means that the status code says all.
        title: a summary of that kind. The default is the reason phrase of the status code.
        detail: an explanation of this occurrence. Clients see it, so it must not contain internals.
        instance: a URI reference that identifies this occurrence.
        headers: headers to add to the response.
        extensions: further members of the document. Names consist of ASCII letters, digits and underscores.

    Raises:
        TypeError: `type`, `title`, `detail` or `instance` is not text.
        ValueError: `status_code` is not that of an error, the name of an extension is not valid, or a header is not.
    """

    def __init__(
        self,
        status_code: int,
        *,
        type: str = "about:blank",
        title: str | None = None,
        detail: str | None = None,
        instance: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        self._problem = _document(status_code, type, title, detail, instance, extensions)
        super().__init__(status_code, detail=self._problem["title"] if detail is None else detail, headers=headers)


class ProblemResponse(JSONResponse):
    """A problem document. Its arguments are those of `ProblemException`, and it raises the same errors."""

    media_type = _MEDIA_TYPE

    def __init__(
        self,
        status_code: int,
        *,
        type: str = "about:blank",
        title: str | None = None,
        detail: str | None = None,
        instance: str | None = None,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        **extensions: Any,
    ) -> None:
        problem = _document(status_code, type, title, detail, instance, extensions)
        super().__init__(problem, status_code=status_code, headers=headers, background=background)


def _document(
    status: int, type_: str, title: str | None, detail: str | None, instance: str | None, extensions: Mapping[str, Any]
) -> dict[str, Any]:
    if not 400 <= status <= 599:
        raise ValueError(f"{status} is not the status code of an error (400 to 599)")
    for name, value in (("type", type_), ("title", title), ("detail", detail), ("instance", instance)):
        if not (isinstance(value, str) or (value is None and name != "type")):
            raise TypeError(f"the {name} of a problem must be text, not {value!r}")
    for name in extensions:
        if name in _RESERVED or not _EXTENSION.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a problem's extension member")
    document = {"type": type_, "title": title or _phrase(status), "status": status}
    if detail is not None:
        document["detail"] = detail
    if instance is not None:
        document["instance"] = instance
    return {**document, **extensions}


def _phrase(status: int) -> str:
    return PHRASES.get(status) or ("Client Error" if status < 500 else "Server Error")


def problem_response(scope: Scope, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as a document, or as plain text if the client prefers text or HTML to JSON.

    A client that accepts everything, or neither, gets the document.
    """
    status = problem["status"]
    response: Response
    if (preferred_type(scope, _OFFERS) or _MEDIA_TYPE).startswith("text/"):
        text = f"{status} {problem['title']}"
        detail = problem.get("detail")
        response = PlainTextResponse(f"{text}: {detail}" if detail else text, status_code=status, headers=headers)
    else:
        response = JSONResponse(dict(problem), status_code=status, headers=headers, media_type=_MEDIA_TYPE)
    response.headers.add_vary_header("Accept")
    return response


async def refuse(exc: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a request or WebSocket handshake with `exc`, from a middleware.

    The application's exception handler for its status code or class responds, if there is one. Otherwise a
    `ProblemException` becomes its document, and any other exception the document of its status code.
    """
    app = scope.get("app")
    handlers = getattr(app, "exception_handlers", None) or {}
    by_status = {key: handler for key, handler in handlers.items() if isinstance(key, int)}
    handler = find_handler((handlers, by_status), exc)
    if handler is None:
        response: Any = problem_response(scope, _problem_of(exc), exc.headers)
    else:
        conn: HTTPConnection = (
            Request(scope, receive, send) if scope["type"] == "http" else WebSocket(scope, receive, send)
        )
        if is_async_callable(handler):
            response = await handler(conn, exc)  # type: ignore[arg-type]
        else:
            response = await call_in_threadpool(handler, conn, exc)  # type: ignore[arg-type]
    if response is not None:
        await response(scope, receive, send)


def problem_handlers(app: Any, *, types_base: str | None = None, include_request_id: bool = True) -> None:
    """Make every error of an application a problem document: of HTTPExceptions, of validation and of server errors.

    A client that prefers text or HTML, such as a browser, gets plain text. Handlers that were registered before for
    the same classes are replaced; those for status codes and for other classes are kept. For FastAPI this covers
    `RequestValidationError`: its document has a member `errors`, a list of objects with `detail` and with either
    `pointer` (a JSON Pointer into the body, RFC 6901) or `parameter` and `in`.

    Args:
        types_base: the start of the URI of each type, such as ``"https://example.org/problems/"``, which the reason
            phrase follows, as in ``not-found``. None leaves the type as ``about:blank``.
        include_request_id: name the request: `instance` is ``urn:uuid:`` and the id that `ObservabilityMiddleware` has
            given it, or `request_id` is the id if it is not a UUID.
    """
    translator = _Translator(types_base, include_request_id)
    app.add_exception_handler(HTTPException, translator.http_exception)
    app.add_exception_handler(Exception, translator.server_error)
    fastapi = sys.modules.get("fastapi.exceptions")
    if fastapi is not None:
        app.add_exception_handler(fastapi.RequestValidationError, translator.validation_error)


class _Translator:
    """The exception handlers of one application."""

    def __init__(self, types_base: str | None, include_request_id: bool) -> None:
        self.types_base = types_base
        self.include_request_id = include_request_id

    async def http_exception(self, request: HTTPConnection, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        if not 400 <= exc.status_code <= 599:
            # Not an error, such as a redirect.
            return PlainTextResponse(exc.detail, status_code=exc.status_code, headers=exc.headers)
        return self.respond(request, _problem_of(exc), exc.headers)

    async def server_error(self, request: HTTPConnection, exc: Exception) -> Response:
        return self.respond(request, _document(500, "about:blank", None, None, None, {}))

    async def validation_error(self, request: HTTPConnection, exc: Any) -> Response:
        errors = [_field_error(error) for error in exc.errors()]
        problem = _document(422, "about:blank", None, "The request is not valid.", None, {"errors": errors})
        return self.respond(request, problem)

    def respond(
        self, request: HTTPConnection, problem: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> Response:
        problem = dict(problem)
        if self.types_base is not None and problem["type"] == "about:blank":
            slug = re.sub("[^a-z0-9]+", "-", _phrase(problem["status"]).lower()).strip("-")
            problem["type"] = self.types_base + slug
        request_id = request.scope.get(scope_keys.REQUEST_ID) if self.include_request_id else None
        if request_id is not None:
            if _UUID.fullmatch(request_id):
                problem.setdefault("instance", f"urn:uuid:{request_id}")
            else:
                problem.setdefault("request_id", request_id)
        return problem_response(request.scope, problem, headers)


def _problem_of(exc: HTTPException) -> dict[str, Any]:
    """Return the problem of an exception. A `detail` that is not text, as FastAPI allows, becomes `data`."""
    if exc._problem is not None:
        return dict(exc._problem)
    status, detail = exc.status_code, exc.detail
    if isinstance(detail, str):
        text = None if detail in ("", _phrase(status)) else detail
        return _document(status, "about:blank", None, text, None, {})
    return _document(status, "about:blank", None, None, None, {"data": detail})  # type: ignore[unreachable]


def _field_error(error: Mapping[str, Any]) -> dict[str, Any]:
    place, *path = error["loc"]
    found: dict[str, Any] = {"detail": error["msg"]}
    if place == "body":
        found["pointer"] = "#" + "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)
    else:
        found["parameter"], found["in"] = ".".join(map(str, path)), str(place)
    return found


publish(globals())
