"""Cases about what is read from a request."""

from __future__ import annotations

import json
from typing import Any

from benches.app import small_app
from benches.case import Framework, case
from benches.cases.responses import DOCUMENT
from benches.exchange import get, post

ORDER = json.dumps({"customer": "Ada", "lines": DOCUMENT["items"][:10]}).encode()


@case("path parameter", group="core", request=get("/items/42"), target=0.2)
def path_parameter(web: Framework) -> Any:
    return small_app(web)


@case(
    "headers, cookies and query",
    group="core",
    request=get("/visitor", b"page=3&tag=iron&tag=crystal&q=pallasite%20meteorite").with_headers(
        (b"cookie", b"theme=dark; session=c2lnbmVkIGlu.aR3b0A; consent=yes")
    ),
    target=0.25,
)
def headers_cookies_query(web: Framework) -> Any:
    return small_app(web)


@case("JSON body of 1 KB", group="core", request=post("/orders", ORDER, b"application/json"))
def json_body(web: Framework) -> Any:
    JSONResponse = web.responses.JSONResponse

    async def order(request: Any) -> Any:
        data = await request.json()
        return JSONResponse({"customer": data["customer"], "lines": len(data["lines"])}, status_code=201)

    return web.applications.Starlette(routes=[web.routing.Route("/orders", order, methods=["POST"])])


@case("url_for", group="core", request=get("/"), target=0.3)
def url_for(web: Framework) -> Any:
    PlainTextResponse, Route = web.responses.PlainTextResponse, web.routing.Route

    async def link(request: Any) -> Any:
        return PlainTextResponse(str(request.url_for("item", item_id=7)))

    async def item(request: Any) -> Any:
        raise NotImplementedError("only linked to")

    return web.applications.Starlette(
        routes=[Route("/", link, name="link"), Route("/items/{item_id:int}", item, name="item")]
    )
