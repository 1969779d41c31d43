"""Cases about middleware: layers of one's own, and those that come with the framework."""

from __future__ import annotations

import base64
import gzip
import json
import random
from dataclasses import replace
from typing import Any

from benches.app import small_app
from benches.case import Framework, case
from benches.exchange import Exchange, Reply, get
from benches.rivals.bare import app as bare_app

BASE = ("applications", "middleware.base")
SECRET = "not a secret in a benchmark"
CROSS_ORIGIN = get("/").with_headers((b"origin", b"https://shop.example.org"))
PREFLIGHT = replace(
    CROSS_ORIGIN.with_headers((b"access-control-request-method", b"PUT")),
    method="OPTIONS",
).with_headers((b"access-control-request-headers", b"x-token"))


def measurements(count: int) -> list[dict[str, Any]]:
    """Rows with many numbers, none the same."""
    chance = random.Random(1)
    return [
        {
            "id": number,
            "name": f"user {chance.randrange(10**6)}",
            "price": chance.random(),
            "ok": number % 2 == 0,
            "at": f"2026-01-{chance.randint(1, 28):02}T10:{chance.randint(0, 59):02}",
        }
        for number in range(count)
    ]


def orders(count: int) -> list[dict[str, Any]]:
    """Rows with more words than numbers."""
    chance = random.Random(1)
    return [
        {
            "id": 10_000 + number,
            "customer": f"{chance.choice(NAMES)} {chance.choice(NAMES)}",
            "ordered_on": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
            "total": round(chance.uniform(1, 900), 2),
            "currency": chance.choice(["EUR", "USD", "JPY"]),
            "paid": chance.random() < 0.8,
            "lines": [{"sku": f"{chance.getrandbits(32):08x}", "quantity": chance.randint(1, 9)} for _ in range(2)],
        }
        for number in range(count)
    ]


NAMES = ["Ada", "Blaise", "Charles", "Edsger", "Grace", "Hedy", "Joan", "Konrad", "Leslie", "Margaret", "Niklaus"]
MEASUREMENTS = json.dumps(measurements(2_450)).encode()
ORDERS = json.dumps(orders(1_200)).encode()


@case("3 pure-ASGI layers", group="toolkit", request=get("/"), target=0.4, needs=("applications", "middleware"))
def asgi_layers(web: Framework) -> Any:
    Headers, MutableHeaders = web.datastructures.Headers, web.datastructures.MutableHeaders

    class Stamp:
        """Adds a response header, as timing and request-id layers do."""

        def __init__(self, app: Any, name: str) -> None:
            self.app = app
            self.name = name

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            name, value = self.name, Headers(scope=scope).get("x-request-id", "none")

            async def stamped(message: Any) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message)[name] = value
                await send(message)

            await self.app(scope, receive, stamped)

    Middleware = web.middleware.Middleware
    return small_app(web, middleware=[Middleware(Stamp, name=f"x-stamp-{i}") for i in range(3)])


def function_layer(web: Framework) -> Any:
    class Timing(web.module("middleware.base").BaseHTTPMiddleware):  # type: ignore[misc]
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-process-time"] = "0.1"
            return response

    return Timing


def with_function_layers(web: Framework, count: int) -> Any:
    layer = function_layer(web)
    return small_app(web, middleware=[web.middleware.Middleware(layer) for _ in range(count)])


@case("no layer, on the event loop", group="toolkit", request=get("/"), on_loop=True)
def no_layer(web: Framework) -> Any:
    return small_app(web)


@case("1 BaseHTTPMiddleware layer", group="toolkit", request=get("/"), on_loop=True, needs=BASE)
def function_layer_1(web: Framework) -> Any:
    return with_function_layers(web, 1)


@case("3 BaseHTTPMiddleware layers", group="toolkit", request=get("/"), on_loop=True, needs=BASE)
def function_layers_3(web: Framework) -> Any:
    return with_function_layers(web, 3)


@case(
    "BaseHTTPMiddleware over a foreign application",
    group="toolkit",
    request=get("/"),
    target=0.35,
    on_loop=True,
    needs=BASE,
)
def function_layer_foreign(web: Framework) -> Any:
    return function_layer(web)(bare_app)


