"""Programs as tutorials on Starlette show them, with only the imports changed.

Each test is one lesson: an application as a reader would type it, then the behaviour that the tutorial promises.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from pallasite.applications import Starlette
from pallasite.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
    requires,
)
from pallasite.background import BackgroundTask, BackgroundTasks
from pallasite.convertors import CONVERTOR_TYPES, Convertor, StringConvertor, register_url_convertor
from pallasite.datastructures import MutableHeaders, UploadFile
from pallasite.endpoints import HTTPEndpoint, WebSocketEndpoint
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pallasite.routing import Mount, Route, WebSocketRoute
from pallasite.staticfiles import StaticFiles
from pallasite.templating import Jinja2Templates
from pallasite.testclient import TestClient
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.clients import ClientFactory


def test_hello_world(test_client_factory: ClientFactory) -> None:
    async def homepage(request: Request) -> JSONResponse:
        return JSONResponse({"hello": "world"})

    app = Starlette(debug=True, routes=[Route("/", homepage)])

    client = test_client_factory(app)
    assert client.get("/").json() == {"hello": "world"}
    assert client.get("/nothing").status_code == 404
    assert client.post("/").status_code == 405


def test_path_parameters_with_convertors(test_client_factory: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONVERTOR_TYPES, "day", StringConvertor())  # so that it is taken away after the test

    class DayConvertor(Convertor[date]):
        regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

        def convert(self, value: str) -> date:
            return date.fromisoformat(value)

        def to_string(self, value: date) -> str:
            return value.isoformat()

    register_url_convertor("day", DayConvertor())

    async def show(request: Request) -> PlainTextResponse:
        return PlainTextResponse(repr(request.path_params))

    app = Starlette(
        routes=[
            Route("/users/{username}", show),
            Route("/items/{item_id:int}", show),
            Route("/prices/{price:float}", show),
            Route("/orders/{order:uuid}", show),
            Route("/files/{file_path:path}", show),
            Route("/diary/{day:day}", show, name="diary"),
        ]
    )
    client = test_client_factory(app)
    order = uuid.uuid4()
    for path, parameters in [
        ("/users/tom", {"username": "tom"}),
        ("/items/42", {"item_id": 42}),
        ("/prices/9.5", {"price": 9.5}),
        (f"/orders/{order}", {"order": order}),
        ("/files/a/b.txt", {"file_path": "a/b.txt"}),
        ("/diary/2024-02-29", {"day": date(2024, 2, 29)}),
    ]:
        assert client.get(path).text == repr(parameters)
    for path in ("/users/tom/jones", "/items/x", "/prices/x", "/orders/1", "/diary/today", "/diary/2024-13-01"):
        assert client.get(path).status_code == 404
    assert app.url_path_for("diary", day=date(2024, 2, 29)) == "/diary/2024-02-29"


def test_class_based_endpoint(test_client_factory: ClientFactory) -> None:
    class Item(HTTPEndpoint):
        async def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse(f"item {request.path_params['number']}")

        async def put(self, request: Request) -> JSONResponse:
            return JSONResponse(await request.json(), status_code=202)

    client = test_client_factory(Starlette(routes=[Route("/item/{number:int}", Item)]))
    assert client.get("/item/3").text == "item 3"
    assert client.put("/item/3", json={"a": 1}).json() == {"a": 1}
    assert client.delete("/item/3").status_code == 405


def test_form_with_an_upload(test_client_factory: ClientFactory) -> None:
    async def upload(request: Request) -> JSONResponse:
        async with request.form() as form:
            picture = form["picture"]
            assert isinstance(picture, UploadFile)
            contents = await picture.read()
            return JSONResponse({"by": form["by"], "name": picture.filename, "size": len(contents)})

    client = test_client_factory(Starlette(routes=[Route("/upload", upload, methods=["POST"])]))
    answer = client.post("/upload", data={"by": "ada"}, files={"picture": ("cat.png", b"\x89PNG...", "image/png")})
    assert answer.json() == {"by": "ada", "name": "cat.png", "size": 7}


def test_cors_sessions_and_gzip_stacked(test_client_factory: ClientFactory) -> None:
    async def count(request: Request) -> JSONResponse:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return JSONResponse({"visits": request.session["visits"], "padding": "x" * 2000})

    middleware = [
        Middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_methods=["*"], allow_credentials=True),
        Middleware(SessionMiddleware, secret_key="not so secret, but long", https_only=False),
        Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
    ]
    client = test_client_factory(Starlette(routes=[Route("/", count)], middleware=middleware))
    origin = {"origin": "https://shop.example"}

    first = client.get("/", headers=origin | {"accept-encoding": "gzip"})
    assert first.json()["visits"] == 1
    assert first.headers["access-control-allow-origin"] == "https://shop.example"
    assert first.headers["access-control-allow-credentials"] == "true"
    assert first.headers["content-encoding"] == "gzip"
    assert int(first.headers["content-length"]) < 500
    assert {"Accept-Encoding", "Origin"} <= set(first.headers["vary"].split(", "))
    assert "session=" in first.headers["set-cookie"]

    plain = client.get("/", headers={"accept-encoding": "identity"})
    assert plain.json()["visits"] == 2
    assert "content-encoding" not in plain.headers
    assert "access-control-allow-origin" not in plain.headers

    preflight = client.options("/", headers=origin | {"access-control-request-method": "DELETE"})
    assert preflight.status_code == 200
    assert "DELETE" in preflight.headers["access-control-allow-methods"]
    refused = client.options("/", headers={"origin": "https://x.example", "access-control-request-method": "GET"})
    assert refused.status_code == 400


def test_pure_asgi_timing_middleware_that_wraps_send(test_client_factory: ClientFactory) -> None:
    class ProcessTimeMiddleware:
        def __init__(self, app: ASGIApp, header: str = "X-Process-Time") -> None:
            self.app = app
            self.header = header

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            start = time.perf_counter()

            async def send_with_time(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(scope=message)
                    headers.append(self.header, str(time.perf_counter() - start))
                await send(message)

            await self.app(scope, receive, send_with_time)

    async def homepage(request: Request) -> PlainTextResponse:
        return PlainTextResponse("timed")

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("untimed")
        await websocket.close()

    app = Starlette(routes=[Route("/", homepage), WebSocketRoute("/ws", echo)])
    app.add_middleware(ProcessTimeMiddleware, header="X-Took")
    client = test_client_factory(app)
    assert 0 <= float(client.get("/").headers["x-took"]) < 60
    assert 0 <= float(client.get("/nothing").headers["x-took"]) < 60
    with client.websocket_connect("/ws") as session:
        assert session.receive_text() == "untimed"


def test_request_id_middleware(test_client_factory: ClientFactory) -> None:
    class RequestIDMiddleware(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            request.state.request_id = request.headers.get("x-request-id") or str(uuid.uuid4())
            response = await call_next(request)
            response.headers["X-Request-ID"] = request.state.request_id
            return response

    async def homepage(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.request_id)

    client = test_client_factory(Starlette(routes=[Route("/", homepage)], middleware=[Middleware(RequestIDMiddleware)]))
    named = client.get("/", headers={"x-request-id": "abc"})
    assert (named.text, named.headers["x-request-id"]) == ("abc", "abc")
    first, second = client.get("/"), client.get("/")
    assert uuid.UUID(first.text) != uuid.UUID(second.text)
    assert first.headers["x-request-id"] == first.text


def test_exception_handlers(test_client_factory: ClientFactory) -> None:
    class OutOfStock(Exception):
        pass

    async def not_found(request: Request, exc: HTTPException) -> Response:
        return HTMLResponse("<h1>Nothing here</h1>", status_code=exc.status_code)

    async def out_of_stock(request: Request, exc: OutOfStock) -> Response:
        return JSONResponse({"error": f"{exc} is out of stock"}, status_code=409)

    async def server_error(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("We are looking into it", status_code=500)

    async def buy(request: Request) -> None:
        raise OutOfStock(request.path_params["thing"])

    async def broken(request: Request) -> None:
        raise RuntimeError("secret")

    app = Starlette(
        routes=[Route("/buy/{thing}", buy), Route("/broken", broken)],
        exception_handlers={404: not_found, OutOfStock: out_of_stock, 500: server_error},
    )
    client = test_client_factory(app, raise_server_exceptions=False)
    assert (client.get("/x").status_code, client.get("/x").text) == (404, "<h1>Nothing here</h1>")
    assert client.get("/buy/tea").json() == {"error": "tea is out of stock"}
    assert (client.get("/broken").status_code, client.get("/broken").text) == (500, "We are looking into it")


def test_websocket_chat_with_a_connection_manager(test_client_factory: ClientFactory) -> None:
    class ConnectionManager:
        def __init__(self) -> None:
            self.active_connections: list[WebSocket] = []

        async def connect(self, websocket: WebSocket) -> None:
            await websocket.accept()
            self.active_connections.append(websocket)

        def disconnect(self, websocket: WebSocket) -> None:
            self.active_connections.remove(websocket)

        async def send_personal_message(self, message: str, websocket: WebSocket) -> None:
            await websocket.send_text(message)

        async def broadcast(self, message: str) -> None:
            for connection in self.active_connections:
                await connection.send_text(message)

    manager = ConnectionManager()

    async def chat(websocket: WebSocket) -> None:
        name = websocket.path_params["name"]
        await manager.connect(websocket)
        try:
            while True:
                text = await websocket.receive_text()
                await manager.send_personal_message(f"You wrote: {text}", websocket)
                await manager.broadcast(f"{name} says: {text}")
        except WebSocketDisconnect:
            manager.disconnect(websocket)
            await manager.broadcast(f"{name} left the chat")

    with (
        test_client_factory(Starlette(routes=[WebSocketRoute("/ws/{name}", chat)])) as client,
        client.websocket_connect("/ws/ada") as ada,
    ):
        with client.websocket_connect("/ws/bob") as bob:
            bob.send_text("hello")
            assert bob.receive_text() == "You wrote: hello"
            assert bob.receive_text() == "bob says: hello"
            assert ada.receive_text() == "bob says: hello"
        assert ada.receive_text() == "bob left the chat"
    assert manager.active_connections == []


def test_websocket_endpoint_class(test_client_factory: ClientFactory) -> None:
    class Echo(WebSocketEndpoint):
        encoding = "json"

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_json({"echo": data})

    client = test_client_factory(Starlette(routes=[WebSocketRoute("/", Echo)]))
    with client.websocket_connect("/") as session:
        session.send_json([1, 2])
        assert session.receive_json() == {"echo": [1, 2]}


def test_static_files_and_templates(test_client_factory: ClientFactory, tmp_path: Path) -> None:
    (tmp_path / "static" / "css").mkdir(parents=True)
    (tmp_path / "static" / "css" / "site.css").write_text("body { color: teal }")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "base.html").write_text(
        "<link href=\"{{ url_for('static', path='css/site.css') }}\">{% block content %}{% endblock %}"
    )
    (tmp_path / "templates" / "index.html").write_text(
        "{% extends 'base.html' %}{% block content %}<h1>Hello, {{ name }}</h1>{% endblock %}"
    )
    templates = Jinja2Templates(directory=str(tmp_path / "templates"))

    async def homepage(request: Request) -> Any:
        return templates.TemplateResponse(request, "index.html", {"name": request.query_params["name"]})

    app = Starlette(
        routes=[
            Route("/", homepage),
            Mount("/static", StaticFiles(directory=str(tmp_path / "static")), name="static"),
        ]
    )
    client = test_client_factory(app)
    page: Any = client.get("/", params={"name": "<Ada>"})
    assert page.text == '<link href="http://testserver/static/css/site.css"><h1>Hello, &lt;Ada&gt;</h1>'
    assert page.template.name == "index.html"
    assert page.context["name"] == "<Ada>"
    sheet = client.get("/static/css/site.css")
    assert (sheet.text, sheet.headers["content-type"]) == ("body { color: teal }", "text/css; charset=utf-8")
    assert client.get("/static/css/site.css", headers={"if-none-match": sheet.headers["etag"]}).status_code == 304
    assert client.get("/static/../templates/base.html").status_code == 404
    assert client.get("/static/missing.css").status_code == 404


class BasicAuthBackend(AuthenticationBackend):
    """Name and password in the Authorization header; ada may do more than others."""

    passwords = {"ada": "engine", "bob": "builder"}

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        if "Authorization" not in conn.headers:
            return None
        scheme, _, credentials = conn.headers["Authorization"].partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            username, _, password = base64.b64decode(credentials).decode("ascii").partition(":")
        except (ValueError, UnicodeDecodeError, binascii.Error) as exc:
            raise AuthenticationError("Invalid basic auth credentials") from exc
        if self.passwords.get(username) != password:
            raise AuthenticationError("Wrong name or password")
        scopes = ["authenticated", "admin"] if username == "ada" else ["authenticated"]
        return AuthCredentials(scopes), SimpleUser(username)


def test_basic_auth_with_requires(test_client_factory: ClientFactory) -> None:
    async def homepage(request: Request) -> PlainTextResponse:
        if request.user.is_authenticated:
            return PlainTextResponse(f"Hello, {request.user.display_name}")
        return PlainTextResponse("Hello, you")

    @requires("authenticated")
    async def account(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Account of {request.user.display_name}")

    @requires(["authenticated", "admin"], status_code=404)
    async def admin(request: Request) -> PlainTextResponse:
        return PlainTextResponse("Everything is in order")

    @requires("authenticated", redirect="homepage")
    def dashboard(request: Request) -> PlainTextResponse:
        return PlainTextResponse("Dashboard")

    @requires("authenticated")
    async def news(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.display_name)
        await websocket.close()

    def on_auth_error(request: HTTPConnection, exc: Exception) -> Response:
        return JSONResponse({"error": str(exc)}, status_code=401)

    app = Starlette(
        routes=[
            Route("/", homepage, name="homepage"),
            Route("/account", account),
            Route("/admin", admin),
            Route("/dashboard", dashboard),
            WebSocketRoute("/news", news),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuthBackend(), on_error=on_auth_error)],
    )
    client = test_client_factory(app)
    ada, bob = ("ada", "engine"), ("bob", "builder")
    assert client.get("/").text == "Hello, you"
    assert client.get("/", auth=ada).text == "Hello, ada"
    assert client.get("/account").status_code == 403
    assert client.get("/account", auth=bob).text == "Account of bob"
    assert client.get("/admin", auth=bob).status_code == 404
    assert client.get("/admin", auth=ada).text == "Everything is in order"
    moved = client.get("/dashboard", follow_redirects=False)
    assert moved.status_code == 303
    assert moved.headers["location"].startswith("http://testserver/?next=")
    assert client.get("/dashboard", auth=bob).text == "Dashboard"
    wrong = client.get("/", auth=("ada", "wrong"))
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Wrong name or password"})
    assert client.get("/", headers={"authorization": "basic ?"}).status_code == 401
    assert client.get("/", headers={"authorization": "Bearer x"}).text == "Hello, you"
    token = base64.b64encode(b"ada:engine").decode()
    with client.websocket_connect("/news", headers={"authorization": f"Basic {token}"}) as session:
        assert session.receive_text() == "ada"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/news"):
        pass


def test_sign_in_with_a_session(test_client_factory: ClientFactory) -> None:
    async def login(request: Request) -> RedirectResponse:
        async with request.form() as form:
            request.session["user"] = form["username"]
        return RedirectResponse(request.url_for("profile"), status_code=303)

    async def logout(request: Request) -> RedirectResponse:
        request.session.clear()
        return RedirectResponse("/profile", status_code=303)

    async def profile(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.session.get("user", "nobody"))

    app = Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/profile", profile, name="profile"),
        ],
        middleware=[
            Middleware(SessionMiddleware, secret_key="not so secret, but long", same_site="strict", max_age=3600)
        ],
    )
    client = test_client_factory(app)
    assert client.get("/profile").text == "nobody"
    assert client.post("/login", data={"username": "ada"}).text == "ada"
    assert client.get("/profile").text == "ada"
    assert client.post("/logout").text == "nobody"
    client.cookies.set("session", "forged.value.here")
    assert client.get("/profile").text == "nobody"


def test_startup_and_shutdown_through_lifespan(test_client_factory: ClientFactory) -> None:
    class Database:
        connected = False

    database = Database()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Database]]:
        database.connected = True
        app.state.greeting = "hello"
        yield {"database": database}
        database.connected = False

    async def homepage(request: Request) -> JSONResponse:
        return JSONResponse({"connected": request.state.database.connected, "greeting": request.app.state.greeting})

    app = Starlette(routes=[Route("/", homepage)], lifespan=lifespan)
    with test_client_factory(app) as client:
        assert database.connected
        assert client.get("/").json() == {"connected": True, "greeting": "hello"}
    assert not database.connected


def test_background_mail(test_client_factory: ClientFactory) -> None:
    outbox: list[str] = []

    async def send_welcome_email(to_address: str) -> None:
        outbox.append(f"welcome {to_address}")

    def notify_admin(username: str, *, urgent: bool = False) -> None:
        outbox.append(f"{username} is new, urgent: {urgent}")

    async def signup(request: Request) -> JSONResponse:
        data = await request.json()
        task = BackgroundTask(send_welcome_email, to_address=data["email"])
        return JSONResponse({"status": "Signup successful"}, background=task)

    async def signup_and_tell(request: Request) -> JSONResponse:
        data = await request.json()
        tasks = BackgroundTasks()
        tasks.add_task(send_welcome_email, to_address=data["email"])
        tasks.add_task(notify_admin, data["username"], urgent=True)
        return JSONResponse({"status": "Signup successful"}, background=tasks)

    client = test_client_factory(
        Starlette(
            routes=[
                Route("/signup", signup, methods=["POST"]),
                Route("/signup-and-tell", signup_and_tell, methods=["POST"]),
            ]
        )
    )
    data = {"username": "ada", "email": "ada@example.org"}
    assert client.post("/signup", json=data).json() == {"status": "Signup successful"}
    assert outbox == ["welcome ada@example.org"]
    client.post("/signup-and-tell", json=data)
    assert outbox[1:] == ["welcome ada@example.org", "ada is new, urgent: True"]


def test_client_fixture_headers_cookies_and_exceptions() -> None:
    async def whoami(request: Request) -> Any:
        response = JSONResponse({"agent": request.headers["user-agent"], "seen": request.cookies.get("seen")})
        response.set_cookie("seen", "yes")
        return response

    async def broken(request: Request) -> None:
        raise RuntimeError("no such luck")

    app = Starlette(routes=[Route("/", whoami), Route("/broken", broken)])
    client = TestClient(app, headers={"user-agent": "test suite"})
    assert client.get("/").json() == {"agent": "test suite", "seen": None}
    assert client.get("/").json() == {"agent": "test suite", "seen": "yes"}
    with pytest.raises(RuntimeError, match="no such luck"):
        client.get("/broken")
    assert TestClient(app, raise_server_exceptions=False).get("/broken").status_code == 500


def test_websocket_session_of_the_test_client() -> None:
    async def greet(websocket: WebSocket) -> None:
        await websocket.accept()
        message = await websocket.receive_json()
        await websocket.send_json({"msg": f"Hello {message['name']}"})
        await websocket.close(code=1001, reason="going")

    client = TestClient(Starlette(routes=[WebSocketRoute("/ws", greet)]))
    with client.websocket_connect("/ws") as websocket:
        websocket.send_json({"name": "Ada"})
        assert websocket.receive_json() == {"msg": "Hello Ada"}
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1001, "going")


@pytest.mark.anyio
async def test_async_client_over_the_asgi_transport() -> None:
    async def homepage(request: Request) -> JSONResponse:
        return JSONResponse({"host": request.url.hostname, "sent": (await request.body()).decode()})

    app = Starlette(routes=[Route("/", homepage, methods=["GET", "POST"])])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/")).json() == {"host": "testserver", "sent": ""}
        assert (await client.post("/", content=b"hi")).json() == {"host": "testserver", "sent": "hi"}


def test_mounted_application_and_reverse_urls(test_client_factory: ClientFactory) -> None:
    async def item(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(request.url_for("api:item", number=request.path_params["number"] + 1)))

    api = [Route("/items/{number:int}", item, name="item")]
    inner = Starlette(routes=[Route("/", lambda request: PlainTextResponse("inner"))])
    app = Starlette(routes=[Mount("/api", routes=api, name="api"), Mount("/inner", app=inner)])
    client = test_client_factory(app)
    assert client.get("/api/items/1").text == "http://testserver/api/items/2"
    assert client.get("/inner/").text == "inner"
    assert app.url_path_for("api:item", number=5) == "/api/items/5"
