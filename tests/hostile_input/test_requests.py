"""What a client can send must never be answered by a 5xx, a panic or a stall.

One small application looks at every part of a request; each test sends it something malformed, as raw ASGI messages
where no client library would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.datastructures import MutableHeaders
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pallasite.routing import Host, Mount, Route, Router, WebSocketRoute
from pallasite.websockets import WebSocket
from tests.support.asgi import exchange, scope_of, socket_scope_of

pytestmark = pytest.mark.anyio


Headers = list[tuple[bytes, bytes]]


def look_at_everything(request: Request) -> dict[str, Any]:
    request.session["seen"] = request.session.get("seen", 0) + 1
    return {
        "url": str(request.url),
        "parts": [request.url.hostname, request.url.path, request.url.query, request.url.username],
        "port": read_port(request),
        "base": str(request.base_url),
        "headers": request.headers.items(),
        "language": request.headers.get("accept-language"),
        "query": request.query_params.multi_items(),
        "again": str(request.query_params),
        "cookies": request.cookies,
        "client": request.client,
        "params": {name: str(value) for name, value in request.path_params.items()},
        "method": request.method,
        "home": str(request.url_for("home")),
        "text": str(request.url_for("item", name="a")),
        "longer": str(request.url.include_query_params(page=2).remove_query_params("x").replace(fragment="top")),
        "state": request.state._state,
    }


def read_port(request: Request) -> int | None:
    try:
        return request.url.port
    except ValueError:  # as documented: a port that is not a number below 65,536
        return None


async def everything(request: Request) -> Response:
    return JSONResponse(look_at_everything(request))


def everything_in_a_thread(request: Request) -> Response:
    return JSONResponse(look_at_everything(request))


async def elsewhere(request: Request) -> Response:
    return RedirectResponse(request.query_params.get("next", str(request.url)))


async def echo_json(request: Request) -> Response:
    return JSONResponse(await request.json())


async def echo_text(request: Request) -> Response:
    value = await request.json()
    return PlainTextResponse(value if isinstance(value, str) else "")


async def echo_body(request: Request) -> Response:
    return Response(await request.body())


async def echo_stream(request: Request) -> Response:
    return Response(b"".join([chunk async for chunk in request.stream()]))


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse([name for name, _ in fields.multi_items()])


async def file(request: Request) -> Response:
    return FileResponse(Path(__file__))


async def refused(request: Request) -> Response:
    raise HTTPException(418, detail=request.url.path)


async def on_teapot(request: Request, exc: Exception) -> Response:
    return JSONResponse({"path": request.url.path, "why": str(exc)}, status_code=418)


async def text_socket(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def json_socket(socket: WebSocket) -> None:
    await socket.accept()
    async for value in socket.iter_json():
        await socket.send_json(value)


def make_app() -> Pallasite:
    pages = [
        Route("/", everything, name="home"),
        Route("/thread", everything_in_a_thread),
        Route("/item/{name}", everything, name="item"),
        Route("/int/{number:int}", everything),
        Route("/float/{number:float}", everything),
        Route("/uuid/{number:uuid}", everything),
        Route("/pair/{a}-{b:int}.json", everything),
        Route("/rest/{rest:path}", everything),
        Route("/elsewhere", elsewhere),
        Route("/json", echo_json, methods=["POST"]),
        Route("/text", echo_text, methods=["POST"]),
        Route("/body", echo_body, methods=["POST"]),
        Route("/stream", echo_stream, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/file", file),
        Route("/refused", refused),
        Route("/slash/", everything),
        WebSocketRoute("/ws", text_socket),
        WebSocketRoute("/ws/json", json_socket),
    ]
    return Pallasite(
        routes=[
            Host("{tenant}.example.org", Router([Route("/{name}", everything)])),
            Mount("/below/{section}", routes=[Route("/{name}", everything), Route("/", everything)]),
            *pages,
        ],
        middleware=[Middleware(SessionMiddleware, secret_key="not very secret, but long")],
        exception_handlers={418: on_teapot},
    )


async def ask(scope: Any, *messages: Any) -> tuple[int, bytes]:
    """The answer's status and body; a 5xx, and anything that reaches the server, fails the test."""
    sent = await exchange(make_app(), scope, messages or [{"type": "http.request", "body": b""}])
    status: int = sent[0]["status"]
    assert status < 500
    for _, value in sent[0]["headers"]:
        assert not set(value) & set(b"\r\n\0")
    return status, b"".join(message.get("body", b"") for message in sent[1:])