@case("CORS, simple request", group="toolkit", request=CROSS_ORIGIN, target=0.3, needs=("middleware.cors",))
def cors(web: Framework) -> Any:
    layer = web.middleware.Middleware(
        web.module("middleware.cors").CORSMiddleware,
        allow_origins=["https://shop.example.org", "https://www.example.org"],
        allow_credentials=True,
        expose_headers=["x-total"],
    )
    return small_app(web, middleware=[layer])


@case("CORS, preflight", group="toolkit", request=PREFLIGHT, target=0.3, needs=("middleware.cors",))
def cors_preflight(web: Framework) -> Any:
    layer = web.middleware.Middleware(
        web.module("middleware.cors").CORSMiddleware,
        allow_origins=["https://shop.example.org"],
        allow_methods=["GET", "PUT"],
        allow_headers=["x-token"],
    )
    return small_app(web, middleware=[layer])


@case("trusted host", group="toolkit", request=get("/"), target=0.3, needs=("middleware.trustedhost",))
def trusted_host(web: Framework) -> Any:
    layer = web.middleware.Middleware(
        web.module("middleware.trustedhost").TrustedHostMiddleware, allowed_hosts=["example.org", "*.example.org"]
    )
    return small_app(web, middleware=[layer])


def session_request() -> Exchange:
    import itsdangerous

    data = base64.b64encode(json.dumps({"user": "ada", "visits": 41}).encode())
    cookie = itsdangerous.TimestampSigner(SECRET).sign(data)
    return get("/").with_headers((b"cookie", b"theme=dark; session=" + cookie))


def without_signature(reply: Reply) -> Reply:
    """The cookie holds the time in seconds and a signature over it: only what was stored and the attributes count."""
    cookie = reply.header(b"set-cookie")
    if cookie is None:
        return reply
    value, _, attributes = cookie.partition(b";")
    name, _, signed = value.partition(b"=")
    stored = json.dumps(json.loads(base64.b64decode(signed.split(b".")[0])), sort_keys=True).encode()
    return replace(
        reply.joined().without(b"set-cookie"), events=(repr((name, stored, sorted(attributes.lower().split(b"; ")))),)
    )


@case(
    "session: read and write",
    group="toolkit",
    request=session_request,
    target=0.4,
    same=without_signature,
    needs=("middleware.sessions",),
)
def session(web: Framework) -> Any:
    JSONResponse = web.responses.JSONResponse

    async def count(request: Any) -> Any:
        request.session["visits"] += 1
        return JSONResponse({"user": request.session["user"], "visits": request.session["visits"]})

    layer = web.middleware.Middleware(web.module("middleware.sessions").SessionMiddleware, secret_key=SECRET)
    return web.applications.Starlette(routes=[web.routing.Route("/", count)], middleware=[layer])


def unpacked(reply: Reply) -> Reply:
    """Compressed bytes may differ; what they hold may not. `run_case` cannot see the sizes: tests compare those."""
    if reply.header(b"content-encoding") != b"gzip":
        raise ValueError("the response is not compressed")
    return replace(reply.without(b"content-length"), chunks=(gzip.decompress(reply.body),))


def with_gzip(web: Framework, content: bytes) -> Any:
    Response = web.responses.Response

    async def document(request: Any) -> Any:
        return Response(content, media_type="application/json")

    layer = web.middleware.Middleware(web.module("middleware.gzip").GZipMiddleware)
    return web.applications.Starlette(routes=[web.routing.Route("/", document)], middleware=[layer])


@case(
    "gzip of 250 KB JSON",
    group="toolkit",
    request=get("/"),
    target=0.2,
    on_loop=True,
    same=unpacked,
    needs=("middleware.gzip",),
)
def gzip_json(web: Framework) -> Any:
    return with_gzip(web, MEASUREMENTS)


@case(
    "gzip of 250 KB JSON, mostly words",
    group="toolkit",
    request=get("/"),
    on_loop=True,
    same=unpacked,
    needs=("middleware.gzip",),
)
def gzip_json_words(web: Framework) -> Any:
    return with_gzip(web, ORDERS)
