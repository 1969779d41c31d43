"""mcp: a server of tools over both of its HTTP transports, driven by the package's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount


def pantry() -> MCPServer:
    """A server with a tool that answers, one that reports on its way, one that fails, a resource and a prompt."""
    server = MCPServer("Pantry")

    @server.tool()
    def weigh(grams: int, pieces: int = 1) -> int:
        """Weighs so many pieces."""
        return grams * pieces

    @server.tool()
    async def bake(minutes: int, context: Context) -> str:
        """Bakes, and says each minute how far it is."""
        for minute in range(1, minutes + 1):
            await context.report_progress(minute, minutes)
        return "golden"

    @server.tool()
    def burn() -> str:
        """Fails."""
        raise RuntimeError("too hot")

    @server.resource("recipe://{name}")
    def recipe(name: str) -> str:
        """A recipe by its name."""
        return f"Take {name}, add water."

    @server.prompt()
    def suggest(guests: str) -> str:
        """Asks for a menu."""
        return f"A menu for {guests}, please."

    @server.custom_route("/health", methods=["GET"])
    async def health(request: Request) -> Response:
        return PlainTextResponse("fresh")

    return server


async def use(client: Client, reports: bool = True) -> None:
    """Tries everything that `pantry` has; `reports`: whether what a tool says on its way has a stream to arrive on."""
    tools = await client.list_tools()
    assert [tool.name for tool in tools.tools] == ["weigh", "bake", "burn"]

    weighed = await client.call_tool("weigh", {"grams": 40, "pieces": 3})
    assert weighed.structured_content == {"result": 120}

    heard: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    baked = await client.call_tool("bake", {"minutes": 3}, progress_callback=hear)
    assert baked.content[0].text == "golden"
    assert heard == ([(1, 3), (2, 3), (3, 3)] if reports else [])

    burnt = await client.call_tool("burn", {})
    assert burnt.is_error
    refused = await client.call_tool("weigh", {"grams": "many"})
    assert refused.is_error

    read = await client.read_resource("recipe://flour")
    assert read.contents[0].text == "Take flour, add water."
    prompt = await client.get_prompt("suggest", {"guests": "four"})
    assert prompt.messages[0].content.text == "A menu for four, please."


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("settings", [{}, {"json_response": True}, {"stateless_http": True}], ids=str)
def test_streamable_http_answers_own_client(serve: Callable[..., str], settings: dict[str, Any], mode: str) -> None:
    address = serve(pantry().streamable_http_app(**settings))

    async def talk() -> None:
        async with Client(address + "/mcp", mode=mode) as client:
            await use(client, reports="json_response" not in settings)

    anyio.run(talk)
    assert httpx2.get(address + "/health").text == "fresh"


def test_two_clients_at_once_have_their_own_sessions(serve: Callable[..., str]) -> None:
    address = serve(pantry().streamable_http_app())

    async def talk() -> None:
        async with (
            Client(address + "/mcp", mode="legacy") as one,
            Client(address + "/mcp", mode="legacy") as other,
            anyio.create_task_group() as group,
        ):
            group.start_soon(use, one)
            group.start_soon(use, other)

    anyio.run(talk)


def test_sse_answers_own_client(serve: Callable[..., str]) -> None:
    address = serve(pantry().sse_app())

    async def talk() -> None:
        async with Client(sse_client(address + "/sse"), mode="legacy") as client:
            await use(client)

    anyio.run(talk)


def test_server_mounted_below_path_runs_with_lifespan_of_parent(serve: Callable[..., str]) -> None:
    server = pantry()
    mounted = server.streamable_http_app(streamable_http_path="/")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    address = serve(Starlette(routes=[Mount("/pantry", app=mounted)], lifespan=lifespan))

    async def talk() -> None:
        async with Client(address + "/pantry/") as client:
            await use(client)

    anyio.run(talk)


def test_request_from_foreign_host_is_refused(serve: Callable[..., str]) -> None:
    address = serve(pantry().streamable_http_app())
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Accept": "application/json, text/event-stream"}
    response = httpx2.post(address + "/mcp", json=body, headers=headers | {"Host": "evil.example"})
    assert response.status_code == 421
    response = httpx2.post(address + "/mcp", content=b"{", headers=headers | {"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32700