def post(path: str, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> tuple[Any, Any]:
    return scope_of(path, method="POST", headers=headers), {"type": "http.request", "body": body}


ODD_BYTES = {
    "empty": b"",
    "nul": b"a\0b",
    "line feed": b"a\nb",
    "carriage return": b"a\r\nx: y",
    "all bytes": bytes(range(256)),
    "bad utf-8": b"\xff\xfe\xc0\x80",
    "surrogate as utf-8": b"\xed\xa0\x80",
    "separators only": b";;;,,,===&&&",
    "open quote": b'a="b; c',
    "percents": b"%&%zz&%0&%00=%ff&a=%ud800",
    "long": b"x" * 100_000,
    "many": b"a=b;c=d&" * 10_000,
}
HEADER_NAMES = [
    b"accept",
    b"accept-language",
    b"authorization",
    b"content-length",
    b"content-type",
    b"cookie",
    b"host",
    b"if-range",
    b"origin",
    b"range",
    b"x-forwarded-for",
    b"",
    b"\xff\0",
]


@pytest.mark.parametrize("name", HEADER_NAMES, ids=repr)
@pytest.mark.parametrize("value", ODD_BYTES.values(), ids=ODD_BYTES.keys())
async def test_header_of_any_bytes_is_read_as_latin_1(name: bytes, value: bytes) -> None:
    headers = [(name, value), (name, value)]
    for path in ("/", "/thread", "/file", "/refused", "/nowhere", "/slash"):
        await ask(scope_of(path, headers=headers))
    await ask(scope_of(headers=[*headers, (b"host", b"t.example.org")]))


@pytest.mark.parametrize("value", ODD_BYTES.values(), ids=ODD_BYTES.keys())
async def test_query_of_any_bytes_is_read(value: bytes) -> None:
    status, _ = await ask(scope_of(query=value))
    assert status == 200
    status, _ = await ask(scope_of("/slash", query=value))
    assert status == 307
    status, _ = await ask(scope_of("/elsewhere", query=b"next=" + value))
    assert status == 307


@pytest.mark.parametrize("name", [b"cookie", b"session"], ids=repr)
@pytest.mark.parametrize("value", ODD_BYTES.values(), ids=ODD_BYTES.keys())
async def test_session_cookie_of_any_bytes_starts_a_session_anew(name: bytes, value: bytes) -> None:
    status, body = await ask(scope_of(headers=[(b"cookie", b"session=" + value)]))
    assert (status, json.loads(body)["method"]) == (200, "GET")


HOSTS = [
    b"",
    b":",
    b":80",
    b"a:b",
    b"a:99999999999999999999",
    b"a:" + b"9" * 5000,
    b"[",
    b"[]",
    b"[::1",
    b"[::1]:x",
    b"a b",
    b"a/b",
    b"a?b#c",
    b"user:pass@a",
    b"\xff.example.org",
    b".example.org",
    b"a\0.example.org",
    b"a\n.example.org",
    b"%00.example.org",
    b"A" * 70_000 + b".example.org",
    b"a,b",
]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host[:20]))
@pytest.mark.parametrize("path", ["/", "/slash", "/nowhere", "//", "/item/x"])
async def test_host_of_any_bytes_is_answered(host: bytes, path: str) -> None:
    await ask(scope_of(path, headers=[(b"host", host)]))


PATHS = {
    "empty": "",
    "no slash": "item",
    "star": "*",
    "nul": "/item/a\0b",
    "line feed": "/item/a\n",
    "encoded slash": "/item/a%2fb",
    "double slash": "//",
    "double slash inside": "/item//a",
    "another host": "//evil.example/",
    "dots": "/../../etc/passwd",
    "backslashes": "/\\..\\x",
    "lone surrogate": "/item/\ud800",
    "lone surrogate below a mount": "/below/\udfff/\ud800",
    "other planes": "/item/\U0010ffff",
    "query in the path": "/item/a?b#c",
    "long integer": "/int/" + "9" * 5000,
    "negative integer": "/int/-1",
    "digits of other scripts": "/int/١٢٣",
    "superscript": "/int/²",
    "long float": "/float/" + "9" * 5000 + "." + "9" * 5000,
    "not a number": "/float/nan",
    "bad uuid": "/uuid/00000000-0000-0000-0000-00000000000g",
    "many dashes": "/pair/" + "-" * 5000,
    "pair of a long integer": "/pair/a-" + "1" * 5000 + ".json",
    "slashes": "/" * 50_000,
    "long": "/rest/" + "x" * 1_000_000,
    "deep mount": "/below" * 10_000,
}


@pytest.mark.parametrize("ending", ["", "/", "\n"], ids=repr)
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
async def test_path_of_any_text_is_answered(path: str, ending: str) -> None:
    for method in ("GET", "BREW", ""):
        await ask(scope_of(path + ending, method=method))
    await ask(scope_of(path + ending, headers=[(b"host", b"t.example.org")]))


