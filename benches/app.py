"""The small application that most cases use: three pages, as each rival has them too."""

from __future__ import annotations

from typing import Any

from benches.case import Framework


def small_routes(web: Framework) -> list[Any]:
    JSONResponse, Route = web.responses.JSONResponse, web.routing.Route

    async def hello(request: Any) -> Any:
        return JSONResponse({"hello": "world"})

    async def item(request: Any) -> Any:
        return JSONResponse({"item_id": request.path_params["item_id"]})

    async def visitor(request: Any) -> Any:
        return JSONResponse(
            {
                "agent": request.headers["user-agent"],
                "language": request.headers.get("accept-language"),
                "absent": request.headers.get("x-absent"),
                "theme": request.cookies["theme"],
                "session": request.cookies.get("session"),
                "page": request.query_params["page"],
                "tags": request.query_params.getlist("tag"),
            }
        )

    return [
        Route("/", hello, name="hello"),
        Route("/items/{item_id:int}", item, name="item"),
        Route("/visitor", visitor, name="visitor"),
    ]


def small_app(web: Framework, **options: Any) -> Any:
    return web.applications.Starlette(routes=small_routes(web), **options)
