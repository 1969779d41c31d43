"""The Cookie header and cookies that are set."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from pallasite import _core
from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route
from tests.support.asgi import ask, assert_linear

pytestmark = pytest.mark.anyio


async def read_cookies(request: Request) -> Response:
    return JSONResponse(request.cookies)


app = Pallasite(routes=[Route("/", read_cookies)])


async def cookies_of(*headers: bytes) -> Any:
    answer = await ask(app, headers=[(b"cookie", header) for header in headers])
    assert answer.status == 200
    return answer.body.decode()


# --- names


@pytest.mark.advisory("CVE-2023-23934")
@pytest.mark.parametrize(
    "forged",
    [
        b"=__Host-id=bad",
        b"=__Secure-id=bad",
        b"= __Host-id=bad",
        b" =__Host-id=bad",
        b"==__Host-id=bad",
        b'="__Host-id"=bad',
        b"x=1; =__Host-id=bad",
        b"x=;=__Host-id=bad",
    ],
    ids=repr,
)
async def test_cookie_without_a_name_does_not_pass_for_another(forged: bytes) -> None:
    for headers in ([forged], [b"__Host-id=good; " + forged], [forged + b"; __Host-id=good"]):
        found = _core.cookies_from_headers([(b"cookie", header) for header in headers])
        assert found.get("__Host-id") in (None, "good")
        assert found.get("__Secure-id") is None
        assert found.get("id") is None
        assert await cookies_of(*headers) == bytes(JSONResponse(found).body).decode()


@pytest.mark.advisory("CVE-2016-7401")
@pytest.mark.parametrize(
    "header",
    [
        b"a]b=1; id=good",
        b"utm=(x)|y[z]; id=good",
        b"a=[b; id=good; c=d]",
        b"a=b c=d; id=good",
        b"a=b,id=bad; id=good",
        b"a=b]id=bad; id=good",
        b"a=b\tid=bad; id=good",
        b"a=b\x0bid=bad; id=good",
        b"a={id=bad}; id=good",
        b"bare; id=good",
        b'a="b; id=good',
        b'a=b"; id=good',
        b"a=\xff; id=good",
        b"a=\x80id=bad; id=good",
        b"$Version=1; id=good; $Path=/",
        b'a="\\"; id=good',
    ],
    ids=repr,
)
async def test_only_a_semicolon_separates_cookies(header: bytes) -> None:
    found = _core.cookies_from_headers([(b"cookie", header)])
    assert found["id"] == "good"
    assert "bad" not in found.values()
    assert len(found) <= len(header.split(b";"))


# --- cost

HARD_COOKIES = {
    "octal escapes": lambda size: 'a="' + "\\054" * size + '"',
    "backslashes": lambda size: 'a="' + "\\" * size + '"',
    "escaped quotes": lambda size: 'a="' + '\\"' * size + '"',
    "halves of escapes": lambda size: 'a="' + "\\05" * size + '"',
    "open quotes": lambda size: 'a="\\' * size,
    "equals signs": lambda size: "=" * size,
    "semicolons": lambda size: "a=b;" * size,
    "blanks": lambda size: "a" + " " * size + "=b",
    "names": lambda size: "".join(f"a{number}=;" for number in range(size)),
}


@pytest.mark.advisory("CVE-2024-52804", "CVE-2024-7592")
@pytest.mark.parametrize("make", HARD_COOKIES.values(), ids=HARD_COOKIES.keys())
def test_cookies_are_read_in_one_pass(make: Any) -> None:
    assert_linear(make, _core.parse_cookies)
    assert_linear(make, lambda text: _core.cookies_from_headers([(b"cookie", text.encode())]))


@pytest.mark.advisory("CVE-2024-7592")
async def test_quoted_value_comes_back_as_it_was_set() -> None:
    value = '"\\\x01;,é \u00ff'
    response = Response()
    response.set_cookie("a", value)
    pair = response.headers["set-cookie"].partition("; ")[0]
    assert _core.parse_cookies(pair) == {"a": value}


@pytest.mark.advisory("CVE-2025-69230")
@pytest.mark.parametrize("pair", [b"=", b"\0;", b"\xff=\xff;", b"a b=c;", b'"a=', b"a=b\\"], ids=repr)
async def test_cookies_that_make_no_sense_are_not_logged(pair: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await cookies_of(pair * 50_000)
    assert caplog.records == []


# --- cookies that are set

CONTROLS = [*map(chr, range(0x20)), "\x7f"]
PLACES = {
    "key": lambda text: {"key": f"a{text}b"},
    "path": lambda text: {"key": "a", "path": f"/{text}b"},
    "domain": lambda text: {"key": "a", "domain": f"h{text}b"},
    "expires": lambda text: {"key": "a", "expires": f"x{text}b"},
}


@pytest.mark.advisory("CVE-2026-0672", "CVE-2026-3644", "CVE-2026-35536")
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_control_character_or_semicolon_is_refused_in_a_cookie(place: Any) -> None:
    for character in [*CONTROLS, "; httponly", ";", "\r\nset-cookie: b=c", "\n ", "\u2028\n"]:
        response = Response()
        with pytest.raises(ValueError):
            response.set_cookie(**place(character))
        assert "set-cookie" not in response.headers


@pytest.mark.advisory("CVE-2026-35536")
@pytest.mark.parametrize("samesite", ["lax; domain=evil", "none\r\nx: y", "", "lax ", "LAX;"])
def test_samesite_is_one_of_three(samesite: Any) -> None:
    with pytest.raises((ValueError, AssertionError)):
        Response().set_cookie("a", samesite=samesite)


@pytest.mark.advisory("CVE-2026-35536")
@pytest.mark.parametrize("max_age", ["1; domain=evil", "1\r\nx: y", "1\0"])
def test_max_age_cannot_bring_an_attribute(max_age: Any) -> None:
    with pytest.raises(ValueError):
        Response().set_cookie("a", max_age=max_age)


@pytest.mark.advisory("CVE-2026-0672")
def test_control_characters_are_quoted_in_a_value() -> None:
    for character in [*CONTROLS, ";", ",", '"', "\\", "\r\nset-cookie: b=c"]:
        response = Response()
        response.set_cookie("a", f"x{character}y")
        [(_, sent)] = [pair for pair in response.raw_headers if pair[0] == b"set-cookie"]
        assert not set(sent) & {*range(0x20), 0x7F}
        assert sent.count(b";") == 2  # path and samesite, which cannot be extended
        assert _core.parse_cookies(sent.decode().partition("; Path")[0]) == {"a": f"x{character}y"}


@pytest.mark.advisory("CVE-2026-3644")
def test_copied_and_pickled_response_has_the_same_cookies() -> None:
    response = Response()
    response.set_cookie("a", "b\nc")
    for again in (copy.copy(response), copy.deepcopy(response), pickle.loads(pickle.dumps(response))):
        assert again.headers["set-cookie"] == response.headers["set-cookie"]
    changes: list[Callable[[Any], object]] = [
        lambda headers: headers.update({"set-cookie": "a=b\nc"}),
        lambda headers: headers.__ior__({"set-cookie": "a=b\nc"}),
        lambda headers: headers.append("set-cookie", "a=b\nc"),
        lambda headers: headers.setdefault("x-set-cookie", "a=b\nc"),
    ]
    for change in changes:
        with pytest.raises(ValueError):
            change(response.headers)


@pytest.mark.advisory("CVE-2026-35536")
@pytest.mark.parametrize(
    "options",
    [
        {"session_cookie": "a;b"},
        {"session_cookie": "a\r\nb"},
        {"domain": "h; secure"},
        {"path": "/; domain=evil"},
        {"same_site": "lax; domain=evil"},
        {"path": "/\r\nx: y"},
        {"domain": "h\nx: y"},
        {"domain": "h\0"},
    ],
    ids=str,
)
def test_session_cookie_is_checked_when_it_is_configured(options: Any) -> None:
    with pytest.raises(ValueError):
        SessionMiddleware(app, secret_key="0123456789abcdef0123456789abcdef", **options)


# --- cookies and caches


@pytest.mark.advisory("CVE-2023-30861", "CVE-2026-27205", "CVE-2014-1418", "CVE-2026-48588")
async def test_use_of_a_session_is_said_to_caches() -> None:
    async def page(request: Request) -> Response:
        match request.query_params.get("do"):
            case "read":
                request.session.get("user")
            case "ask":
                "user" in request.session  # noqa: B015
            case "count":
                len(request.session)
            case "keys":
                list(request.session)
            case "write":
                request.session["user"] = "me"
            case "clear":
                request.session.clear()
        return Response(headers={"vary": "Accept"} if "vary" in request.query_params else None)

    secret = "0123456789abcdef0123456789abcdef"
    pages = Pallasite(routes=[Route("/", page)], middleware=[Middleware(SessionMiddleware, secret_key=secret)])
    stored = (await ask(pages, query=b"do=write")).header("set-cookie")
    assert stored is not None
    for cookie in ([], [(b"cookie", stored.partition(";")[0].encode())]):
        for action in (b"read", b"ask", b"count", b"keys", b"write", b"clear"):
            answer = await ask(pages, query=b"do=" + action, headers=cookie)
            assert answer.header("vary") == "Cookie"
            answer = await ask(pages, query=b"vary&do=" + action, headers=cookie)
            assert answer.header("vary") == "Accept, Cookie"
        assert (await ask(pages, headers=cookie)).header("vary") is None