async def test_path_that_does_not_match_its_convertor_is_not_found() -> None:
    for name in ("long integer", "digits of other scripts", "not a number", "bad uuid", "pair of a long integer"):
        status, _ = await ask(scope_of(PATHS[name]))
        assert status == 404, name


async def test_path_with_a_line_feed_at_its_end_is_another_path() -> None:
    assert (await ask(scope_of("/file\n")))[0] == 404
    assert (await ask(scope_of("/int/1\n")))[0] == 404


BODIES = {
    "empty": b"",
    "bad utf-8": b'"\xff"',
    "truncated utf-16": b"\xff\xfe{",
    "not a number": b"NaN",
    "infinity": b"[-Infinity]",
    "number beyond a float": b'{"a": 1e999}',
    "long integer": b"1" * 5000,
    "arrays of 100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "objects of 100,000 levels": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "never closed": b"[" * 100_000,
    "two values": b"1 2",
    "nul": b'"a\0"',
    "byte order mark": b"\xef\xbb\xbf[",
    "bare word": b"undefined",
    "form": b"a=b&c=d",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_json_that_cannot_be_read_is_a_bad_request(body: bytes) -> None:
    status, _ = await ask(*post("/json", body))
    assert status == 400


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'{"\udfff": ["\ud800x"]}', rb'"\udc00\ud800"'], ids=repr)
async def test_json_with_lone_surrogates_comes_back_as_json(text: bytes) -> None:
    status, body = await ask(*post("/json", text))
    assert (status, json.loads(body)) == (200, json.loads(text))
    body.decode("utf-8")


async def test_text_with_lone_surrogates_is_sent_with_replacement_characters() -> None:
    status, body = await ask(*post("/text", rb'"a\ud800b \ud83d\ude00"'))
    assert (status, body.decode()) == (200, "a\ufffdb \U0001f600")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize(
    "kind",
    [
        b"application/x-www-form-urlencoded",
        b"multipart/form-data",
        b"multipart/form-data; boundary=x",
        b"multipart/form-data; boundary=" + b"x" * 10_000,
        b'multipart/form-data; boundary="',
        b"multipart/form-data; boundary=\xff",
        b"multipart/form-data; charset=nonsense; boundary=x",
        b"\xff\0",
    ],
    ids=lambda kind: repr(kind[:50]),
)
async def test_form_of_any_bytes_is_read_or_a_bad_request(kind: bytes, body: bytes) -> None:
    status, _ = await ask(*post("/form", body, [(b"content-type", kind)]))
    assert status in (200, 400)


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"content-disposition: form-data\r\n\r\nx",
        b'content-disposition: form-data; name="a\r\n\r\nx',
        b'content-disposition: form-data; name="\xff\0"; filename="\xff\0/../x"\r\ncontent-type: \xff\r\n\r\nx',
        b"content-disposition: form-data; name*=utf-8''%ff\r\n\r\nx",
        b"no colon\r\n\r\nx",
        b": \r\n\r\n",
        b"a: b\r\n" * 10_000 + b"\r\nx",
        b"content-disposition: attachment; name=a\r\n\r\nx",
    ],
    ids=lambda part: repr(part[:50]),
)
@pytest.mark.parametrize("end", [b"\r\n--x--\r\n", b"\r\n--x", b""], ids=repr)
async def test_form_part_of_any_bytes_is_read_or_a_bad_request(part: bytes, end: bytes) -> None:
    body = b"--x\r\n" + part + end
    status, _ = await ask(*post("/form", body, [(b"content-type", b"multipart/form-data; boundary=x")]))
    assert status in (200, 400)


@pytest.mark.parametrize("path", ["/json", "/body", "/stream", "/form"])
async def test_disconnect_in_mid_body_is_a_bad_request(path: str) -> None:
    scope = scope_of(path, method="POST", headers=[(b"content-type", b"multipart/form-data; boundary=x")])
    assert (await ask(scope, {"type": "http.request", "body": b"--x\r\n", "more_body": True}))[0] == 400


async def test_body_in_odd_messages_is_joined() -> None:
    status, body = await ask(
        scope_of("/body", method="POST"),
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": True},
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request"},
    )
    assert (status, body) == (200, b"a")


CONNECT = {"type": "websocket.connect"}


