"""Handle a request of a compiled route: read the body, solve the dependencies, call the endpoint, make the response."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import FunctionType
from typing import Any

from pallasite._core import Observer, dumps_plain
from pallasite._exception_handler import HANDLERS_SCOPE_KEY, respond_to_exception
from pallasite._fastapi.body import is_json
from pallasite._fastapi.dependencies import Node, Solving
from pallasite._fastapi.fields import Errors, Values, validator
from pallasite._fastapi.known import handler_parts, is_known, originals
from pallasite._fastapi.theirs import (
    DefaultPlaceholder,
    RequestValidationError,
    ResponseValidationError,
    Undefined,
    is_body_allowed_for_status_code,
    models,
    routing,
)
from pallasite.concurrency import run_in_threadpool
from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["compiled"]


def compiled(app: ASGIApp) -> ASGIApp:
    """Return the compiled form of the application that FastAPI made of a route's handler, or `app` if it has none."""
    if type(app) is not FunctionType:
        return app
    # Kept with the function: an included route asks for each request.
    form: ASGIApp | None = app.__dict__.get("_compiled")
    if form is None:
        form = app.__dict__["_compiled"] = _compile(app)
    return form


def _compile(app: ASGIApp) -> ASGIApp:
    if not is_known(routing):
        return app
    parts = handler_parts(app, routing)
    if parts is None:
        return app
    dependant = parts["dependant"]
    if models._is_gen_callable(dependant.call) or models._is_async_gen_callable(dependant.call):
        return app  # a stream
    node = Node(dependant, parts["embed_body_fields"])
    if node.limits_concurrency:
        return app
    handler = Handler(node, parts)
    # FastAPI's own frame closes what generators have opened, in its order, and notices a lost exception.
    within = routing.request_response(handler.respond) if node.needs_stacks else handler.run
    return CompiledApp(app, within, handler)


class CompiledApp:
    """The ASGI application of a compiled route. Runs FastAPI's own for what it does not know exactly."""

    __slots__ = ("_guard", "_handler", "_within", "original")

    def __init__(self, original: ASGIApp, within: ASGIApp, handler: Handler) -> None:
        self.original = original
        self._within = within
        self._handler = handler
        self._guard = originals(routing)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        provider = self._handler.overrides_provider
        if (
            self._guard.holds()
            and "fastapi.telemetry" not in scope
            and (provider is None or not provider.dependency_overrides)
            and type(scope.get("fastapi_middleware_astack")) is AsyncExitStack
        ):
            return self._within(scope, receive, send)
        return self.original(scope, receive, send)

    def __reduce__(self) -> tuple[Any, ...]:
        return compiled, (self.original,)  # a copy of an application has routes of its own


