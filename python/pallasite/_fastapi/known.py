"""Recognise FastAPI's request handlers, and notice later patches of what they call.

A handler is compiled only if its function is the one inside `fastapi.routing.get_request_handler`, and if that function
and those it calls use no names but the ones listed here. A release that does something else for a request uses another
name. Its routes run as FastAPI runs them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from pallasite._core import Guard

__all__ = ["handler_parts", "is_known", "originals"]

# The values that a handler is made with. `form_limits` is there since 0.165.
_PARTS = """
    actual_response_class actual_strict_content_type body_field dependant dependency_overrides_provider
    embed_body_fields form_limits is_body_form is_coroutine is_json_stream is_sse_stream response_class response_field
    response_model_by_alias response_model_exclude response_model_exclude_defaults response_model_exclude_none
    response_model_exclude_unset response_model_include status_code stream_item_field
    """
_OPTIONAL_PARTS = frozenset(("form_limits",))

# Each function that a compiled route stands in for, and the names that it may use.
_HANDLER = """
    Any AsyncExitStack AsyncIterator DefaultPlaceholder EndpointContext Exception HTTPException Iterator JSONDecodeError
    MAX_BODY_SIZE_SCOPE_KEY Message ObjectReceiveStream RequestValidationError Response StreamingResponse Undefined
    _FASTAPI_SCOPE_KEY __aiter__ _build_response_args _extract_endpoint_context _is_async_gen_callable _is_gen_callable
    _operation _resolve_form_limits _validation_failed aclose asynccontextmanager background background_tasks body bytes
    call close doc email endswith enter_async_context errors extend form get get_body_limit_error get_content_maintype
    get_content_subtype get_telemetry_data headers is_body_allowed_for_status_code isinstance iterate_in_threadpool json
    message method msg path pos push_async_callback raw request response rstrip run_endpoint_function scope
    serialize_response solve_dependencies status_code values
    """
_FUNCTIONS = {
    ("fastapi.routing", "request_response"): """
        AsyncExitStack Awaitable Callable FastAPIError Receive Request Response Scope Send functools is_async_callable
        partial run_in_threadpool wrap_app_handling_exceptions
        """,
    ("fastapi.routing", "serialize_response"): """
        EndpointContext ResponseValidationError jsonable_encoder run_in_threadpool serialize serialize_json validate
        """,
    ("fastapi.routing", "run_endpoint_function"): "_operation _run_sync_endpoint call run_in_threadpool",
    ("fastapi.routing", "_build_response_args"): "background_tasks response status_code",
    ("fastapi.dependencies.utils", "solve_dependencies"): """
        Any AsyncExitStack BackgroundTasks Callable Request Response SecurityScopes SolvedDependency WebSocket
        _get_cache_key _get_oauth_scopes _is_async_gen_callable _is_coroutine_callable _is_gen_callable _solve_generator
        background_tasks background_tasks_param_name body_params call cast concurrency cookie_params cookies
        dependencies dependency_overrides errors extend get get_dependant get_semaphore getattr header_params headers
        http_connection_param_name isinstance name path path_params query_params request_body_to_args request_param_name
        request_params_to_args response_param_name run_in_threadpool scope security_scopes_param_name solve_dependencies
        status_code update use_cache values websocket_param_name
        """,
    ("fastapi.dependencies.utils", "request_params_to_args"): """
        _get_multidict_value _get_param_aliases _get_param_model _request_param_model_to_args
        _validate_value_with_model_field extend field_info in_ isinstance name next params Param value
        """,
    ("fastapi.dependencies.utils", "request_body_to_args"): """
        AttributeError FormData Undefined _extract_form_body _extract_form_model _get_form_models _get_param_aliases
        _should_embed_body_fields _validate_value_with_model_field append bytes extend get get_missing_field_error
        isinstance len name
        """,
    ("fastapi.dependencies.utils", "_extract_form_items"): """
        Undefined _get_multidict_extras _get_multidict_value _get_param_aliases add getlist keys len set
        """,
    ("fastapi.dependencies.utils", "_is_empty_file_input"): "UploadFile filename isinstance size",
    ("fastapi.dependencies.utils", "_get_multidict_value"): """
        FormData Headers ImmutableMultiDict Undefined UploadFile _is_empty_file_input _is_json_field annotation
        field_annotation_is_sequence field_info get getlist isinstance len str
        """,
    ("fastapi.dependencies.utils", "_validate_value_with_model_field"): """
        Undefined deepcopy default field_info get_missing_field_error is_required validate validate_default
        """,
}
# What those functions call in turn, which the compiled route calls or stands in for too.
_CALLED = """
    AsyncExitStack DefaultPlaceholder HTTPException JSONResponse Request Response is_body_allowed_for_status_code
    jsonable_encoder run_in_threadpool solve_dependencies wrap_app_handling_exceptions _extract_endpoint_context
    _run_sync_endpoint _operation get_telemetry_data
    """
_CALLED_BY_DEPENDENCIES = """
    BackgroundTasks Response _get_cache_key _get_oauth_scopes _get_param_aliases _get_param_model _is_json_field
    _solve_generator deepcopy field_annotation_is_sequence get_dependant get_missing_field_error run_in_threadpool
    """


@cache
def is_known(routing: Any) -> bool:
    """Return True if `fastapi.routing`, the module, handles requests as expected."""
    code = _handler_code(routing)
    if code is None or not _uses_only(code, _HANDLER):
        return False
    known, parts = frozenset(_PARTS.split()), frozenset(code.co_freevars)
    if not known - _OPTIONAL_PARTS <= parts <= known:
        return False
    for (module_name, name), names in _FUNCTIONS.items():
        function = getattr(sys.modules.get(module_name), name, None)
        if type(function) is not FunctionType or function.__module__ != module_name:
            return False
        if not all(_uses_only(code, names) for code in _nested(function.__code__)):
            return False
    return True


@cache
def originals(routing: Any) -> Guard:
    """Return the guard over everything that a compiled route stands in for, as it is at the first call."""
    utils = sys.modules["fastapi.dependencies.utils"]
    field = utils.ModelField
    names: list[tuple[Any, str]] = [(sys.modules[module], name) for module, name in _FUNCTIONS]
    names += [(routing, name) for name in _CALLED.split()]
    names += [(utils, name) for name in _CALLED_BY_DEPENDENCIES.split()]
    names += [(field, name) for name in ("validate", "serialize", "serialize_json", "get_default")]
    names += [(routing.JSONResponse, name) for name in ("render", "__init__", "__call__")]
    return Guard(names)


def handler_parts(app: Any, routing: Any) -> dict[str, Any] | None:
    """Return what the handler inside `app` was made with, by name.

    None if `app` was not made by FastAPI's `request_response`, or not with the handler of `get_request_handler`.
    """
    outer = _inner_code(getattr(routing, "request_response", None))
    if type(app) is not FunctionType or outer is None or app.__code__ is not outer:
        return None
    handler = _cells(app).get("f")
    if type(handler) is not FunctionType or handler.__code__ is not _handler_code(routing):
        return None
    parts = _cells(handler)
    parts.setdefault("form_limits", None)
    return parts


def _cells(function: FunctionType) -> dict[str, Any]:
    names = function.__code__.co_freevars
    return {name: cell.cell_contents for name, cell in zip(names, function.__closure__ or (), strict=True)}


def _handler_code(routing: Any) -> CodeType | None:
    return _inner_code(getattr(routing, "get_request_handler", None))


def _inner_code(function: Any) -> CodeType | None:
    """Return the code of the function `app` inside a function, or None."""
    code = getattr(function, "__code__", None)
    for constant in getattr(code, "co_consts", ()):
        if isinstance(constant, CodeType) and constant.co_name == "app":
            return constant
    return None


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _uses_only(code: CodeType, names: str) -> bool:
    return set(code.co_names) <= set(names.split())
