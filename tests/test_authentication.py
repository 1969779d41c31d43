"""`requires` on endpoints of every shape, and the small classes around it."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
    has_required_scope,
    requires,
)
from pallasite.endpoints import HTTPEndpoint
from pallasite.middleware import Middleware
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import JSONResponse, PlainTextResponse
from pallasite.routing import Route, WebSocketRoute
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.clients import ClientFactory

pytestmark = pytest.mark.anyio


class ByHeader(AuthenticationBackend):
    """Accepts any claim of a client."""

    async def authenticate(self, conn: HTTPConnection) -> Any:
        scopes = conn.headers.get("x-scopes")
        return None if scopes is None else (AuthCredentials(scopes.split(",")), SimpleUser("ada"))


def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {request.user.display_name}")


async def hello_async(request: Request) -> Any:
    return hello(request)


class Page(HTTPEndpoint):
    @requires("read")
    async def get(self, request: Request) -> Any:
        return hello(request)

    @requires(["read", "write"])
    def put(self, request: Request) -> Any:
        return hello(request)


def with_arguments(function: Any) -> Any:
    """A decorator that hands on everything by name."""

    @functools.wraps(function)
    async def inner(request: Request) -> Any:
        return await function(extra=1, request=request)

    return inner


@with_arguments
@requires("read")
async def hello_by_name(extra: dict[str, Any], request: Request) -> Any:
    return hello(request)


@with_arguments
@requires("read")
async def hello_keyword_only(*, extra: dict[str, Any], request: Request) -> Any:
    return hello(request)


@requires("read")
async def tell(websocket: WebSocket, more: Any = None) -> None:
    await websocket.accept()
    await websocket.send_json({"user": websocket.user.display_name, "scopes": websocket.auth.scopes})
    await websocket.close()


ROUTES = [
    Route("/sync", requires("read")(hello)),
    Route("/async", requires("read")(hello_async)),
    Route("/two", requires(["read", "write"])(hello_async)),
    Route("/class", Page),
    Route("/named", hello_by_name),
    Route("/keyword", hello_keyword_only),
    Route("/hidden", requires("read", status_code=404)(hello)),
    Route("/page", requires("read", redirect="sign-in")(hello_async)),
    Route("/sign-in", lambda request: PlainTextResponse("sign in"), name="sign-in"),
    Route("/me", lambda request: JSONResponse([request.user.is_authenticated, request.user.display_name])),
    WebSocketRoute("/ws", tell),
]


@pytest.fixture
def client(test_client_factory: ClientFactory) -> Any:
    app = Pallasite(routes=ROUTES, middleware=[Middleware(AuthenticationMiddleware, backend=ByHeader())])
    return test_client_factory(app)


@pytest.mark.parametrize("path", ["/sync", "/async", "/class", "/named", "/keyword"])
def test_endpoint_of_any_shape_is_guarded(client: Any, path: str) -> None:
    assert client.get(path).status_code == 403
    assert client.get(path, headers={"x-scopes": "write"}).status_code == 403
    response = client.get(path, headers={"x-scopes": "write,read"})
    assert (response.status_code, response.text) == (200, "hello ada")


@pytest.mark.parametrize("scopes", ["read", "write", ""])
def test_every_scope_is_needed(client: Any, scopes: str) -> None:
    assert client.get("/two", headers={"x-scopes": scopes}).status_code == 403
    assert client.put("/class", headers={"x-scopes": scopes}).status_code == 403
    assert client.get("/two", headers={"x-scopes": "read,write"}).status_code == 200
    assert client.put("/class", headers={"x-scopes": "read,write"}).status_code == 200


def test_status_code_can_be_chosen(client: Any) -> None:
    assert client.get("/hidden").status_code == 404


def test_redirect_leads_to_the_page_and_back(client: Any) -> None:
    response = client.get("/page?a=1&b=%20", follow_redirects=False)
    assert response.status_code == 303
    assert response.headers["location"] == (
        "http://testserver/sign-in?next=http%3A%2F%2Ftestserver%2Fpage%3Fa%3D1%26b%3D%2520"
    )
    assert client.get("/page", headers={"x-scopes": "read"}).text == "hello ada"


def test_websocket_without_scope_is_closed(client: Any) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
        pass
    with client.websocket_connect("/ws", headers={"x-scopes": "read"}) as websocket:
        assert websocket.receive_json() == {"user": "ada", "scopes": ["read"]}


def test_known_and_unknown_users_are_distinguished(client: Any) -> None:
    assert client.get("/me").json() == [False, ""]
    assert client.get("/me", headers={"x-scopes": ""}).json() == [True, "ada"]


def test_guard_without_request_parameter_is_refused_when_it_is_made() -> None:
    with pytest.raises(Exception, match='No "request" or "websocket" argument'):

        @requires("read")
        def nothing(value: Any) -> Any:
            return value


async def test_guard_given_something_else_names_its_type() -> None:
    with pytest.raises(AssertionError, match="'request' is required to be of type 'Request' not 'str'"):
        requires("read")(hello)("request")  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="'request' is required to be of type 'Request' not 'NoneType'"):
        await requires("read")(hello_async)()  # type: ignore[call-arg]
    with pytest.raises(AssertionError, match="'websocket' is required to be of type 'WebSocket' not 'Request'"):
        await requires("read")(tell)(Request({"type": "http"}))  # type: ignore[arg-type]


def test_guard_keeps_name_and_docstring() -> None:
    def endpoint(request: Request) -> None:
        """What it does."""

    guarded = requires("read")(endpoint)
    assert (guarded.__name__, guarded.__doc__) == ("endpoint", "What it does.")


def test_has_required_scope_wants_them_all() -> None:
    conn = HTTPConnection({"type": "http", "auth": AuthCredentials(["a", "b"])})
    assert [has_required_scope(conn, scopes) for scopes in ([], ["a"], ["a", "b"], ["a", "c"])] == [
        True,
        True,
        True,
        False,
    ]


def test_credentials_copy_their_scopes() -> None:
    scopes = ["a"]
    credentials = AuthCredentials(scopes)
    scopes.append("b")
    assert credentials.scopes == ["a"]
    assert AuthCredentials().scopes == []


def test_users_know_what_they_are() -> None:
    user = SimpleUser("ada")
    assert (user.username, user.is_authenticated, user.display_name, user.identity) == ("ada", True, "ada", "ada")
    nobody = UnauthenticatedUser()
    assert (nobody.is_authenticated, nobody.display_name, nobody.identity) == (False, "", "")


@pytest.mark.parametrize("name", ["is_authenticated", "display_name", "identity"])
def test_base_user_leaves_everything_to_subclasses(name: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(BaseUser(), name)


async def test_base_backend_leaves_everything_to_subclasses() -> None:
    with pytest.raises(NotImplementedError):
        await AuthenticationBackend().authenticate(HTTPConnection({"type": "http"}))
    assert issubclass(AuthenticationError, Exception)
