"""Routing: the route for a path, a method or a trailing slash."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.convertors import CONVERTOR_TYPES, Convertor, StringConvertor, register_url_convertor
from pallasite.endpoints import HTTPEndpoint
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
)
from tests.routing.endpoints import show
from tests.support.asgi import scope_of

pytestmark = pytest.mark.anyio


# Paths and their routes.


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {}),
        ("/text/abc", {"x": "str:abc"}),
        ("/text/a%20b", {"x": "str:a b"}),
        ("/text/é", {"x": "str:é"}),
        ("/int/42", {"x": "int:42"}),
        ("/int/007", {"x": "int:7"}),
        ("/float/1.5", {"x": "float:1.5"}),
        ("/float/3", {"x": "float:3.0"}),
        ("/uuid/c0ffee00-0000-4000-8000-000000000001", {"x": "UUID:c0ffee00-0000-4000-8000-000000000001"}),
        ("/path/a/b/c", {"x": "str:a/b/c"}),
        ("/path/", {"x": "str:"}),
        ("/mid/a-b.json", {"a": "str:a", "b": "str:b"}),
        ("/mid/a-b-c.json", {"a": "str:a-b", "b": "str:c"}),
        ("/around/a/b/edit", {"x": "str:a/b"}),
    ],
)
def test_path_language_converts_parameters(path: str, expected: dict[str, str], test_client_factory: Any) -> None:
    patterns = [
        "/", "/text/{x}", "/int/{x:int}", "/float/{x:float}", "/uuid/{x:uuid}", "/path/{x:path}", "/mid/{a}-{b}.json",
        "/around/{x:path}/edit",
    ]  # fmt: skip
    client = test_client_factory(Pallasite(routes=[Route(pattern, show) for pattern in patterns]))
    response = client.get(path)
    assert (response.status_code, response.json().get("params")) == (200, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/int/x", "/int/", "/int/-1", "/int/1.0", "/int/٣", "/int/1%0A", "/float/1.", "/float/.5", "/float/1e5",
        "/uuid/xyz", "/static%0A", "/static/", "/Static", "/int/" + "9" * 5000, "//static", "/static%00", "/text/a/b",
    ],
)  # fmt: skip
def test_path_that_does_not_fit_is_404(path: str, test_client_factory: Any) -> None:
    patterns = ["/static", "/int/{x:int}", "/float/{x:float}", "/uuid/{x:uuid}", "/text/{x}"]
    app = Pallasite(routes=[Route(pattern, show) for pattern in patterns])
    app.router.redirect_slashes = False
    assert test_client_factory(app).get("http://testserver" + path).status_code == 404


@pytest.mark.parametrize("path", ["/a/\ud800", "/\x00", "/a//b", "/", "", "no-slash", "/a/" + "x/" * 5000])
async def test_odd_paths_match_like_the_regular_expressions(path: str) -> None:
    routes = [Route("/a/{x}", show), Route("/a/{x:path}", show), Route("/{y}", show)]
    expected = [route.path for route in routes if route.path_regex.match(path)]
    scope = scope_of(path)
    handler = Router(routes)._route_list().built_table().match(scope)
    assert (scope["route"].path if handler else None) == (expected[0] if expected else None)


def test_first_declared_route_wins_whatever_its_shape(test_client_factory: Any) -> None:
    forwards = [Route("/users/{name}", show, name="any"), Route("/users/me", show, name="me")]
    assert test_client_factory(Router(forwards)).get("/users/me").json()["route"] == "any"
    assert test_client_factory(Router(forwards[::-1])).get("/users/me").json()["route"] == "me"
    assert test_client_factory(Router(forwards[::-1])).get("/users/you").json()["route"] == "any"


def test_full_match_later_goes_before_partial_match_earlier(test_client_factory: Any) -> None:
    app = Router([Route("/x", show, methods=["POST"], name="post"), Route("/{any}", show, name="any")])
    assert test_client_factory(app).get("/x").json()["route"] == "any"


def test_custom_convertor_and_its_refusal(test_client_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:

    class Even(Convertor[int]):
        regex = r"\d+"

        def convert(self, value: str) -> int:
            if int(value) % 2:
                raise ValueError(value)
            return int(value)

        def to_string(self, value: int) -> str:
            return str(value)

    monkeypatch.setattr("pallasite.convertors.CONVERTOR_TYPES", CONVERTOR_TYPES)
    register_url_convertor("even", Even())
    try:
        router = Router([Route("/n/{x:even}", show, name="even"), Route("/n/{x}", show, name="rest")])
    finally:
        del CONVERTOR_TYPES["even"]
    client = test_client_factory(router)
    assert client.get("/n/4").json() == {"route": "even", "params": {"x": "int:4"}}
    assert client.get("/n/5").json() == {"route": "rest", "params": {"x": "str:5"}}
    assert router.url_path_for("even", x=6) == "/n/6"
    assert router.routes[0].matches(scope_of("/n/5"))[0] is Match.NONE


def test_patched_convertor_regex_reaches_new_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StringConvertor, "regex", "[^/.]+")
    route = Route("/{x}", show)
    assert route.matches(scope_of("/ab"))[0] is Match.FULL
    assert route.matches(scope_of("/a.b"))[0] is Match.NONE
    assert Router([route])._route_list().built_table().match(scope_of("/a.b")) is None


def test_unknown_convertor_and_repeated_name_are_refused() -> None:
    with pytest.raises(AssertionError, match="Unknown path convertor 'nope'"):
        Route("/{x:nope}", show)
    with pytest.raises(ValueError, match=re.escape("Duplicated param name x at path /{x}/{x}")):
        Route("/{x}/{x}", show)
    with pytest.raises(ValueError, match="Duplicated param names a, b at path"):
        compile_path("/{a}{b}/{b}{a}")


@pytest.mark.parametrize(
    "make", [lambda p: Route(p, show), lambda p: WebSocketRoute(p, show), lambda p: Mount(p, Router())]
)
def test_path_without_slash_is_refused(make: Any) -> None:
    with pytest.raises(AssertionError, match="must start with '/'"):
        make("x")


def test_host_with_slash_and_empty_mount_are_refused() -> None:
    with pytest.raises(AssertionError, match="must not start with '/'"):
        Host("/example.org", Router())
    with pytest.raises(AssertionError, match="Either"):
        Mount("/x")


# Methods.


def test_allow_lists_the_methods_of_all_routes_with_the_path(test_client_factory: Any) -> None:
    routes: list[BaseRoute] = [
        Route("/a", show, methods=["GET"]),
        Route("/a", show, methods=["POST"]),
        Route("/{x}", show, methods=["DELETE"]),
        Route("/{x:int}", show, methods=["TRACE"]),
        Route("/b/a", show, methods=["PATCH"]),
        Mount("/m", routes=[Route("/a", show), Route("/a", show, methods=["PUT"])]),
    ]
    client = test_client_factory(Pallasite(routes=routes))
    # Source: RFC 9110 section 15.5.6
    for path, allowed in (("/a", "DELETE, GET, HEAD, POST"), ("/m/a", "GET, HEAD, PUT"), ("/7", "DELETE, TRACE")):
        answer = client.patch(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert client.post("/a").status_code == 200


def test_method_that_no_route_takes_is_405_with_allow(test_client_factory: Any) -> None:
    client = test_client_factory(Pallasite(routes=[Route("/x", show, methods=["get", "put"])]))
    response = client.post("/x")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert client.head("/x").status_code == 200


def test_405_outside_an_application_is_plain(test_client_factory: Any) -> None:
    response = test_client_factory(Route("/x", show)).post("/x")
    assert (response.status_code, response.text) == (405, "Method Not Allowed")


def test_methods_changed_in_place_count_immediately(test_client_factory: Any) -> None:
    route = Route("/x", show)
    client = test_client_factory(Pallasite(routes=[route]))
    assert client.post("/x").status_code == 405
    assert route.methods is not None
    route.methods.add("POST")
    assert client.post("/x").status_code == 200
    route.methods = {"DELETE"}
    assert client.post("/x").status_code == 405
    assert client.delete("/x").status_code == 200


def test_asgi_endpoint_takes_every_method(test_client_factory: Any) -> None:
    class Endpoint(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("get")

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(scope["method"])(scope, receive, send)

    class Callable_:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asgi(scope, receive, send)

    client = test_client_factory(Router([Route("/class", Endpoint), Route("/object", Callable_())]))
    assert client.get("/class").text == "get"
    assert client.post("/class").status_code == 405
    assert client.request("PURGE", "/object").text == "PURGE"


def test_partial_and_method_endpoints_are_functions(test_client_factory: Any) -> None:
    async def endpoint(greeting: str, request: Request) -> Response:
        return PlainTextResponse(greeting)

    class Views:
        async def view(self, request: Request) -> Response:
            return PlainTextResponse("view")

        @classmethod
        def sync_view(cls, request: Request) -> Response:
            return PlainTextResponse("sync")

    routes = [
        Route("/partial", functools.partial(functools.partial(endpoint), "hi")),
        Route("/method", Views().view),
        Route("/classmethod", Views.sync_view),
    ]
    client = test_client_factory(Router(routes))
    assert [client.get(path).text for path in ("/partial", "/method", "/classmethod")] == ["hi", "view", "sync"]
    assert [route.name for route in routes] == ["partial", "view", "sync_view"]


# Slashes.


@pytest.mark.parametrize(
    ("declared", "asked", "location"),
    [
        ("/x", "/x/?a=1", "/x?a=1"),
        ("/x/", "/x?a=1", "/x/?a=1"),
        ("/x/{y:int}/", "/x/5", "/x/5/"),
        ("/x", "/x//", "/x"),
    ],
)
def test_path_that_differs_in_its_last_slash_is_redirected(
    declared: str, asked: str, location: str, test_client_factory: Any
) -> None:
    client = test_client_factory(Pallasite(routes=[Route(declared, show)]), follow_redirects=False)
    response = client.get(asked)
    assert response.status_code == 307
    assert response.headers["location"] == location


def test_slashes_are_not_redirected_when_switched_off_or_useless(test_client_factory: Any) -> None:
    assert test_client_factory(Router([Route("/x", show)], redirect_slashes=False)).get("/x/").status_code == 404
    assert test_client_factory(Router([Route("/x", show)])).get("/y/").status_code == 404
    assert test_client_factory(Router([Mount("/m", Router())])).get("/").status_code == 404


def test_other_method_is_redirected_to_where_the_405_is(test_client_factory: Any) -> None:
    client = test_client_factory(Pallasite(routes=[Route("/x", show)]))
    assert client.post("/x/").status_code == 405
