"""Private names that other packages use nevertheless: read, assigned, deleted, or looked up."""

from __future__ import annotations

import functools
import tomllib
import weakref
from pathlib import Path
from typing import Any

import pytest

from pallasite.datastructures import Headers
from pallasite.formparsers import FormParser
from tests.support.asgi import Sent, scope_of

EXCUSED = Path(__file__).parents[1] / "compat" / "excused.toml"


def receiving(body: bytes) -> Any:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(messages)

    return receive


async def ignore(message: Any) -> None:
    pass


FORM_FIELDS = [(b"content-type", b"application/x-www-form-urlencoded")]


# Private modules.


def test_is_async_callable_sees_through_partials_and_objects(lib: Any) -> None:
    async def coroutine(a: int = 0) -> None:
        pass

    class Callable:
        async def __call__(self) -> None:
            pass

    is_async_callable = lib("_utils").is_async_callable
    assert is_async_callable(coroutine)
    assert is_async_callable(functools.partial(functools.partial(coroutine), a=1))
    assert is_async_callable(Callable())
    assert is_async_callable(functools.partial(Callable()))
    assert not is_async_callable(lambda: None)
    assert not is_async_callable(functools.partial(print))


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [
        ("/a/b", "", "/a/b"),
        ("/a/b", "/a", "/b"),
        ("/a", "/a", ""),
        ("/ab", "/a", "/ab"),
        ("/c", "/a", "/c"),
    ],
)
def test_get_route_path_is_below_the_root_path(lib: Any, path: str, root_path: str, expected: str) -> None:
    assert lib("_utils").get_route_path({"path": path, "root_path": root_path}) == expected


def test_get_route_path_needs_no_root_path(lib: Any) -> None:
    assert lib("_utils").get_route_path({"path": "/a"}) == "/a"


@pytest.mark.anyio
async def test_collapsing_task_group_raises_the_single_error(lib: Any) -> None:
    async def fail(text: str) -> None:
        raise ValueError(text)

    with pytest.raises(ValueError, match=r"^alone$"):
        async with lib("_utils").create_collapsing_task_group() as group:
            group.start_soon(fail, "alone")
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012  # the group is what raises
        async with lib("_utils").create_collapsing_task_group() as group:
            group.start_soon(fail, "one")
            raise KeyError
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


@pytest.mark.anyio
async def test_wrap_app_handling_exceptions_answers_with_the_handlers_of_the_scope(lib: Any) -> None:
    sent = Sent()
    conns: list[Any] = []

    async def handler(conn: Any, exc: Exception) -> Any:
        conns.append(conn)
        return lib("responses").PlainTextResponse(str(exc), status_code=418)

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("teapot")

    handlers: Any = ({LookupError: handler}, {})
    scope = scope_of(**{"starlette.exception_handlers": handlers})
    request = lib("requests").Request(scope, receiving(b""), sent)
    wrapped = lib("_exception_handler").wrap_app_handling_exceptions(failing, request)
    await wrapped(scope, receiving(b""), sent)
    assert sent[0]["status"] == 418
    assert sent[1]["body"] == b"teapot"
    assert conns == [request]


@pytest.mark.anyio
async def test_wrap_app_handling_exceptions_lets_the_unknown_through(lib: Any) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError

    scope = scope_of()
    request = lib("requests").Request(scope)
    with pytest.raises(LookupError):
        await lib("_exception_handler").wrap_app_handling_exceptions(failing, request)(scope, receiving(b""), ignore)


# The limit on request bodies.


@pytest.mark.anyio
async def test_body_too_large_is_an_http_exception_that_groups_can_be_split_by(lib: Any) -> None:
    body_limit = lib("middleware.body_limit")
    caught: list[Exception] = []

    async def reading(scope: Any, receive: Any, send: Any) -> None:
        try:
            await receive()
        except Exception as error:
            caught.append(error)
            raise

    await body_limit.RequestBodyLimitMiddleware(reading, max_body_size=3)(scope_of(), receiving(b"four"), ignore)
    [error] = caught
    assert isinstance(error, body_limit._RequestBodyTooLarge)
    assert isinstance(error, lib("exceptions").HTTPException)
    assert error.status_code == 413
    matching, others = ExceptionGroup("", [error, ValueError()]).split(body_limit._RequestBodyTooLarge)
    assert matching is not None
    assert others is not None
    assert matching.exceptions == (error,)


