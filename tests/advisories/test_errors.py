"""The debug page, and templates."""

from __future__ import annotations

import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Route
from pallasite.templating import Jinja2Templates
from tests.support.asgi import Sent, always, ask, exchange, scope_of

pytestmark = pytest.mark.anyio

SCRIPTS = [
    "<script>alert(1)</script>",
    "</pre><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "</script><script>alert(1)",
    "{{7*7}}${x}$frames",
]


class Broken(Exception):
    pass


def application(debug: bool, text: str) -> Pallasite:
    async def fails(request: Request) -> Response:
        local = request.query_params.get("x", text)  # noqa: F841
        try:
            raise ValueError(text)
        except ValueError as cause:
            raise Broken(text) from cause

    return Pallasite(debug=debug, routes=[Route("/", fails)])


async def error_page(app: Any, **scope: Any) -> tuple[int, str, str]:
    sent = Sent()

    with pytest.raises(Broken):
        await app(scope_of("/", **scope), always({"type": "http.request", "body": b""}), sent)
    kind = dict(sent[0]["headers"])[b"content-type"].decode()
    return sent[0]["status"], kind, b"".join(message.get("body", b"") for message in sent[1:]).decode()


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]


# --- the debug page


@pytest.mark.advisory("CVE-2016-10516", "CVE-2017-12794", "CVE-2022-22818")
@pytest.mark.parametrize("text", SCRIPTS)
async def test_debug_page_shows_text_as_text(text: str) -> None:
    app = application(True, text)
    for query in (b"", b"x=" + text.encode()):
        status, kind, page = await error_page(
            app, headers=[(b"accept", b"text/html"), (b"x-a", text.encode())], query=query
        )
        assert (status, kind) == (500, "text/html; charset=utf-8")
        plain = application(True, "plain")
        _, _, usual = await error_page(plain, headers=[(b"accept", b"text/html")])
        assert set(Tags(page).seen) == set(Tags(usual).seen)
        assert set(Tags(page).attributes) == set(Tags(usual).attributes)
        assert Tags(page).seen.count("script") == 1


@pytest.mark.advisory("CVE-2017-12794")
@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("accept", [b"*/*", b"text/plain", b"application/json", b""])
async def test_debug_text_is_not_html(accept: bytes, text: str) -> None:
    _, kind, body = await error_page(application(True, text), headers=[(b"accept", accept)])
    assert kind == "text/plain; charset=utf-8"
    assert text in body


@pytest.mark.advisory("CVE-2024-34069")
@pytest.mark.parametrize(
    "query",
    [
        b"__debugger__=yes&cmd=1%2B1&frm=0&s=x",
        b"__debugger__=yes&cmd=resource&f=style.css",
        b"debug=1",
        b"cmd=import+os",
    ],
    ids=repr,
)
async def test_debug_page_runs_nothing(query: bytes) -> None:
    app = application(True, "text")
    _, _, page = await error_page(app, query=query, headers=[(b"accept", b"text/html")])
    assert not {"form", "input", "textarea", "button"} & set(Tags(page).seen)
    for path in ("/console", "/__debugger__", "/?__debugger__=yes"):
        assert (await ask(app, path, query=query)).status == 404


@pytest.mark.advisory("CVE-2024-34069")
@pytest.mark.parametrize(
    "headers",
    [
        [(b"accept", b"text/html")],
        [(b"x-debug", b"1"), (b"accept", b"text/html")],
        [(b"cookie", b"debug=1"), (b"accept", b"text/html")],
        [(b"host", b"localhost"), (b"x-forwarded-for", b"127.0.0.1")],
    ],
    ids=str,
)
async def test_without_debug_nothing_is_disclosed(headers: Any) -> None:
    app = application(False, "secret")
    for query in (b"", b"debug=1", b"__debugger__=yes&cmd=x"):
        answer = await error_page(app, headers=headers, query=query, client=("127.0.0.1", 1), server=("127.0.0.1", 80))
        assert answer == (500, "text/plain; charset=utf-8", "Internal Server Error")


# --- templates


@pytest.mark.advisory("CVE-2022-22818", "CVE-2026-48060")
@pytest.mark.parametrize("suffix", ["html", "htm", "xml", "xhtml", "svg", "HTML"])
@pytest.mark.parametrize("text", SCRIPTS)
async def test_templates_show_text_as_text(text: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"page.{suffix}").write_text(
        "<p title='{{ text }}'>{{ text }} {{ request.url }} {{ request.query_params.x }} {{ request.cookies.csrf }}</p>"
    )
    templates = Jinja2Templates(directory=tmp_path)

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, f"page.{suffix}", {"text": text})

    app = Pallasite(routes=[Route("/", page)])
    cookie = [(b"host", b"testserver"), (b"cookie", b"csrf=" + text.encode())]
    answer = await ask(app, query=b"x=" + text.encode(), headers=cookie)
    assert Tags(answer.body.decode()).seen == ["p"]
    assert Tags(answer.body.decode()).attributes == ["title"]


@pytest.mark.advisory("CVE-2022-22818")
async def test_template_of_a_client_is_not_rendered(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ text }}")
    templates = Jinja2Templates(directory=tmp_path)

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html", {"text": request.query_params["x"]})

    app = Pallasite(routes=[Route("/", page)])
    for text in ("{{7*7}}", "{% debug %}", "{{ request.app }}", "{{ config }}"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = await ask(app, query=b"x=" + text.replace("%", "%25").encode())
        assert answer.body.decode() == text


@pytest.mark.advisory("CVE-2009-2659")
@pytest.mark.parametrize(
    "name", ["../secret.html", "/etc/passwd", "..\\secret.html", "below/../../secret.html", "secret.html\0"]
)
async def test_template_of_another_directory_is_not_found(name: str, tmp_path: Path) -> None:
    import jinja2

    (tmp_path / "templates").mkdir()
    (tmp_path / "secret.html").write_text("secret")
    templates = Jinja2Templates(directory=tmp_path / "templates")
    with pytest.raises((jinja2.TemplateNotFound, ValueError)):
        templates.get_template(name)


@pytest.mark.advisory("CVE-2024-34069")
async def test_lifespan_and_websocket_errors_tell_nothing() -> None:
    async def fails(websocket: Any) -> None:
        await websocket.accept()
        raise Broken("secret")

    from pallasite.routing import WebSocketRoute

    app = Pallasite(debug=True, routes=[WebSocketRoute("/", fails)])
    sent = Sent()

    with pytest.raises(Broken):
        await app(
            scope_of("/", type="websocket", scheme="ws", subprotocols=[]), always({"type": "websocket.connect"}), sent
        )
    assert "secret" not in str(sent)
    assert await exchange(Pallasite(), scope_of("/x"), [{"type": "http.request", "body": b""}])
