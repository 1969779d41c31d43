"""jinja2-fragments: a template's blocks as answers of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2_fragments.starlette import Jinja2Blocks
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

PAGE = """<title>{% block title %}Shop{% endblock %}</title>
{% block list %}<ul>{% for item in items %}<li>{{ item }}</li>{% endfor %}</ul>{% endblock %}
{% block link %}<a href="{{ url_for('page') }}">{{ greeting }}</a>{% endblock %}"""


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "page.html").write_text(PAGE)
    templates = Jinja2Blocks(directory=tmp_path, context_processors=[lambda request: {"greeting": "hello"}])
    done: list[str] = []

    async def page(request: Request) -> Response:
        wanted = request.query_params.getlist("block")
        chosen = {"block_name": wanted[0]} if len(wanted) == 1 else {"block_names": wanted}
        task = BackgroundTask(done.append, "page")
        context = {"items": ["tea", "<milk>"]}
        return templates.TemplateResponse(
            request, "page.html", context, 201, {"x-done": str(len(done))}, None, task, **chosen
        )

    return TestClient(Starlette(routes=[Route("/page", page, name="page")]))


def test_whole_page_where_no_block_is_named(client: TestClient) -> None:
    response = client.get("/page")
    assert (response.status_code, response.headers["content-type"]) == (201, "text/html; charset=utf-8")
    assert response.text.startswith("<title>Shop</title>")
    assert response.template.name == "page.html"
    assert response.context["items"] == ["tea", "<milk>"]


def test_one_block_alone(client: TestClient) -> None:
    assert client.get("/page?block=list").text == "<ul><li>tea</li><li>&lt;milk&gt;</li></ul>"


def test_several_blocks_with_links_and_context_processors(client: TestClient) -> None:
    text = client.get("/page?block=title&block=link").text
    assert text == 'Shop<a href="http://testserver/page">hello</a>'


def test_background_task_of_fragment_runs(client: TestClient) -> None:
    assert [client.get("/page?block=title").headers["x-done"] for _ in range(2)] == ["0", "1"]