@pytest.mark.anyio
async def test_body_too_large_answered_already_unwinds_with_its_own_exception(lib: Any) -> None:
    body_limit = lib("middleware.body_limit")
    caught: list[Exception] = []

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        except Exception as error:
            caught.append(error)
            raise

    sent = Sent()
    scope = scope_of(headers=[(b"content-length", b"4")])
    await body_limit.RequestBodyLimitMiddleware(answering, max_body_size=3)(scope, receiving(b"four"), sent)
    assert [type(error) for error in caught] == [body_limit._RequestBodyLimitResponseSent]
    assert sent[0]["status"] == 413


@pytest.mark.anyio
async def test_body_limit_is_in_the_scope_while_the_application_runs(lib: Any) -> None:
    body_limit = lib("middleware.body_limit")
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope[body_limit.MAX_BODY_SIZE_SCOPE_KEY])

    scope = scope_of()
    await body_limit.RequestBodyLimitMiddleware(app, max_body_size=7)(scope, receiving(b""), ignore)
    assert seen == [7]
    assert body_limit.MAX_BODY_SIZE_SCOPE_KEY == "starlette.max_body_size"


# Templates and middleware entries.


@pytest.mark.anyio
async def test_template_response_can_be_made_by_hand(lib: Any, tmp_path: Path) -> None:
    templating = lib("templating")
    (tmp_path / "page.html").write_text("hello {{ name }}")
    template = templating.Jinja2Templates(tmp_path).get_template("page.html")
    request = lib("requests").Request(scope_of())
    response = templating._TemplateResponse(template, {"request": request, "name": "you"}, 201, {"x-a": "b"})
    assert (response.template, response.context["name"]) == (template, "you")
    assert (response.status_code, response.body, response.headers["x-a"]) == (201, b"hello you", "b")
    assert isinstance(response, lib("responses").HTMLResponse)


def test_middleware_factory_is_a_protocol_of_what_middleware_takes(lib: Any) -> None:
    factory = lib("middleware")._MiddlewareFactory
    assert getattr(factory, "_is_protocol", False)
    assert factory[...]  # generic over the parameters


# Requests.


def test_request_has_its_send_channel(lib: Any) -> None:
    request = lib("requests").Request(scope_of(), receiving(b""), ignore)
    assert request._send is ignore


@pytest.mark.anyio
async def test_request_form_is_kept_where_others_look(lib: Any) -> None:
    request = lib("requests").Request(scope_of(headers=FORM_FIELDS), receiving(b"a=1"), ignore)
    assert getattr(request, "_form", None) is None
    form = await request.form()
    assert request._form is form
    assert form["a"] == "1"


@pytest.mark.anyio
async def test_request_form_that_is_assigned_is_returned_by_form(lib: Any) -> None:
    request = lib("requests").Request(scope_of(headers=FORM_FIELDS), receiving(b"a=1"), ignore)
    mine = request._form = lib("datastructures").FormData([("b", "2")])
    assert await request.form() is mine
    async with request.form() as form:
        assert form is mine


@pytest.mark.anyio
async def test_request_json_does_not_exist_before_it_is_read(lib: Any) -> None:
    request = lib("requests").Request(scope_of(), receiving(b'{"a": 1}'), ignore)
    assert not hasattr(request, "_json")
    assert await request.json() == {"a": 1}
    assert request._json == {"a": 1}
    request._json = {"b": 2}
    assert await request.json() == {"b": 2}


@pytest.mark.anyio
async def test_request_body_does_not_exist_before_it_is_read(lib: Any) -> None:
    request = lib("requests").Request(scope_of(), receiving(b"text"), ignore)
    assert not hasattr(request, "_body")
    assert await request.body() == b"text"
    assert request._body == b"text"


@pytest.mark.anyio
async def test_request_body_that_is_assigned_is_what_everything_reads(lib: Any) -> None:
    request = lib("requests").Request(scope_of(headers=FORM_FIELDS), receiving(b"x=0"), ignore)
    request._body = b"a=1"
    assert await request.body() == b"a=1"
    assert [chunk async for chunk in request.stream()] == [b"a=1", b""]
    assert (await request.form())["a"] == "1"
    other = lib("requests").Request(scope_of(), receiving(b"0"), ignore)
    other._body = b"[1]"
    assert await other.json() == [1]


@pytest.mark.anyio
async def test_request_body_is_filled_by_a_subclass(lib: Any) -> None:
    class Doubled(lib("requests").Request):  # type: ignore[misc]
        async def body(self) -> bytes:
            if not hasattr(self, "_body"):
                self._body: bytes = 2 * await super().body()
            return self._body

    request = Doubled(scope_of(), receiving(b"1"), ignore)
    assert await request.body() == b"11"
    assert await request.json() == 11


