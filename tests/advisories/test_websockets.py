"""The same tricks on WebSockets: heads, reasons, messages and refusals."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.exceptions import HTTPException, WebSocketException
from pallasite.responses import PlainTextResponse, RedirectResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.websockets import WebSocket
from tests.support.asgi import connect

pytestmark = pytest.mark.anyio

BREAKS = ["a\r\nset-cookie: b=c", "a\nb", "a\rb", "a\0b"]


@pytest.mark.advisory("CVE-2020-7695")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
async def test_handshake_cannot_bring_a_header(text: str) -> None:
    async def socket(websocket: WebSocket) -> None:
        raw = text.encode()
        for options in ({"subprotocol": text}, {"headers": [(b"x-a", raw)]}, {"headers": [(raw, b"a")]}):
            with pytest.raises(ValueError):
                await websocket.accept(**options)
        await websocket.accept(headers=[(b"x-a", b"b")])
        await websocket.close()

    sent = await connect(Pallasite(routes=[WebSocketRoute("/", socket)]))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[0]["headers"] == [(b"x-a", b"b")]


@pytest.mark.advisory("CVE-2026-34519")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
async def test_reason_of_a_close_stays_a_reason(text: str) -> None:
    async def socket(websocket: WebSocket) -> None:
        if "accept" in websocket.query_params:
            await websocket.accept()
        raise WebSocketException(code=1008, reason=text)

    app = Pallasite(routes=[WebSocketRoute("/", socket)])
    for query in (b"", b"accept"):
        sent = await connect(app, query=query)
        assert sent[-1] == {"type": "websocket.close", "code": 1008, "reason": text}


@pytest.mark.advisory("CVE-2025-67724")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
async def test_refusal_of_a_handshake_cannot_bring_a_header(text: str) -> None:
    async def socket(websocket: WebSocket) -> None:
        if "redirect" in websocket.query_params:
            await websocket.send_denial_response(RedirectResponse(f"/{text}"))
        elif "raise" in websocket.query_params:
            raise HTTPException(403, detail=text)
        else:
            with pytest.raises(ValueError):
                Response(headers={"x-a": text})
            await websocket.send_denial_response(PlainTextResponse(text, status_code=403))

    app = Pallasite(routes=[WebSocketRoute("/", socket)])
    for query in (b"", b"redirect", b"raise"):
        start, *rest = await connect(app, query=query, extensions={"websocket.http.response": {}})
        assert start["type"] == "websocket.http.response.start"
        assert start["status"] in (307, 403)
        assert b"set-cookie" not in dict(start["headers"])
        assert [message["type"] for message in rest] == ["websocket.http.response.body"]


MESSAGES = {
    "digits": "1" * 100_000,
    "brackets": "[" * 100_000,
    "pairs": '{"a":' * 100_000,
    "infinity": "1e999",
    "nan": "NaN",
    "surrogate": '"\ud800"',
    "nothing": "",
    "two": "1 2",
}


@pytest.mark.advisory("CVE-2020-10735", "CVE-2024-41989")
@pytest.mark.parametrize("text", MESSAGES.values(), ids=MESSAGES.keys())
async def test_message_that_is_not_json_closes_without_an_error(text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(await websocket.receive_json())
        await websocket.close()

    app = Pallasite(routes=[WebSocketRoute("/", socket)])
    sent = await connect(app, "/", {"text": text})
    if text == MESSAGES["surrogate"]:
        assert sent[1]["text"].encode() == b'"\\ud800"'
    else:
        assert sent[1:] == [{"type": "websocket.close", "code": 1007, "reason": "Malformed JSON"}]
    assert caplog.records == []


@pytest.mark.advisory("CVE-2021-21330")
async def test_websocket_to_a_path_without_its_slash_is_refused_not_redirected() -> None:
    async def socket(websocket: Any) -> None:
        await websocket.accept()

    app = Pallasite(routes=[WebSocketRoute("/{rest:path}/", socket), Route("/http/{rest:path}/", socket)])
    for path in ("//evil.example", "/\\evil.example", "/http//evil.example"):
        sent: list[Any] = await connect(app, path)
        assert [message["type"] for message in sent] == ["websocket.close"]
