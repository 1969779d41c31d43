"""A URL leads back to the values that it was made from, for every character (RFC 3986 sections 2 and 3.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import JSONResponse, RedirectResponse, Response
from pallasite.routing import Host, Mount, Route, Router
from pallasite.staticfiles import StaticFiles
from tests.support.asgi import scope_of
from tests.support.clients import ClientFactory

VALUES = ["plain", "a b", "é", "a;b,c=d", "{name}", "what?", "a?b=c", "foo#bar", "50%", "100%25", "a%2Fb", "a+b", "a&b"]
VALUES += ['"<>^`|', "a\\b", "a\tb", "a\nb", " ", "\x7f", "~:@!$'()*", "\U0001f600"]


async def show(request: Request) -> Response:
    return JSONResponse(request.path_params["name"])


async def moved(request: Request) -> Response:
    return RedirectResponse(request.app.url_path_for("user", name=request.query_params["to"]))


APP = Pallasite(
    routes=[
        Route("/moved", moved),
        Route("/users/{name}", show, name="user"),
        Mount("/in/{name}", routes=[Route("/deep", show, name="deep")], name="mount"),
        Host("a.example", app=Router([Route("/host/{name}", show, name="host")]), name="site"),
    ]
)


@pytest.mark.parametrize("value", VALUES)
def test_url_of_a_value_leads_back_to_it(value: str, test_client_factory: ClientFactory) -> None:
    request: Request = Request(scope_of(app=APP, router=APP.router))
    client = test_client_factory(APP)
    for name in ("user", "mount:deep", "site:host"):
        url = str(request.url_for(name, name=value))
        response = client.get(url)
        assert (response.status_code, response.json()) == (200, value), url
    assert client.get("/moved", params={"to": value}).json() == value


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_path_of_any_value_decodes_to_it(value: str) -> None:
    from urllib.parse import unquote

    path = str(APP.url_path_for("user", name=value))
    assert unquote(path) == f"/users/{value}"
    assert path.isascii()
    assert not set(path) & set('?#\\ \t\r\n"<>^`|')


def test_path_of_a_lone_surrogate_has_a_replacement() -> None:
    assert APP.url_path_for("user", name="a\ud800b") == "/users/a%3Fb"


@pytest.mark.parametrize("value", [value for value in VALUES if not set(value) & set("\\\t\n\x7f")])
def test_url_of_a_file_leads_to_it(value: str, tmp_path: Path, test_client_factory: ClientFactory) -> None:
    (tmp_path / f"{value}.txt").write_text(value)
    app = Pallasite(routes=[Mount("/static", StaticFiles(directory=tmp_path), name="static")])
    request: Request = Request(scope_of(app=app, router=app.router))
    assert test_client_factory(app).get(str(request.url_for("static", path=f"/{value}.txt"))).text == value


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("/a%09b", "/a%09b"),
        ("/a%0Ab", "/a%0Ab"),
        ("/50%25", "/50%25"),
        ("/a%3Fb%23c", "/a%3Fb%23c"),
        ("/a%5Cb", "/a%5Cb"),
    ],
)
def test_url_of_a_request_shows_the_path_as_it_was_sent(
    sent: str, path: str, test_client_factory: ClientFactory
) -> None:
    async def endpoint(request: Request) -> Response:
        return JSONResponse([str(request.url), request.url.path])

    client = test_client_factory(Pallasite(routes=[Route("/{any}", endpoint)]))
    answer: Any = client.get(sent).json()
    assert answer == [f"http://testserver{path}", path]
