"""`SecurityHeadersMiddleware`: which fields responses have, and the nonce."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.security_headers import SecurityHeadersMiddleware
from pallasite.requests import Request
from pallasite.responses import HTMLResponse, PlainTextResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.templating import Jinja2Templates
from pallasite.websockets import WebSocket
from tests.support.asgi import Answer, Sent, ask, connect, exchange, socket_scope_of

pytestmark = pytest.mark.anyio


async def page(request: Request) -> Response:
    return PlainTextResponse("page")


async def scripted(request: Request) -> Response:
    nonce = request.state.csp_nonce
    headers = {"cache-control": request.query_params.get("cache", "no-store")}
    return HTMLResponse(f'<script nonce="{nonce}"></script>{nonce}', headers=headers)


async def own(request: Request) -> Response:
    return PlainTextResponse("own", headers={"X-Frame-Options": "ALLOWALL", "content-security-policy": "img-src *"})


async def fails(request: Request) -> Response:
    raise HTTPException(404)


def application(**options: Any) -> Pallasite:
    routes = [Route("/", page), Route("/scripted", scripted), Route("/own", own), Route("/fails", fails)]
    return Pallasite(routes=routes, middleware=[Middleware(SecurityHeadersMiddleware, **options)])


def added(answer: Answer) -> dict[str, str]:
    fields = {name.decode(): value.decode() for name, value in answer.headers}
    return {name: value for name, value in fields.items() if not name.startswith("content-") or "policy" in name}


async def test_balanced_fields_are_on_every_response() -> None:
    expected = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "strict-origin-when-cross-origin",
        "cross-origin-opener-policy": "same-origin-allow-popups",
        "content-security-policy": "base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
    }
    for path in ("/", "/fails", "/nowhere"):
        fields = added(await ask(application(), path))
        assert {name: fields.get(name) for name in expected} == expected
        assert "strict-transport-security" not in fields
    secure = added(await ask(application(), scheme="https"))
    assert secure["strict-transport-security"] == "max-age=31536000"


async def test_fields_that_the_application_sets_are_kept() -> None:
    answer = await ask(application(preset="strict"), "/own")
    assert answer.values("x-frame-options") == ["ALLOWALL"]
    assert answer.values("content-security-policy") == ["img-src *"]
    assert answer.header("x-content-type-options") == "nosniff"


async def test_api_preset_allows_nothing() -> None:
    answer = await ask(application(preset="api"))
    assert answer.header("content-security-policy") == "default-src 'none'; frame-ancestors 'none'"
    assert answer.header("cross-origin-resource-policy") == "same-site"
    assert answer.header("referrer-policy") == "no-referrer"


async def test_nonce_is_in_the_policy_of_a_page_that_uses_it() -> None:
    app = application(preset="strict")
    plain = (await ask(app)).header("content-security-policy") or ""
    assert "script-src 'self'; style-src 'self'" in plain
    nonces = set()
    for _ in range(2):
        answer = await ask(app, "/scripted")
        nonce = answer.body.decode().rpartition(">")[2]
        assert len(base64.b64decode(nonce)) == 16
        assert f'nonce="{nonce}"' in answer.body.decode()
        policy = answer.header("content-security-policy") or ""
        assert f"script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'" in policy
        nonces.add(nonce)
    assert len(nonces) == 2


async def test_template_shows_the_nonce(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ request.state.csp_nonce }}")
    templates = Jinja2Templates(directory=tmp_path)

    async def templated(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    app = SecurityHeadersMiddleware(Pallasite(routes=[Route("/", templated)]), csp="script-src 'nonce'")
    answer = await ask(app)
    assert answer.header("content-security-policy") == f"script-src 'nonce-{answer.body.decode()}'"


async def test_nonce_that_shared_caches_would_keep_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    app = application(preset="strict")
    with caplog.at_level(logging.WARNING, "pallasite.middleware.security_headers"):
        for _ in range(2):
            await ask(app, "/scripted", query=b"cache=public, max-age=60")
    [record] = caplog.records
    assert "/scripted" in record.getMessage()


async def test_policies_may_be_mappings_and_report_only() -> None:
    policy = {"default-src": "'self'", "img-src": ["'self'", "https://img.example"], "upgrade-insecure-requests": ()}
    app = application(csp="", csp_report_only=policy)
    fields = added(await ask(app))
    assert "content-security-policy" not in fields
    assert fields["content-security-policy-report-only"] == (
        "default-src 'self'; img-src 'self' https://img.example; upgrade-insecure-requests"
    )


@pytest.mark.parametrize(
    ("hsts", "expected"),
    [(60, "max-age=60"), (0, "max-age=0"), ("max-age=1; preload", "max-age=1; preload"), (None, None)],
)
async def test_hsts_may_be_set(hsts: Any, expected: str | None) -> None:
    assert (await ask(application(hsts=hsts), scheme="https")).header("strict-transport-security") == expected


async def test_rejection_of_a_websocket_has_the_fields() -> None:
    async def denied(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("no", status_code=403))

    app = SecurityHeadersMiddleware(Pallasite(routes=[WebSocketRoute("/denied", denied)]))
    scope = socket_scope_of("/denied", extensions={"websocket.http.response": {}})
    start, *_ = await exchange(app, scope, [{"type": "websocket.connect"}])
    assert (b"x-content-type-options", b"nosniff") in start["headers"]
    assert [message["type"] for message in await connect(app, "/nowhere")] == ["websocket.close"]


async def test_lifespan_passes() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await SecurityHeadersMiddleware(app)({"type": "lifespan"}, None, Sent())  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "paranoid"}, "preset must be one of balanced, strict, api, not 'paranoid'"),
        ({"csp": "default-src 'self'\nx: y"}, "header"),
        ({"csp": {"img-src": "a.example; script-src *"}}, "a source of img-src has a semicolon or a comma"),
        ({"hsts": -1}, "hsts must be 0 or more seconds, not -1"),
    ],
)
def test_setting_that_can_never_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SecurityHeadersMiddleware(Pallasite(), **options)
