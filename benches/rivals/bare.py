"""No framework: the least that an ASGI application in Python can do for these two pages."""

from __future__ import annotations

import json

from benches.exchange import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        if scope["type"] == "lifespan":
            await live(receive, send)
        return
    path = scope["path"]
    status = 200
    content: dict[str, object]
    if path == "/":
        content = {"hello": "world"}
    elif path.startswith("/items/") and path[7:].isdecimal():
        content = {"item_id": int(path[7:])}
    else:
        status, content = 404, {"detail": "Not Found"}
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
