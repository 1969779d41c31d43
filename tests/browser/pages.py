"""An application that a browser is to protect, and the pages of another site that attack it.

``ROLE=site`` is the first, with the protection that Pallasite offers. ``ROLE=attacker`` is the second.
"""

from __future__ import annotations

import os
from string import Template

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.cross_origin import CrossOriginMiddleware
from pallasite.middleware.security_headers import SecurityHeadersMiddleware
from pallasite.requests import Request
from pallasite.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.websockets import WebSocket

# What has reached the application, in spite of everything.
changes: list[str] = []

# Each way in which a page can send a request with an effect. `from` tells the application which it was.
ATTACKS = Template("""<!doctype html>
<title>attacks</title>
<iframe name="plain"></iframe>
<form id="form" method="post" target="plain" action="$target/change?from=$who-form"></form>
<iframe name="multipart"></iframe>
<form id="upload" method="post" enctype="multipart/form-data" target="multipart"
 action="$target/change?from=$who-upload"></form>
<iframe sandbox="allow-forms allow-scripts" srcdoc="<form method=post action='$target/change?from=$who-sandbox'></form>
<script>document.forms[0].submit()</script>"></iframe>
<script>
const send = (name, options) => fetch("$target/change?from=$who-" + name, {method: "POST", ...options}).catch(() => 0);
document.getElementById("form").submit();
document.getElementById("upload").submit();
const socket = new WebSocket("$target".replace("http", "ws") + "/socket?from=$who-socket");
Promise.all([
  send("fetch", {}),
  send("no-cors", {mode: "no-cors"}),
  send("credentials", {mode: "no-cors", credentials: "include"}),
  send("no-referrer", {mode: "no-cors", referrerPolicy: "no-referrer"}),
  new Promise((resolve) => { socket.onopen = socket.onerror = socket.onclose = resolve; }),
  new Promise((resolve) => { navigator.sendBeacon("$target/change?from=$who-beacon"); resolve(); }),
]).then(() => { document.title = "sent"; });
</script>
""")

NONCES = Template("""<!doctype html>
<title>nonces</title>
<script nonce="$nonce">document.documentElement.dataset.mine = "ran";</script>
<script>document.documentElement.dataset.injected = "ran";</script>
<script nonce="guessed">document.documentElement.dataset.guessed = "ran";</script>
<img src="/none" onerror="document.documentElement.dataset.attribute = 'ran'">
<p style="color: red">text</p>
""")


async def change(request: Request) -> Response:
    changes.append(request.query_params["from"])
    return PlainTextResponse("changed")


async def socket(websocket: WebSocket) -> None:
    changes.append(websocket.query_params["from"])
    await websocket.accept()
    await websocket.close()


async def changed(request: Request) -> Response:
    return JSONResponse(changes)


async def attacks(request: Request) -> Response:
    return HTMLResponse(ATTACKS.substitute(target=request.query_params["target"], who=request.query_params["who"]))


async def nonces(request: Request) -> Response:
    return HTMLResponse(NONCES.substitute(nonce=request.state.csp_nonce))


if os.environ.get("ROLE") == "site":
    app = Pallasite(
        routes=[
            Route("/change", change, methods=["POST"]),
            Route("/changed", changed),
            Route("/page", attacks),
            Route("/nonces", nonces, middleware=[Middleware(SecurityHeadersMiddleware, preset="strict")]),
            WebSocketRoute("/socket", socket),
        ],
        middleware=[Middleware(CrossOriginMiddleware)],
    )
else:
    app = Pallasite(routes=[Route("/page", attacks)])
