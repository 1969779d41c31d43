"""Random FastAPI applications and the outcome of many requests, printed as JSON. Each argument is a seed.

The same seed makes the same application, the same changes of it and the same requests, on Starlette and on Pallasite.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi.routing
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Host, Match, Mount, Route, Router, WebSocketRoute, compile_path

PIECES = ["/a", "/b", "/a/b", "/{x}", "/{n:int}", "/a/{x}", "/{rest:path}", "/{f:float}", "/a-{x}.b"]
PREFIXES = ["", "/a", "/b", "/p/{owner}", "/a/b", "/{n:int}"]
PATHS = ["/", "/a", "/b", "/a/", "/a/b", "/a/a", "/b/b", "/a/7", "/7", "/7/", "/7.5", "/a/b/a", "/p/me", "/p/me/a"]
PATHS += [
    "/p/me/a/b",
    "/m",
    "/m/",
    "/m/a",
    "/m/a/7",
    "/a/m/a",
    "/a-1.b",
    "/docs",
    "/openapi.json",
    "/none/at/all",
    "/h",
]
METHODS = [["GET"], ["POST"], ["GET", "POST"], ["PUT"]]

journal: list[Any] = []


class CountingRoute(APIRoute):
    """A route class of an application's own, whose `matches` has to be asked."""

    def matches(self, scope: Any) -> Any:
        journal.append(["asked", self.path])
        return super().matches(scope)


class PlainSubclass(APIRoute):
    """A route class of an application's own that changes nothing of matching."""


class OddRoute(fastapi.routing.BaseRoute):  # type: ignore[misc, name-defined]
    """Matches by something else than a path."""

    def matches(self, scope: Any) -> Any:
        hit = scope["type"] == "http" and scope["path"].endswith("/h")
        return (Match.FULL, {}) if hit else (Match.NONE, {})

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({"odd": scope["path"]})(scope, receive, send)


def endpoint(number: int) -> Callable[..., Any]:
    async def answer(request: Request) -> Any:
        routes = len(request.scope["router"].routes)
        own = sorted(key for key in request.scope if key.startswith("fastapi"))
        return {"endpoint": number, "params": dict(request.path_params), "routes": routes, "scope": own}

    return answer


