"""Redirects that lead off the site, and URLs that are built for links."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from pallasite.applications import Pallasite
from pallasite.datastructures import URL, URLPath
from pallasite.middleware import Middleware
from pallasite.middleware.httpsredirect import HTTPSRedirectMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, RedirectResponse, Response
from pallasite.routing import Mount, Route
from pallasite.staticfiles import StaticFiles
from tests.support.asgi import ask, assert_linear

pytestmark = pytest.mark.anyio

HERE = "http://testserver/some/page"


async def page(request: Request) -> Response:
    return PlainTextResponse("page")


# Decoded paths, as servers hand them over.
PATHS = {
    "CVE-2018-14574": ["//evil.example", "//evil.example/a", "///evil.example", "//user@evil.example:80"],
    "CVE-2021-21330": ["//evil.example/..", "//evil.example/%2f..", "//evil.example/%2e%2e", "/..//evil.example"],
    "CVE-2020-28724": [
        "//evil.example?x",
        "//evil.example#x",
        "//evil.example;x",
        "/./evil.example",
        "/.//evil.example",
    ],
    "CVE-2023-28370": [
        "/\\evil.example",
        "\\\\evil.example",
        "/\\/evil.example",
        "\\/evil.example",
        "//\\evil.example",
    ],
    "CVE-2021-28861": ["//evil.example/%2e%2e/..", "////evil.example", "//evil.example//", "//[::1]"],
    "tab": ["/\t/evil.example", "\t//evil.example", "/\t\\evil.example", "//\tevil.example"],
    "line break": ["/\n/evil.example", "/\r\n/evil.example", "\n//evil.example", "/\r\nlocation: http://evil.example"],
    "blank": [" //evil.example", "/ /evil.example", "\u00a0//evil.example", "\u2028//evil.example"],
    "escape": ["/%2f/evil.example", "/%5cevil.example", "/%09/evil.example", "%2f%2fevil.example"],
    "scheme": ["http://evil.example", "javascript:alert(1)", "/http://evil.example", "http:evil.example"],
    "nul": ["/\0/evil.example", "\0//evil.example"],
}


def off_site(location: str) -> bool:
    """Return True if a browser would leave this site. Browsers drop tabs and line breaks, and turn backslashes."""
    read = location.strip(" ").replace("\t", "").replace("\n", "").replace("\r", "").replace("\\", "/")
    target = urlsplit(urljoin(HERE, read))
    return target.scheme != "http" or target.netloc != "testserver"


@pytest.mark.parametrize("paths", PATHS.values(), ids=PATHS.keys())
async def test_redirect_to_add_or_drop_a_slash_stays_on_the_site(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "evil.example").mkdir()
    (tmp_path / "evil.example" / "index.html").write_text("page")
    sites = [
        Pallasite(routes=[Route("/{rest:path}/", page)]),
        Pallasite(routes=[Route("/{rest:path}x", page), Route("/{rest}", page)]),
        Pallasite(routes=[Mount("/{rest:path}", routes=[Route("/", page)])]),
        Pallasite(routes=[Mount("/", StaticFiles(directory=tmp_path, html=True))]),
        Pallasite(routes=[Mount("/evil.example", StaticFiles(directory=tmp_path, html=True))]),
    ]
    seen = 0
    for app in sites:
        for path in paths:
            for ending in ("", "/", "/.", "/..", "x"):
                for query in (b"", b"next=//evil.example", b"//evil.example"):
                    answer = await ask(app, path + ending, query=query)
                    location = answer.header("location")
                    assert (location is None) == (answer.status not in (301, 302, 303, 307, 308))
                    if location is not None:
                        seen += 1
                        assert not off_site(location), (path + ending, location)
    assert seen or "\n" in paths[0]  # no path parameter takes a line feed


@pytest.mark.advisory("CVE-2017-7234")
async def test_directory_under_any_path_is_redirected_below_itself(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("page")
    app = Pallasite(routes=[Mount("/{a:path}", StaticFiles(directory=tmp_path, html=True))])
    plain = Pallasite(routes=[Mount("/", StaticFiles(directory=tmp_path, html=True))])
    for site in (app, plain):
        for path in ("/docs", "//docs", "///docs", "/\\docs", "//evil.example/docs", "//evil.example/../docs"):
            location = (await ask(site, path)).header("location")
            if location is not None:
                assert not off_site(location), (path, location)
    assert (await ask(plain, "/docs")).status == 307


# --- addresses given to a redirect

BREAKS = ["\r\nset-cookie: a=b", "\nset-cookie: a=b", "\rx: y", "\0", "\r\n\r\n<script>", "\u2028", "\x0b", "\x85"]


@pytest.mark.advisory("CVE-2016-9964", "CVE-2012-2374")
@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize("url", ["/next?to={}", "http://testserver/{}", "{}", "//h/{}", "/a#{}"])
async def test_address_of_a_redirect_cannot_bring_a_header(url: str, text: str) -> None:
    for target in (url.format(text), URL(url.format(text))):
        answer = await ask(RedirectResponse(target))
        location = answer.header("location")
        assert location is not None
        assert location.isascii()
        assert location.isprintable()
        assert answer.values("set-cookie") == []
        assert len(answer.headers) == 2


HARD_TARGETS = {
    "unicode": lambda size: "/" + "\u00bd" * size,
    "decomposing": lambda size: "/" + "\ufdfa" * size,
    "host": lambda size: "http://" + "\u2100" * size,
    "surrogates": lambda size: "/" + "\ud800" * size,
    "percents": lambda size: "/" + "%" * size,
    "controls": lambda size: "/" + "\n" * size,
}


@pytest.mark.advisory("CVE-2025-64458")
@pytest.mark.parametrize("make", HARD_TARGETS.values(), ids=HARD_TARGETS.keys())
def test_address_of_any_length_costs_its_length(make: Any) -> None:
    assert_linear(make, RedirectResponse)


# --- URLs built from routes


@pytest.mark.advisory("CVE-2014-0480")
async def test_url_of_a_route_never_starts_with_two_slashes() -> None:
    app = Pallasite(
        routes=[
            Route("/{rest:path}", page, name="any"),
            Mount("/", routes=[Route("/{rest:path}", page, name="inner")], name="mounted"),
        ]
    )
    for value in ("/evil.example", "//evil.example", "\\evil.example", "\\\\evil.example", "/\\evil.example", "evil"):
        for path in (
            app.url_path_for("any", rest=value),
            app.url_path_for("mounted:inner", rest=value),
            URLPath("/" + value),
        ):
            assert not off_site(path), path
            assert urlsplit(str(path.make_absolute_url("http://testserver/"))).netloc == "testserver"


@pytest.mark.advisory("CVE-2014-0480")
@pytest.mark.parametrize("value", ["a?b", "a#b", "a b", "a\nb", "a\r\nb", "a%2fb", "\u2100", "a:b@c"], ids=repr)
async def test_absolute_address_of_a_route_stays_on_its_host(value: str) -> None:
    async def link(request: Request) -> Response:
        return RedirectResponse(request.url_for("any", rest=value))

    app = Pallasite(routes=[Route("/x", link), Route("/{rest:path}", page, name="any")])
    location = (await ask(app, "/x")).header("location")
    assert location is not None
    assert urlsplit(location).netloc == "testserver"
    assert not off_site(location)


# --- https


@pytest.mark.advisory("CVE-2019-12781")
@pytest.mark.parametrize(
    "header",
    [
        (b"x-forwarded-proto", b"https"),
        (b"forwarded", b"proto=https;host=evil.example"),
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-ssl", b"on"),
        (b"x-url-scheme", b"https"),
        (b"front-end-https", b"on"),
    ],
    ids=lambda pair: pair[0].decode(),
)
async def test_only_the_server_decides_whether_a_request_is_secure(header: tuple[bytes, bytes]) -> None:
    app = Pallasite(routes=[Route("/a", page)], middleware=[Middleware(HTTPSRedirectMiddleware)])
    answer = await ask(app, "/a", headers=[(b"host", b"testserver"), header])
    assert (answer.status, answer.header("location")) == (307, "https://testserver/a")
    assert (
        await ask(app, "/a", scheme="https", headers=[(b"host", b"testserver"), (b"x-forwarded-proto", b"http")])
    ).status == 200


@pytest.mark.parametrize("paths", PATHS.values(), ids=PATHS.keys())
async def test_redirect_to_another_scheme_or_host_keeps_its_host(paths: list[str]) -> None:
    secure = Pallasite(routes=[], middleware=[Middleware(HTTPSRedirectMiddleware)])
    www = Pallasite(routes=[], middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["www.testserver"])])
    for path in paths:
        for app, expected in ((secure, "testserver"), (www, "www.testserver")):
            location = (await ask(app, path, query=b"@evil.example")).header("location")
            assert location is not None
            assert urlsplit(location).netloc == expected
            assert "\\" not in location
            assert location.isprintable()
