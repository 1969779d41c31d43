"""Cases about what is sent back: JSON, errors, cookies, streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from benches.app import small_app
from benches.case import Framework, case
from benches.exchange import Reply, get

CHUNKS = 10
CHUNK = b"0123456789abcdef" * 64

DOCUMENT = {
    "items": [
        {"id": i, "name": f"Item number {i}", "price": i * 1.25, "tags": ["metal", "crystal", None], "sold": i % 3 == 0}
        for i in range(100)
    ]
}


@case("hello JSON", group="core", request=get("/"), target=0.28)
def hello_json(web: Framework) -> Any:
    return small_app(web)


@case("hello JSON, sync endpoint in a worker thread", group="core", request=get("/"), target=0.45, on_loop=True)
def hello_sync(web: Framework) -> Any:
    JSONResponse = web.responses.JSONResponse

    def hello(request: Any) -> Any:
        return JSONResponse({"hello": "world"})

    return web.applications.Starlette(routes=[web.routing.Route("/", hello)])


@case("JSON document of 9 KB", group="core", request=get("/"))
def json_document(web: Framework) -> Any:
    JSONResponse = web.responses.JSONResponse

    async def document(request: Any) -> Any:
        return JSONResponse(DOCUMENT)

    return web.applications.Starlette(routes=[web.routing.Route("/", document)])


@case("plain text", group="core", request=get("/"))
def plain_text(web: Framework) -> Any:
    PlainTextResponse = web.responses.PlainTextResponse

    async def text(request: Any) -> Any:
        return PlainTextResponse("Hello, world!", headers={"x-powered-by": "iron and crystal"})

    return web.applications.Starlette(routes=[web.routing.Route("/", text)])


@case("404", group="core", request=get("/nothing/here"), target=0.2)
def not_found(web: Framework) -> Any:
    return small_app(web)


@case("HTTPException", group="core", request=get("/"))
def http_exception(web: Framework) -> Any:
    HTTPException = web.exceptions.HTTPException

    async def forbidden(request: Any) -> Any:
        raise HTTPException(status_code=403, detail="Not for you")

    return web.applications.Starlette(routes=[web.routing.Route("/", forbidden)])


@case("set_cookie", group="core", request=get("/"), target=0.25)
def set_cookie(web: Framework) -> Any:
    PlainTextResponse = web.responses.PlainTextResponse

    async def cookie(request: Any) -> Any:
        response = PlainTextResponse("signed in")
        response.set_cookie("session", "c2lnbmVkIGlu.aR3b0A", max_age=3600, httponly=True, secure=True)
        return response

    return web.applications.Starlette(routes=[web.routing.Route("/", cookie)])


def stream_app(web: Framework) -> Any:
    StreamingResponse = web.responses.StreamingResponse

    async def numbers() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    async def stream(request: Any) -> Any:
        return StreamingResponse(numbers(), media_type="application/octet-stream")

    return web.applications.Starlette(routes=[web.routing.Route("/", stream)])


def as_sent(reply: Reply) -> Reply:
    """Chunk by chunk: merged chunks would be another response."""
    return reply


@case(
    "stream of 100 chunks from a sync generator", group="core", request=get("/"), target=0.2, on_loop=True, same=as_sent
)
def stream_sync(web: Framework) -> Any:
    StreamingResponse = web.responses.StreamingResponse

    async def stream(request: Any) -> Any:
        return StreamingResponse((CHUNK for _ in range(100)), media_type="application/octet-stream")

    return web.applications.Starlette(routes=[web.routing.Route("/", stream)])


@case("stream of 10 chunks, ASGI 2.3", group="core", request=get("/"), on_loop=True, same=as_sent)
def stream(web: Framework) -> Any:
    return stream_app(web)


@case("stream of 10 chunks, ASGI 2.4", group="core", request=replace(get("/"), spec_version="2.4"), same=as_sent)
def stream_24(web: Framework) -> Any:
    return stream_app(web)
