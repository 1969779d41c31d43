"""Jinja2 templates: both call forms, the context, and escaping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest

from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.requests import Request
from pallasite.routing import Mount, Route
from pallasite.templating import Jinja2Templates, _TemplateResponse, is_escaped
from pallasite.types import Message
from tests.support.asgi import UNUSED, scope_of
from tests.support.clients import ClientFactory

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
EVIL = "<script>alert('1')</script>"


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "hello.html").write_text("Hello, {{ name }}!")
    return folder


@pytest.fixture
def templates(directory: Path) -> Any:
    return Jinja2Templates(directory)


def write(templates: Jinja2Templates, name: str, text: str) -> None:
    assert isinstance(templates.env.loader, jinja2.FileSystemLoader)
    (folder,) = templates.env.loader.searchpath
    with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def test_response_is_the_rendered_template(templates: Jinja2Templates) -> None:
    response = templates.TemplateResponse(
        REQUEST, "hello.html", {"name": "Ada"}, status_code=201, headers={"x-a": "1"}, media_type="text/plain"
    )
    assert isinstance(response, _TemplateResponse)
    assert (response.body, response.status_code, response.headers["x-a"]) == (b"Hello, Ada!", 201, "1")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.template.name == "hello.html"
    assert response.context == {"name": "Ada", "request": REQUEST}


def test_response_is_html_and_needs_no_context(templates: Jinja2Templates) -> None:
    response = templates.TemplateResponse(REQUEST, "hello.html")
    assert (response.body, response.media_type) == (b"Hello, !", "text/html")
    assert response.context == {"request": REQUEST}


def test_older_call_form_has_the_request_in_the_context(templates: Any) -> None:
    task = BackgroundTask(print)
    response = templates.TemplateResponse(
        "hello.html", {"request": REQUEST, "name": "Ada"}, status_code=404, background=task
    )
    assert (response.body, response.status_code, response.background) == (b"Hello, Ada!", 404, task)
    assert response.context == {"request": REQUEST, "name": "Ada"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("hello.html", {"name": "Ada"}), ValueError, 'must include a "request" key'),
        (("hello.html", REQUEST), ValueError, 'must include a "request" key'),
        (("hello.html", {"request": REQUEST}, 404), TypeError, "by keyword"),
    ],
    ids=["no request", "no context", "status by position"],
)
def test_older_call_form_used_wrongly_is_an_error_with_its_reason(
    templates: Jinja2Templates, arguments: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        templates.TemplateResponse(*arguments)


def test_context_processors_add_to_every_context_in_turn(directory: Path) -> None:
    seen = []

    def user(request: Request) -> Any:
        seen.append(request)
        return {"name": "Ada", "other": 1}

    templates: Any = Jinja2Templates(directory, context_processors=[user, lambda request: {"name": "Grace"}])
    response = templates.TemplateResponse(REQUEST, "hello.html", {"kept": 1})
    assert response.body == b"Hello, Grace!"
    assert response.context == {"request": REQUEST, "kept": 1, "name": "Grace", "other": 1}
    templates.TemplateResponse("hello.html", {"request": REQUEST})
    assert seen == [REQUEST, REQUEST]


@pytest.mark.parametrize(
    "name",
    [
        "page.html",
        "PAGE.HTML",
        "page.htm",
        "page.xhtml",
        "feed.xml",
        "logo.svg",
        "page.html.jinja",
        "page.html.j2",
        "page.jinja",
        "page.jinja2",
        "page.j2",
        "page.tmpl",
        "page.html.tpl",
        "page.de.j2",
        "mail.txt.html",
        "feed.rss",
        "feed.atom.jinja",
        "logo.SVG.J2",
    ],
)
def test_html_like_templates_are_escaped(templates: Jinja2Templates, name: str) -> None:
    write(templates, name, "{{ text }}")
    body = templates.TemplateResponse(REQUEST, name, {"text": EVIL}).body
    assert b"<" not in body
    assert b"&lt;script&gt;" in body


@pytest.mark.parametrize(
    "name",
    ["mail.txt", "data.json", "plain", "mail.txt.j2", "mail.TXT.Jinja", "query.sql.tmpl", "html"],
)
def test_other_templates_are_not_escaped(templates: Jinja2Templates, name: str) -> None:
    write(templates, name, "{{ text }}")
    assert templates.TemplateResponse(REQUEST, name, {"text": EVIL}).body == EVIL.encode()


def test_folders_do_not_decide_on_escaping() -> None:
    assert is_escaped("v1.txt/page.html")
    assert not is_escaped("a.html/plain")


def test_template_from_text_is_escaped(templates: Jinja2Templates) -> None:
    assert "<" not in templates.env.from_string("{{ text }}").render(text=EVIL)


def test_url_for_makes_urls_of_routes(templates: Jinja2Templates, test_client_factory: ClientFactory) -> None:
    write(templates, "link.html", "{{ url_for('users:one', name=name) }} {{ url_for('plain') }}")

    async def page(request: Request) -> Any:
        return templates.TemplateResponse(request, "link.html", {"name": request.path_params["name"]})

    app = Pallasite(
        routes=[
            Mount("/users", routes=[Route("/{name}", page, name="one")], name="users"),
            Route("/plain", page, name="plain"),
        ]
    )
    response = test_client_factory(app).get("/users/ada")
    assert response.text == "http://testserver/users/ada http://testserver/plain"


def test_custom_url_for_is_kept(directory: Path) -> None:
    env = jinja2.Environment(loader=jinja2.DictLoader({"a": "{{ url_for('x') }}"}))
    env.globals["url_for"] = lambda name: f"own {name}"
    response = Jinja2Templates(env=env).TemplateResponse(REQUEST, "a")
    assert response.body == b"own x"


def test_environment_is_used_as_it_is() -> None:
    env = jinja2.Environment(loader=jinja2.DictLoader({"a.html": "{{ text }}"}))
    templates = Jinja2Templates(env=env)
    assert templates.env is env
    assert templates.TemplateResponse(REQUEST, "a.html", {"text": "<"}).body == b"<"
    assert "url_for" in env.globals


def test_directories_are_searched_in_order(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "hello.html").write_text("other")
    (other / "more.html").write_text("more")
    templates = Jinja2Templates([str(directory), other])
    bodies = [templates.TemplateResponse(REQUEST, name).body for name in ("hello.html", "more.html")]
    assert bodies == [b"Hello, !", b"more"]


@pytest.mark.parametrize("name", ["missing.html", "../templates/hello.html", "/etc/passwd"])
def test_template_outside_or_missing_is_not_found(templates: Jinja2Templates, name: str) -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        templates.get_template(name)


@pytest.mark.parametrize("options", [{}, {"directory": "a", "env": jinja2.Environment()}], ids=["neither", "both"])
def test_directory_or_environment_must_be_given(options: Any) -> None:
    with pytest.raises(AssertionError, match="either 'directory' or 'env'"):
        Jinja2Templates(**options)


def test_test_client_shows_template_and_context(templates: Jinja2Templates, test_client_factory: ClientFactory) -> None:
    done: list[Any] = []

    async def page(request: Request) -> Any:
        return templates.TemplateResponse(
            request, "hello.html", {"name": "Ada"}, background=BackgroundTask(done.append, "sent")
        )

    response: Any = test_client_factory(Pallasite(routes=[Route("/", page)])).get("/")
    assert response.text == "Hello, Ada!"
    assert response.template.name == "hello.html"
    assert response.context["name"] == "Ada"
    assert done == ["sent"]


@pytest.mark.parametrize("extensions", [{}, {"http.response.debug": {}}], ids=["server", "test client"])
@pytest.mark.anyio
async def test_template_and_context_are_sent_only_on_request(templates: Jinja2Templates, extensions: Any) -> None:
    sent = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    response = templates.TemplateResponse(REQUEST, "hello.html", {"name": "Ada"})
    await response({"type": "http", "extensions": extensions}, UNUSED, send)
    assert sent == [*extensions, "http.response.start", "http.response.body"]


def test_context_of_the_caller_is_not_changed(templates: Jinja2Templates) -> None:
    write(templates, "page.html", "{{ title }} {{ request.url.path }}")
    shared = {"title": "Stones"}
    pages = [templates.TemplateResponse(Request(scope_of(path)), "page.html", shared) for path in ("/a", "/b")]
    assert [page.body for page in pages] == [b"Stones /a", b"Stones /b"]
    assert shared == {"title": "Stones"}


class _Later:
    def __await__(self) -> Any:
        yield


async def _processor(request: Request) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("processor", [_processor, lambda request: _Later()])
def test_context_processor_that_is_async_is_refused(processor: Any, directory: Path) -> None:
    templates = Jinja2Templates(directory, context_processors=[processor])
    write(templates, "page.html", "")
    with pytest.raises(TypeError, match="returned an awaitable: context processors are not async"):
        templates.TemplateResponse(Request(scope_of()), "page.html")
