"""Sessions: their content for unknown clients, their lifetime, and the sites that may send them."""

from __future__ import annotations

import base64
import pickle
import time
from typing import Any

import itsdangerous
import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route
from tests.support.asgi import ask

pytestmark = pytest.mark.anyio

SECRET = "0123456789abcdef0123456789abcdef"


async def page(request: Request) -> Response:
    match request.query_params.get("do"):
        case "write":
            request.session["user"] = "me"
        case "clear":
            request.session.clear()
        case "pop":
            request.session.pop("user", None)
    return JSONResponse(dict(request.session))


async def change(request: Request) -> Response:
    """An endpoint that a page of another site tries to reach."""
    value = await request.json()
    request.session["email"] = value["email"]
    return JSONResponse(value)


def application(**options: Any) -> Pallasite:
    return Pallasite(
        routes=[Route("/", page), Route("/change", change, methods=["POST"])],
        middleware=[Middleware(SessionMiddleware, secret_key=SECRET, **options)],
    )


def signed(payload: bytes, secret: str = SECRET) -> bytes:
    return itsdangerous.TimestampSigner(secret).sign(payload)


# --- the content


@pytest.mark.advisory("CVE-2015-5143", "CVE-2015-5963", "CVE-2015-5964")
@pytest.mark.parametrize("action", ["read", "clear", "pop"])
@pytest.mark.parametrize("cookie", [None, b"x" * 32, b"0" * 26, b"../../x", b"null", b"e30=.x.y"], ids=repr)
async def test_nothing_is_stored_for_a_session_without_data(action: str, cookie: bytes | None) -> None:
    headers = [] if cookie is None else [(b"cookie", b"session=" + cookie)]
    answer = await ask(application(), query=b"do=" + action.encode(), headers=headers)
    assert (answer.body, answer.values("set-cookie")) == (b"{}", [])


@pytest.mark.advisory("CVE-2015-5963")
async def test_session_that_was_cleared_is_deleted_not_stored_empty() -> None:
    app = application()
    stored = (await ask(app, query=b"do=write")).header("set-cookie")
    assert stored is not None
    cookie = [(b"cookie", stored.partition(";")[0].encode())]
    for action in (b"do=clear", b"do=pop"):
        cleared = (await ask(app, query=action, headers=cookie)).header("set-cookie")
        assert cleared is not None
        assert cleared.startswith("session=null; ")
        assert "expires=Thu, 01 Jan 1970" in cleared


# --- how long it counts


@pytest.mark.advisory("CVE-2018-1000814")
@pytest.mark.parametrize(("age", "counts"), [(0, True), (59, True), (61, False), (10**6, False), (-5, False)])
async def test_session_ends_at_its_age_whatever_the_client_keeps(
    age: int, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(max_age=60)
    stored = (await ask(app, query=b"do=write")).header("set-cookie")
    assert stored is not None
    assert "Max-Age=60" in stored
    cookie = [(b"cookie", stored.partition(";")[0].encode())]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + age)
    assert (await ask(app, headers=cookie)).body == (b'{"user":"me"}' if counts else b"{}")


# --- values of the cookie


class Boom:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a session was unpickled",))


FORGED = {
    "pickle": signed(base64.b64encode(pickle.dumps(Boom()))),
    "bare pickle": base64.b64encode(pickle.dumps(Boom())),
    "list": signed(base64.b64encode(b"[1]")),
    "text": signed(base64.b64encode(b'"x"')),
    "deep": signed(base64.b64encode(b"[" * 100_000)),
    "number": signed(base64.b64encode(b"1" * 5_000)),
    "two": signed(base64.b64encode(b"{}{}")),
    "other secret": signed(base64.b64encode(b'{"user":"admin"}'), "other"),
    "empty secret": signed(base64.b64encode(b'{"user":"admin"}'), ""),
    "no signature": base64.b64encode(b'{"user":"admin"}'),
    "empty signature": base64.b64encode(b'{"user":"admin"}') + b"..",
    "signature of nothing": signed(b""),
}


@pytest.mark.parametrize("cookie", FORGED.values(), ids=FORGED.keys())
async def test_bottle_session_is_never_unpickled_and_starts_anew(cookie: bytes) -> None:
    answer = await ask(application(), headers=[(b"cookie", b"session=" + cookie)])
    assert (answer.status, answer.body) == (200, b"{}")


# --- who may send it


@pytest.mark.advisory("CVE-2021-32677")
async def test_session_is_not_sent_by_pages_of_other_sites() -> None:
    stored = (await ask(application(), query=b"do=write")).header("set-cookie")
    assert stored is not None
    assert "samesite=lax" in stored.split("; ")
    assert "httponly" in stored.split("; ")


@pytest.mark.advisory("CVE-2021-32677")
@pytest.mark.parametrize("kind", [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b""])
async def test_answer_to_a_simple_request_is_not_for_pages_of_other_sites(kind: bytes) -> None:
    app = Pallasite(
        routes=[Route("/change", change, methods=["POST"])],
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["https://good.example"], allow_credentials=True),
            Middleware(SessionMiddleware, secret_key=SECRET),
        ],
    )
    headers = [(b"origin", b"https://evil.example"), (b"content-type", kind)]
    answer = await ask(app, "/change", method="POST", headers=headers, body=b'{"email":"x"}')
    assert answer.header("access-control-allow-origin") is None
    asked = [(b"origin", b"https://evil.example"), (b"access-control-request-method", b"POST")]
    asked.append((b"access-control-request-headers", b"content-type"))
    assert (await ask(app, "/change", method="OPTIONS", headers=asked)).status == 400
