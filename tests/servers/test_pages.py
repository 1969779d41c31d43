"""The demo's pages over real sockets: templates, assets, the guest book and its search, error pages."""

from __future__ import annotations

import html
import re
import uuid

import httpx
import pytest

from tests.support.serving import Server, eventually

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def post_note(client: httpx.Client, text: str, author: str = "Ada") -> httpx.Response:
    return client.post("/notes", data={"author": author, "text": text}, headers=BROWSER)


@pytest.mark.parametrize("path", ["/", "/notes", "/files", "/chat", "/live", "/slow", "/api", "/sign-in"])
def test_page_is_html_with_the_security_headers(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert float(answer.headers["server-timing"].removeprefix("app;dur=")) >= 0
    assert "</html>" in answer.text


def test_probes_metrics_and_request_ids(client: httpx.Client) -> None:
    assert client.get("/livez").text == "ok"
    assert client.get("/readyz").json() == {"status": "pass"}
    first, second = (client.get("/notes").headers["x-request-id"] for _ in range(2))
    assert first < second
    text = client.get("/metrics").text
    assert 'http_route="/notes"' in text
    assert "livez" not in text


def test_every_address_on_the_home_page_answers(client: httpx.Client) -> None:
    addresses = set(re.findall(r'(?:href|src)="([^"#]+)"', client.get("/").text))
    addresses.remove(str(client.base_url.join("/broken")))
    assert len(addresses) >= 8
    statuses = {address: client.get(address, headers=BROWSER).status_code for address in addresses}
    assert statuses == dict.fromkeys(addresses, 200)


def test_addresses_use_the_host_that_was_asked_for(client: httpx.Client) -> None:
    assert 'href="http://demo.example/notes"' in client.get("/", headers={"host": "demo.example"}).text


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("chat.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_asset_has_its_type_and_length(client: httpx.Client, name: str, content_type: str) -> None:
    answer = client.get(f"/static/{name}", headers={"accept-encoding": "identity"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert int(answer.headers["content-length"]) == len(answer.content) > 100
    assert answer.headers["etag"]


def test_asset_that_the_browser_has_is_304(client: httpx.Client) -> None:
    first = client.get("/static/style.css")
    assert first.headers["cache-control"] == "no-cache"
    for condition in (
        {"if-none-match": first.headers["etag"]},
        {"if-none-match": f'"other", {first.headers["etag"]}'},
        {"if-modified-since": first.headers["last-modified"]},
    ):
        answer = client.get("/static/style.css", headers=condition)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["cache-control"] == "no-cache"
        assert "content-encoding" not in answer.headers
    assert client.get("/static/style.css", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["/chat", "/static/style.css", "/nowhere"])
def test_long_response_is_compressed_for_clients_that_accept_it(client: httpx.Client, path: str) -> None:
    plain = client.get(path, headers={"accept-encoding": "identity", "accept": "text/html"})
    packed = client.get(path, headers={"accept-encoding": "gzip", "accept": "text/html"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.content == plain.content
    for answer in (plain, packed):
        assert "accept-encoding" in answer.headers["vary"].lower()


@pytest.mark.parametrize("name", ["nothing.css", "..%2fmain.py", "%2e%2e/main.py", "style.css%00", "style.css%0a", "."])
def test_asset_that_does_not_exist_is_404(server: Server, name: str) -> None:
    status, _ = server.exchange(f"GET /static/{name} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n".encode())
    assert status == 404


def test_note_is_stored_shown_and_summarised_in_the_background(client: httpx.Client) -> None:
    mark = uuid.uuid4().hex
    answer = post_note(client, f"{mark} stone and <b>iron</b> & stone")
    assert answer.status_code == 303
    address, _, fragment = answer.headers["location"].partition("#")
    assert fragment.startswith("note-")
    page = client.get(address).text
    assert f"{mark} stone and &lt;b&gt;iron&lt;/b&gt; &amp; stone" in page
    assert f'id="{fragment}"' in page
    note = f"/notes/{fragment.removeprefix('note-')}"
    eventually(lambda: "7 words, 2 s to read" in client.get(note).text, "the summary on the note's page")
    assert '<span class="tag">stone</span>' in client.get(note).text


def test_note_that_cannot_be_used_is_refused_and_kept_in_the_form(client: httpx.Client) -> None:
    for text, reason in [("   ", "must not be empty"), ("x" * 5001, "at most 5000"), ("a\x00b", "cannot be shown")]:
        answer = post_note(client, text, author="Grace <3")
        assert answer.status_code == 422
        assert reason in answer.text
        assert 'value="Grace &lt;3"' in answer.text


def test_form_of_strange_bytes_is_refused_or_stored_never_an_error(client: httpx.Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"", b"&&==", b"text=%ff%fe", b"\xff\xfe", b"text=%ED%A0%80", b"text=" + b"%" * 50, b"a=1&" * 5000):
        assert client.post("/notes", content=body, headers=form).status_code in (303, 400, 422)


def test_note_can_come_in_a_multipart_form_but_not_with_a_file(client: httpx.Client) -> None:
    fields = {"author": (None, "Ada"), "text": (None, "Grüße")}
    posted = client.post("/notes", files=fields)
    assert posted.status_code == 303
    assert "Grüße" in client.get(posted.headers["location"]).text
    assert client.post("/notes", files=fields | {"file": ("a.txt", b"x")}).status_code == 400


def test_form_beyond_the_body_limit_is_413(client: httpx.Client) -> None:
    assert post_note(client, "x" * 70_000).status_code == 413


def test_search_finds_text_and_author_whatever_the_case_and_marks_them(client: httpx.Client) -> None:
    mark = uuid.uuid4().hex
    post_note(client, f"Olivine {mark}")
    post_note(client, "Kamacite", author=mark[:30].upper())
    page = client.get("/notes", params={"q": mark[:30]}).text
    assert "2 notes with" in page
    assert f"Olivine <mark>{mark[:30]}</mark>" in page
    assert f"<mark>{mark[:30].upper()}</mark>" in page
    assert "No notes" not in client.get("/notes", params={"q": mark + "x"}).text


@pytest.mark.parametrize("search", ["%", "_", "\\", "' OR 1=1 --", '"', "\0", "\ud7ff", "%%%___\\\\"])
def test_search_takes_wildcards_and_quotes_literally(client: httpx.Client, search: str) -> None:
    mark = uuid.uuid4().hex
    post_note(client, f"{mark} nothing special")
    page = client.get("/notes", params={"q": f"{mark}{search}"})
    assert page.status_code == 200
    assert "0 notes with" in page.text


def test_percent_sign_is_found_as_such(client: httpx.Client) -> None:
    mark = uuid.uuid4().hex
    post_note(client, f"{mark} 100% iron_nickel")
    for search in (f"{mark} 100%", f"{mark} 100% iron_"):
        assert "1 note with" in client.get("/notes", params={"q": search}).text


def test_pages_of_notes_keep_the_search(client: httpx.Client) -> None:
    mark = uuid.uuid4().hex
    for number in range(12):
        post_note(client, f"{mark} number {number}")
    first = client.get("/notes", params={"q": mark}).text
    assert "Page 1 of 2" in first
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = client.get(html.unescape(older[1])).text
    assert "Page 2 of 2" in second
    assert "number</mark>" not in second
    assert [f"</mark> number {number}<" in second for number in (0, 1, 2)] == [True, True, False]


@pytest.mark.parametrize("number", ["0", "-1", "x", "", "9" * 30, "1e3", "٣"])
def test_page_number_out_of_range_still_shows_a_page(client: httpx.Client, number: str) -> None:
    assert client.get("/notes", params={"page": number}).status_code == 200


def test_page_of_an_unknown_address_is_404_for_people_and_programs(client: httpx.Client) -> None:
    page = client.get("/nowhere", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not Found" in page.text
    answer = client.get("/nowhere", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("number", ["0", "999999999", str(2**63), "9" * 5000])
def test_note_that_does_not_exist_is_404(client: httpx.Client, number: str) -> None:
    assert client.get(f"/notes/{number}").status_code == 404


def test_wrong_method_is_405_and_names_the_right_ones(client: httpx.Client) -> None:
    answer = client.request("PATCH", "/notes/1", headers=BROWSER)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_broken_page_is_500_and_discloses_nothing(client: httpx.Client, server: Server) -> None:
    answer = client.get("/broken", headers=BROWSER | {"connection": "close"})  # servers differ in whether they keep it
    assert answer.status_code == 500
    assert "It has been noted" in answer.text
    assert "on purpose" not in answer.text
    eventually(lambda: "on purpose" in server.log(), "the traceback in the log")


@pytest.mark.parametrize("path", ["/", "/notes", "/static/style.css", "/api/notes", "/nowhere"])
def test_head_has_the_headers_of_get_and_no_body(server: Server, path: str) -> None:
    def ask(method: str) -> tuple[int, dict[str, str], bytes]:
        head = f"{method} {path} HTTP/1.1\r\nhost: demo\r\naccept: text/html\r\nconnection: close\r\n\r\n"
        status, answer = server.exchange(head.encode())
        lines, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines.decode("latin-1").split("\r\n")[1:])
        return status, headers, body

    got_status, got, content = ask("GET")
    status, headers, body = ask("HEAD")
    assert status == got_status
    assert body == b""
    assert headers["content-type"] == got["content-type"]
    assert headers["content-length"] == got["content-length"] == str(len(content))