def socket_endpoint(number: int) -> Callable[..., Any]:
    async def answer(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json({"endpoint": number, "params": dict(websocket.path_params)})
        await websocket.close()

    return answer


def plain_endpoint(number: int) -> Callable[..., Any]:
    async def answer(request: Any) -> Any:
        return JSONResponse({"plain": number, "params": dict(request.path_params)})

    return answer


class Maker:
    """One random application."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.number = 0
        self.routers: list[Any] = []
        self.app = FastAPI(redirect_slashes=self.chance.random() < 0.8)
        self.fill(self.app, depth=0)

    def next(self) -> int:
        self.number += 1
        return self.number

    def fill(self, router: Any, depth: int) -> None:
        self.routers.append(router)
        for _ in range(self.chance.randint(2, 9)):
            self.add(router, depth)

    def path(self) -> str:
        return self.named(self.chance.choice(PIECES))

    def named(self, path: str) -> str:
        """The path with parameters that no other has."""
        return path.replace("{", f"{{v{self.next()}_")

    def add(self, router: Any, depth: int) -> None:
        number, chance = self.next(), self.chance
        plain = router.router if isinstance(router, FastAPI) else router
        match chance.choice(
            ["api"] * 6 + ["socket", "plain", "mount", "host", "odd", "app", "frontend"] + ["include"] * 4
        ):
            case "api":
                router.add_api_route(self.path(), endpoint(number), methods=chance.choice(METHODS))
            case "socket":
                router.add_api_websocket_route(self.path(), socket_endpoint(number))
            case "plain" if chance.random() < 0.5:
                router.add_route(self.path(), plain_endpoint(number), methods=chance.choice(METHODS))
            case "plain":
                plain.routes.append(WebSocketRoute(self.path(), socket_endpoint(number)))
            case "mount":
                plain.routes.append(Mount("/m", routes=[Route(self.path(), plain_endpoint(number))]))
            case "host":
                plain.routes.append(Host("h.example", Router([Route("/h", plain_endpoint(number))])))
            case "odd":
                plain.routes.append(OddRoute())
            case "app" if depth == 0:
                inner = FastAPI() if chance.random() < 0.7 else Starlette()
                inner.add_route(self.path(), plain_endpoint(number))
                if isinstance(inner, FastAPI):
                    self.fill(inner, depth=2)
                router.mount(chance.choice(["/m", "/a"]), inner)
            case "frontend":
                router.frontend(chance.choice(["/", "/a"]), directory=self.folder)
            case "include" if depth < 3:
                classes = [APIRoute, APIRoute, CountingRoute, PlainSubclass]
                included = APIRouter(route_class=chance.choice(classes), prefix=chance.choice(["", "/a", "/b"]))
                self.fill(included, depth + 1)
                prefix = self.named(chance.choice(PREFIXES))
                if prefix or included.prefix:
                    router.include_router(included, prefix=prefix)
            case _:
                router.add_api_route(self.path(), endpoint(number))

    def change(self) -> None:
        """Change the application as a program may between two requests."""
        chance = self.chance
        router = chance.choice(self.routers)
        router = router.router if isinstance(router, FastAPI) else router
        routes = [route for route in router.routes if isinstance(route, APIRoute)]
        match chance.choice(["add", "regex", "matches", "replace", "drop", "reverse"]):
            case "add":
                router.add_api_route(self.path(), endpoint(self.next()))
            case "regex" if routes:
                route = chance.choice(routes)
                route.path = self.path()
                route.path_regex, route.path_format, route.param_convertors = compile_path(route.path)
            case "matches" if routes:
                route = chance.choice(routes)
                matches = route.matches

                def counted(scope: Any) -> Any:
                    journal.append(["instance", route.path])
                    return matches(scope)

                route.matches = counted  # type: ignore[method-assign]
            case "replace":
                router.routes = list(router.routes)
            case "drop" if router.routes:
                router.routes.pop()
            case _:
                router.routes.reverse()


def fields(headers: Any) -> list[list[str]]:
    """Header fields without regard to their order, and to that of the methods in `Allow`, which is a set's."""
    texts = [(name.decode(), value.decode()) for name, value in headers]
    return sorted([name, " ".join(sorted(value.split(", ")))] for name, value in texts)


async def ask(app: Any, kind: str, method: str, path: str, root_path: str) -> Any:
    """Return the outcome of a request: the messages, and the entries of the journal."""
    headers = [(b"host", b"h.example" if path == "/h" else b"www.example")]
    scope: dict[str, Any] = {"type": kind, "path": root_path + path, "root_path": root_path, "query_string": b""}
    scope |= {"headers": headers, "server": ("www.example", 80), "scheme": "http" if kind == "http" else "ws"}
    if kind == "http":
        scope["method"] = method
    sent: list[Any] = []
    inbox = [{"type": "http.request", "body": b""} if kind == "http" else {"type": "websocket.connect"}]

    async def receive() -> Any:
        if not inbox:
            await asyncio.get_running_loop().create_future()  # a client that stays
        return inbox.pop()

    async def send(message: Any) -> None:
        sent.append({key: fields(value) if key == "headers" else str(value) for key, value in message.items()})

    journal.clear()
    try:
        await app(scope, receive, send)
    except Exception as error:
        sent.append(repr(error))
    return [
        kind,
        method,
        path,
        sent,
        list(journal),
        scope["router"] is app.router,
        scope["router"].routes == app.routes,
    ]


def patch_class(chance: random.Random) -> Callable[[], None]:
    """Patch a method that the loop calls, as tracers do. Return a function that restores it."""
    names = ["APIRoute", "APIRouter", "_IncludedRouter", "_EffectiveRouteContext"]
    cls = getattr(fastapi.routing, chance.choice(names))
    original = cls.matches

    def traced(self: Any, scope: Any) -> Any:
        journal.append([cls.__name__, getattr(self, "path", None)])
        return original(self, scope)

    cls.matches = traced
    return lambda: setattr(cls, "matches", original)


async def observe(seed: int, folder: Path) -> list[Any]:
    maker = Maker(seed, folder)
    chance = maker.chance
    seen = []
    for turn in range(4):
        undo = patch_class(chance) if turn == 2 else None
        for path in PATHS:
            kind = "websocket" if chance.random() < 0.15 else "http"
            root_path = "/root" if chance.random() < 0.1 else ""
            seen.append(await ask(maker.app, kind, chance.choice(["GET", "GET", "POST"]), path, root_path))
        if undo is not None:
            undo()
        maker.change()
    return seen


def main(seeds: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "index.html").write_text("front", encoding="utf-8")
        os.utime(folder / "index.html", (1_750_000_000, 1_750_000_000))
        seen = {seed: asyncio.run(observe(seed, folder)) for seed in seeds}
    json.dump({"app": type(FastAPI().router.middleware_stack).__name__, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]])