class Handler:
    """The prepared handler of a route."""

    def __init__(self, node: Node, parts: dict[str, Any]) -> None:
        self._node = node
        self._dependant = parts["dependant"]
        self._call: Callable[..., Any] = self._dependant.call
        self._is_async: bool = parts["is_coroutine"]
        self._body_field = parts["body_field"]
        self._is_form: bool = bool(parts["is_body_form"])
        self._form_limits = parts["form_limits"]
        self._needs_content_type: bool = parts["actual_strict_content_type"]
        self._status_code: int | None = parts["status_code"]
        self._response_class: type[Response] = parts["actual_response_class"]
        self._field = parts["response_field"]
        self._shape = {
            name: parts[f"response_model_{name}"]
            for name in ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")
        }
        is_default = isinstance(parts["response_class"], DefaultPlaceholder)
        self._validate = None if self._field is None else validator(self._field, ("response",))
        self._dumps_field = is_default and self._field is not None
        self._dumps_plain = self._field is None and self._response_class is JSONResponse
        self.overrides_provider = parts["dependency_overrides_provider"]

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to the request, as an ASGI application. For routes that need no exit stacks."""
        request: Request = Request(scope, receive, send)
        handlers = scope.get(HANDLERS_SCOPE_KEY)
        observed = Observer.of(scope, send)
        try:
            response = await self.respond(request)
            await response(scope, receive, observed)
        except Exception as exc:
            if not await respond_to_exception(handlers, exc, request, scope, receive, observed):
                raise

    async def respond(self, request: Request) -> Response:
        """Return the response to the request.

        Raises:
            RequestValidationError: the parameters or the body are not valid.
            ResponseValidationError: what the endpoint has returned is not valid.
            HTTPException: the body cannot be parsed (400).
        """
        body: Any = Undefined
        if self._body_field is not None:
            body = await self._read_body(request)
        solving = Solving(request, body)
        errors: Errors = []
        values = await self._node.solve(solving, errors)
        if errors:
            raise RequestValidationError(
                errors, body=None if body is Undefined else body, endpoint_ctx=self._context(request)
            )
        # An endpoint in a worker thread has its result validated there too.
        if self._is_async:
            result = await self._call(**values)
            valid = result if self._validate is None or isinstance(result, Response) else self._validate(result, errors)
        else:
            result, valid = await run_in_threadpool(self._call_in_thread, values, errors)
        if isinstance(result, Response):
            if result.background is None:
                result.background = solving.background
            return result
        if errors:
            raise ResponseValidationError(errors=errors, body=result, endpoint_ctx=self._context(request))
        return self._response(valid, solving)

    def _call_in_thread(self, values: Values, errors: Errors) -> tuple[Any, Any]:
        result = self._call(**values)
        if self._validate is None or isinstance(result, Response):
            return result, result
        return result, self._validate(result, errors)

    def _response(self, result: Any, solving: Solving) -> Response:
        """Return the response with a valid result as its content."""
        shared = solving.response
        options: dict[str, Any] = {"background": solving.background}
        if self._status_code:
            options["status_code"] = self._status_code
        if shared is not None and shared.status_code:
            options["status_code"] = shared.status_code
        response: Response
        if self._dumps_field:
            content = self._field._type_adapter.serializer.to_json(result, **self._shape)
            response = Response(content, media_type="application/json", **options)
        else:
            content = dumps_plain(result) if self._dumps_plain else None
            if content is not None:
                response = Response(content, media_type="application/json", **options)
            elif self._field is not None:
                response = self._response_class(self._field.serialize(result, **self._shape), **options)
            else:
                response = self._response_class(routing.jsonable_encoder(result), **options)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        if shared is not None:
            response.headers.raw.extend(shared.headers.raw)
        return response

    async def _read_body(self, request: Request) -> Any:
        """Return the form, the JSON document or the bytes. Undefined for no body."""
        try:
            if self._is_form:
                return await self._read_form(request)
            content = await request.body()
            if not content:
                return Undefined
            content_type = request.headers.get("content-type")
            is_document = is_json(content_type) if content_type else not self._needs_content_type
            return await request.json() if is_document else content
        except json.JSONDecodeError as error:
            wrong = {
                "type": "json_invalid",
                "loc": ("body", error.pos),
                "msg": "JSON decode error",
                "input": {},
                "ctx": {"error": error.msg},
            }
            raise RequestValidationError([wrong], body=error.doc, endpoint_ctx=self._context(request)) from error
        except HTTPException:
            raise
        except Exception as error:
            limit_error = _limit_error(error) if _LIMIT_KEY in request.scope else None
            if limit_error is not None:
                raise limit_error from error
            raise HTTPException(400, detail="There was an error parsing the body") from error

    async def _read_form(self, request: Request) -> Any:
        inherited = request.scope.get(routing._FASTAPI_SCOPE_KEY, {})
        limits = {} if _form_limits is None else _form_limits(inherited, self._form_limits)
        form = await request.form(**limits)
        request.scope["fastapi_middleware_astack"].push_async_callback(form.close)
        return form

    def _context(self, request: Request) -> Any:
        """Return where the endpoint is, for messages."""
        context = routing._extract_endpoint_context(self._call)
        if self._dependant.path:
            mount_path = request.scope.get("root_path", "").rstrip("/")
            context["path"] = f"{request.method} {mount_path}{self._dependant.path}"
        return context


# Releases before 0.165 have no limits of their own.
_LIMIT_KEY = getattr(routing, "MAX_BODY_SIZE_SCOPE_KEY", None)
_limit_error: Any = getattr(routing, "get_body_limit_error", None)
_form_limits: Any = getattr(routing, "_resolve_form_limits", None)