@pytest.mark.parametrize(
    ("path", "frame", "code"),
    [
        ("/ws", {"bytes": b"x"}, 1003),
        ("/ws", {"bytes": b"x", "text": None}, 1003),
        ("/ws", {}, 1003),
        ("/ws/json", {"bytes": b"{}"}, 1003),
        ("/ws/json", {"text": ""}, 1007),
        ("/ws/json", {"text": "[" * 100_000}, 1007),
        ("/ws/json", {"text": "1" * 5000}, 1007),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_websocket_frame_that_cannot_be_read_closes_with_its_code(path: str, frame: Any, code: int) -> None:
    sent = await exchange(make_app(), socket_scope_of(path), [CONNECT, {"type": "websocket.receive", **frame}])
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[1]["code"] == code


async def test_websocket_json_with_lone_surrogates_is_sent_as_text_that_utf_8_can_hold() -> None:
    sent = await exchange(
        make_app(), socket_scope_of("/ws/json"), [CONNECT, {"type": "websocket.receive", "text": r'"\ud800"'}]
    )
    assert json.loads(sent[1]["text"].encode()) == "\ud800"


@pytest.mark.parametrize("path", ["/nowhere", "/", "/ws\n", "/ws/", "/item/\ud800", "", "/below/x/y"])
async def test_websocket_at_an_unknown_path_is_refused(path: str) -> None:
    sent = await exchange(make_app(), socket_scope_of(path), [CONNECT])
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_websocket_with_odd_headers_is_accepted() -> None:
    headers = [(b"host", b"[::"), (b"cookie", b"\xff\0;=;"), (b"sec-websocket-protocol", b"\xff")]
    sent = await exchange(make_app(), socket_scope_of("/ws", headers=headers), [CONNECT])
    assert [message["type"] for message in sent] == ["websocket.accept"]


BREAKS = ["a\rb", "a\nb", "a\r\nset-cookie: x=y", "a\0b"]


@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize(
    "set_it",
    [
        lambda response, text: Response(headers={"x-a": text}),
        lambda response, text: Response(headers={text: "a"}),
        lambda response, text: Response(media_type=text),
        lambda response, text: JSONResponse({}, headers={"x-a": text}),
        lambda response, text: FileResponse(__file__, headers={"x-a": text}),
        lambda response, text: FileResponse(__file__, media_type=text),
        lambda response, text: FileResponse(__file__, filename="a", content_disposition_type=text),
        lambda response, text: RedirectResponse("/", headers={"x-a": text}),
        lambda response, text: response.headers.__setitem__("x-a", text),
        lambda response, text: response.headers.__setitem__(text, "a"),
        lambda response, text: response.headers.append("x-a", text),
        lambda response, text: response.headers.append(text, "a"),
        lambda response, text: response.headers.setdefault("x-a", text),
        lambda response, text: response.headers.update({"x-a": text}),
        lambda response, text: response.headers.add_vary_header(text),
        lambda response, text: response.headers.__ior__({"x-a": text}),
        lambda response, text: response.headers | {"x-a": text},
        lambda response, text: MutableHeaders({"x-a": text}),
        lambda response, text: response.set_cookie(text),
        lambda response, text: response.set_cookie("a", path=text),
        lambda response, text: response.set_cookie("a", domain=text),
        lambda response, text: response.set_cookie("a", expires=text),
        lambda response, text: response.delete_cookie("a", path=text),
        lambda response, text: response.delete_cookie(text),
    ],
)
def test_header_or_cookie_with_a_line_break_or_nul_is_refused_where_it_is_set(
    set_it: Callable[[Response, str], Any], text: str
) -> None:
    with pytest.raises(ValueError):
        set_it(Response(), text)


@pytest.mark.parametrize("text", BREAKS, ids=repr)
def test_line_breaks_and_nul_are_quoted_where_there_is_a_way_to_quote_them(text: str) -> None:
    response = RedirectResponse("/" + text)
    response.set_cookie("a", text)
    response.headers.append("content-disposition", FileResponse(__file__, filename=text).headers["content-disposition"])
    for _, value in response.raw_headers:
        assert not set(value) & set(b"\r\n\0")


async def test_early_hint_with_a_line_break_is_refused() -> None:
    request = Request({**scope_of(), "extensions": {"http.response.early_hint": {}}})
    with pytest.raises(ValueError, match="CR, LF"):
        await request.send_early_hints("</a>\r\nx: y")


async def test_redirect_of_a_path_that_looks_like_another_host_stays_on_this_one() -> None:
    app = Pallasite(routes=[Route("/{rest:path}/", everything)])
    for server in (("testserver", 80), None):
        scope = scope_of("//evil.example")
        scope["server"] = server
        sent = await exchange(app, scope)
        location = dict(sent[0]["headers"])[b"location"]
        assert not location.startswith((b"//", b"http://evil")), location
