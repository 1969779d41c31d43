"""fastmcp: a server of tools behind a token, alone, below FastAPI, and made from a FastAPI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from fastmcp import Client, Context, FastMCP
from fastmcp.server.auth import StaticTokenVerifier
from fastmcp.server.dependencies import get_http_request
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


def pantry(**settings: Any) -> FastMCP:
    server: FastMCP = FastMCP("Pantry", **settings)

    @server.tool
    def weigh(grams: int, pieces: int = 1) -> int:
        """Weighs so many pieces."""
        return grams * pieces

    @server.tool
    async def agent(context: Context) -> str:
        """Who asks."""
        await context.info("somebody asks")
        return get_http_request().headers["user-agent"]

    @server.resource("recipe://{name}")
    def recipe(name: str) -> str:
        """A recipe by its name."""
        return f"Take {name}, add water."

    @server.custom_route("/health", methods=["GET"])
    async def health(request: Request) -> Response:
        return PlainTextResponse("fresh")

    return server


def ask(address: str, **settings: Any) -> None:
    """Tries what `pantry` has, through the package's own client."""

    async def talk() -> None:
        async with Client(address, **settings) as client:
            assert {"weigh", "agent"} <= {tool.name for tool in await client.list_tools()}
            assert (await client.call_tool("weigh", {"grams": 40, "pieces": 3})).data == 120
            assert "python" in (await client.call_tool("agent")).data
            assert (await client.read_resource("recipe://flour"))[0].text == "Take flour, add water."

    anyio.run(talk)


@pytest.mark.parametrize("transport", ["http", "sse"])
def test_server_answers_own_client(serve: Callable[..., str], transport: str) -> None:
    address = serve(pantry().http_app(transport=transport))
    ask(address + ("/sse" if transport == "sse" else "/mcp"))
    assert httpx2.get(address + "/health").text == "fresh"


def test_token_is_asked_for(serve: Callable[..., str]) -> None:
    guard = StaticTokenVerifier({"sesame": {"client_id": "ann", "scopes": ["read"]}}, required_scopes=["read"])
    address = serve(pantry(auth=guard).http_app()) + "/mcp"
    refused = httpx2.post(address, json={})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    ask(address, auth="sesame")


def test_server_mounted_below_fastapi_and_middleware(serve: Callable[..., str]) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_methods=["POST"])
    mounted = pantry().http_app(path="/", middleware=[cors])
    app = FastAPI(lifespan=mounted.lifespan)
    app.mount("/pantry", mounted)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    address = serve(app)
    ask(address + "/pantry/")
    assert httpx2.get(address + "/hello").json() == "hello"
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    allowed = httpx2.options(address + "/pantry/", headers=headers)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"


def test_tools_made_from_fastapi_application() -> None:
    app = FastAPI()

    @app.get("/items/{number}", operation_id="item")
    def item(number: int, times: int = 1) -> dict[str, int]:
        return {"number": number * times}

    async def talk() -> None:
        async with Client(FastMCP.from_fastapi(app)) as client:
            assert (await client.call_tool("item", {"number": 7, "times": 3})).data == {"number": 21}

    anyio.run(talk)
