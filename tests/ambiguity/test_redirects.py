"""A redirect by Pallasite itself stays on the site, whatever Host and path the client sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._compat import mode
from pallasite._http.url import local_url
from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse
from pallasite.routing import BaseRoute, Match, Mount, Route
from pallasite.staticfiles import StaticFiles
from pallasite.testclient import TestClient
from tests.support.asgi import exchange, scope_of

pytestmark = pytest.mark.anyio

HERE = "http://here.example/some/page"

# Decoded paths, as servers hand them over: of `/%2f/evil.example`, `/%5cevil.example`, `/%09/evil.example` and so on.
PATHS = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r\nset-cookie: a=b",
    "/\0/evil.example",
    " //evil.example",
    "/ /evil.example",
    "/./evil.example",
    "/..//evil.example",
    "/.//evil.example",
    "//evil.example/..",
    "/@evil.example",
    "//user@evil.example",
    "/%2f/evil.example",
    "/%5cevil.example",
    "/?//evil.example",
    "/#//evil.example",
    "/\u2028//evil.example",
    "/\uff0f/evil.example",
    "/\ud800//evil.example",
]


def on_evil_host(path: str, **more: Any) -> Any:
    return scope_of(path, headers=[(b"host", b"evil.example")], server=("here.example", 80), **more)


async def location_of(app: Any, scope: Any) -> str:
    """The Location header of the redirect that the application answers with."""
    sent = await exchange(app, scope, stays=True)
    assert sent[0]["status"] == 307
    [location] = [value for name, value in sent[0]["headers"] if name == b"location"]
    return str(location, "ascii")


def followed(location: str) -> str:
    """Return the URL that a browser visits. It drops tabs and line breaks, and treats backslashes as slashes."""
    for dropped in "\t\r\n":
        location = location.replace(dropped, "")
    return urljoin(HERE, location.strip().replace("\\", "/"))


async def show(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


class AnyPath(BaseRoute):
    """Matches every path, rooted or not, that ends with a slash; or every one that does not."""

    def __init__(self, with_slash: bool) -> None:
        self.with_slash = with_slash

    def matches(self, scope: Any) -> tuple[Match, Any]:
        return (Match.FULL if scope["path"].endswith("/") == self.with_slash else Match.NONE), {}


@pytest.mark.parametrize("path", PATHS, ids=repr)
async def test_slash_added_stays_on_the_site(path: str) -> None:
    location = await location_of(Pallasite(routes=[AnyPath(with_slash=True)]), on_evil_host(path))
    assert urlsplit(followed(location)).netloc == "here.example"
    assert location.startswith("/")
    assert not location.startswith("//")
    assert location.endswith("/")


@pytest.mark.parametrize("path", PATHS, ids=repr)
async def test_slash_removed_stays_on_the_site(path: str) -> None:
    location = await location_of(Pallasite(routes=[AnyPath(with_slash=False)]), on_evil_host(path + "/"))
    assert urlsplit(followed(location)).netloc == "here.example"
    assert location.startswith("/")
    assert not location.startswith("//")
    assert not location.endswith("/")


@pytest.mark.parametrize(
    "path", ["//evil.example/..", "/\\evil.example/..", "/\t/evil.example/../..", "//docs", "/docs"]
)
async def test_static_directory_redirect_stays_on_the_site(tmp_path: Path, path: str) -> None:
    (tmp_path / "index.html").write_text("index")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("docs")
    app = Pallasite(routes=[Mount("/", StaticFiles(directory=tmp_path, html=True))])
    location = await location_of(app, on_evil_host(path))
    assert urlsplit(followed(location)).netloc == "here.example"
    assert location.endswith("/")


@pytest.mark.parametrize(("standing_in", "location"), [(False, "/docs/?a=1"), (True, "http://evil.example/docs/?a=1")])
async def test_static_directory_redirect_is_absolute_in_starlettes_place_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standing_in: bool, location: str
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("docs")
    monkeypatch.setattr(mode, "current", mode.STARLETTE if standing_in else mode.PALLASITE)
    app = StaticFiles(directory=tmp_path, html=True)
    assert await location_of(app, on_evil_host("/docs", query_string=b"a=1")) == location


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (b"a=1&b=%20c+d&e=%2F", "a=1&b=%20c+d&e=%2F"),
        (b"next=//evil.example/?x#y", "next=//evil.example/?x%23y"),
        (b"\xff\xfe\r\nx: y", "%FF%FE%0D%0Ax:%20y"),
        (b"a[]=1&b={}", "a[]=1&b=%7B%7D"),
    ],
)
async def test_redirect_keeps_the_query(query: bytes, sent: str) -> None:
    app = Pallasite(routes=[Route("/x/", show)])
    assert await location_of(app, on_evil_host("/x", query_string=query)) == "/x/?" + sent


async def test_redirect_in_a_mount_keeps_prefix_and_root_path() -> None:
    app = Pallasite(routes=[Mount("/team", routes=[Route("/x/", show)])])
    assert await location_of(app, on_evil_host("/team/x")) == "/team/x/"
    assert await location_of(app, on_evil_host("/proxy/team/x", root_path="/proxy")) == "/proxy/team/x/"


def test_redirect_of_a_path_with_escapes_leads_to_that_path(test_client_factory: Any) -> None:
    client: TestClient = test_client_factory(Pallasite(routes=[Route("/{name}/", show)]))
    # Decoded once, `%2541` is `%41`; redirected as it stands it would be decoded once more, to `A`.
    assert client.get("/100%25%2541ä").url.path == "/100%%41ä/"


@given(st.text(), st.binary())
def test_local_url_of_anything_is_a_path_that_can_be_read_back(path: str, query: bytes) -> None:
    location = local_url({"query_string": query}, path)
    assert location.isascii()
    assert location.isprintable()
    assert " " not in location
    split = urlsplit(location)
    assert (split.scheme, split.netloc, split.fragment) == ("", "", "")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    rooted = path if path.startswith("/") else "/" + path
    assert unquote(split.path) == rooted