def test_request_headers_that_are_deleted_are_read_again(lib: Any) -> None:
    request = lib("requests").Request(scope_of(headers=[(b"a", b"1")]))
    assert request.headers["a"] == "1"
    request.scope["headers"] = ((b"a", b"2"), (b"b", b"3"))
    assert request.headers["a"] == "1"
    del request._headers
    assert request.headers["a"] == "2"
    assert request.headers.keys() == ["a", "b"]


@pytest.mark.anyio
async def test_request_knows_whether_its_stream_is_consumed(lib: Any) -> None:
    request = lib("requests").Request(scope_of(), receiving(b"x"), ignore)
    assert getattr(request, "_stream_consumed", None) is False
    await request.body()
    assert request._stream_consumed is True


# Data structures.


def test_query_params_dictionary_can_be_changed(lib: Any) -> None:
    params = lib("datastructures").QueryParams("a=1&b=2&b=3")
    assert params._dict == {"a": "1", "b": "3"}
    params._dict["c"] = "4"
    del params._dict["a"]
    assert params["c"] == "4"
    assert "a" not in params
    assert dict(params) == {"b": "3", "c": "4"}


@pytest.mark.parametrize("name", ["QueryParams", "FormData", "MultiDict", "ImmutableMultiDict"])
def test_multidict_list_can_be_read_and_assigned(lib: Any, name: str) -> None:
    values = getattr(lib("datastructures"), name)([("a", "1"), ("a", "2")])
    assert values._list == [("a", "1"), ("a", "2")]
    values._list = [("a", "3"), ("b", "4")]
    assert values.getlist("a") == ["3"]
    assert values.multi_items() == [("a", "3"), ("b", "4")]


def test_query_params_of_a_request_can_have_their_list_assigned(lib: Any) -> None:
    request = lib("requests").Request(scope_of(query_string=b"a=1"))
    request.query_params._list = [("a", "5")]
    assert request.query_params.getlist("a") == ["5"]


def test_state_has_its_dictionary(lib: Any) -> None:
    state = lib("datastructures").State({"a": 1})
    state.b = 2
    assert state._state == {"a": 1, "b": 2}
    state._state["c"] = 3
    assert state.c == 3


# WebSockets, exceptions, form parsers.


def test_websocket_raises_on_a_disconnect_message_only(lib: Any) -> None:
    websockets = lib("websockets")
    scope = scope_of(type="websocket")
    websocket = websockets.WebSocket(scope, receiving(b""), ignore)
    websocket._raise_on_disconnect({"type": "websocket.receive", "text": "x"})
    with pytest.raises(websockets.WebSocketDisconnect) as caught:
        websocket._raise_on_disconnect({"type": "websocket.disconnect", "code": 1001, "reason": "gone"})
    assert (caught.value.code, caught.value.reason) == (1001, "gone")


def test_exception_handlers_replaced_in_place_are_what_answers(lib: Any, test_client_factory: Any) -> None:
    middleware = lib("middleware.exceptions").ExceptionMiddleware
    PlainTextResponse = lib("responses").PlainTextResponse

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise lib("exceptions").HTTPException(status_code=404)

    layer = middleware(failing)
    before = layer._exception_handlers.copy()
    assert set(before) >= {lib("exceptions").HTTPException, lib("exceptions").WebSocketException}

    def watched(old: Any) -> Any:
        async def handler(request: Any, exc: Exception) -> Any:
            response = await old(request, exc)
            return PlainTextResponse(b"watched " + response.body)

        return handler

    for key, handler in before.items():
        layer._exception_handlers[key] = watched(handler)
    assert test_client_factory(layer).get("/").text == "watched Not Found"


def test_form_parsers_keep_no_counters_and_the_test_that_reads_them_is_excused() -> None:
    excused = tomllib.loads(EXCUSED.read_text())["starlette"]
    assert (
        "private counters"
        in excused["tests.test_formparsers::test_urlencoded_limits_stop_parsing_within_a_single_chunk"]
    )
    parser = FormParser(Headers(), stream=None)  # type: ignore[arg-type]
    assert not hasattr(parser, "_current_fields")


# Applications.


@pytest.mark.parametrize(
    "flag",
    ["_is_instrumented_by_opentelemetry", "_original_build_middleware_stack", "_is_instrumented_by_apitally"],
)
def test_application_takes_the_flags_of_instrumentation(lib: Any, flag: str) -> None:
    app = lib("applications").Starlette()
    assert not hasattr(app, flag)
    setattr(app, flag, True)
    assert vars(app)[flag] is True
    delattr(app, flag)
    assert not hasattr(app, flag)


def test_application_can_be_in_a_weak_set(lib: Any) -> None:
    apps: weakref.WeakSet[Any] = weakref.WeakSet()
    app = lib("applications").Starlette()
    apps.add(app)
    assert app in apps
    assert list(apps) == [app]
