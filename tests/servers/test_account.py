"""Signing in to the demo over real sockets: the session cookie, the notes of each user, forged cookies."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.support.serving import Server, new_client


@pytest.fixture
def browser(server: Server) -> Iterator[Callable[[], httpx.Client]]:
    """Makes clients that keep their own cookies and follow redirects, as browsers do."""
    with ExitStack() as stack:

        def make() -> httpx.Client:
            return stack.enter_context(new_client(server, follow_redirects=True))

        yield make


@pytest.fixture
def name() -> str:
    return f"Ada {uuid.uuid4().hex[:12]}"


def sign_in(client: httpx.Client, name: str, password: str = "olivine") -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password})


def test_visitor_signs_in_writes_and_signs_out(browser: Callable[[], httpx.Client], name: str) -> None:
    client = browser()
    assert "Sign in" in client.get("/").text
    page = sign_in(client, name)
    assert (page.status_code, page.url.path) == (200, "/notes")
    assert f"You write as <strong>{name}</strong>" in page.text
    assert client.post("/api/notes", json={"text": "mine", "author": "somebody else"}).json()["author"] == name
    assert "Sign in" in client.post("/sign-out").text
    assert not client.cookies
    assert client.post("/api/notes", json={"text": "not mine"}).json()["author"] == "guest"


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(server: Server, name: str) -> None:
    form = {"name": name, "password": "olivine"}
    with new_client(server) as client:
        answer = client.post("/sign-in", data=form)
    assert answer.status_code == 303
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=604800"} <= attributes
    assert "cookie" in answer.headers["vary"].lower()


def test_registered_name_needs_its_password_in_any_case(browser: Callable[[], httpx.Client], name: str) -> None:
    sign_in(browser(), name)
    other = browser()
    refused = sign_in(other, name.upper(), "a guess")
    assert refused.status_code == 422
    assert "another password" in refused.text
    assert not other.cookies
    assert f"You write as <strong>{name}</strong>" in sign_in(other, name.upper()).text


def test_name_taken_at_the_same_moment_by_the_same_person_is_theirs(
    browser: Callable[[], httpx.Client], name: str
) -> None:
    browsers = [browser() for _ in range(4)]
    with ThreadPoolExecutor(len(browsers)) as pool:
        pages = list(pool.map(lambda client: sign_in(client, name), browsers))
    assert [page.status_code for page in pages] == [200] * len(browsers)


@pytest.mark.parametrize(
    "form",
    [{}, {"name": "Ada"}, {"password": "x"}, {"name": "x" * 25, "password": "x"}, {"name": "\0", "password": "x"}],
)
def test_incomplete_sign_in_is_refused(client: httpx.Client, form: dict[str, str]) -> None:
    answer = client.post("/sign-in", data=form)
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


def test_guest_cannot_write_under_a_registered_name(browser: Callable[[], httpx.Client], name: str) -> None:
    sign_in(browser(), name)
    guest = browser()
    for answer in (
        guest.post("/notes", data={"author": name.lower(), "text": "forged"}),
        guest.post("/api/notes", json={"author": name, "text": "forged"}),
    ):
        assert answer.status_code == 422
        assert "belongs to somebody" in answer.text


def test_only_the_author_deletes_a_note(browser: Callable[[], httpx.Client], name: str) -> None:
    ada, guest = browser(), browser()
    sign_in(ada, name)
    notes = [ada.post("/api/notes", json={"text": "mine"}).json() for _ in range(2)]
    assert guest.delete(notes[0]["url"]).status_code == 403
    assert guest.post(f"/notes/{notes[0]['id']}/delete").status_code == 403
    assert ada.delete(notes[0]["url"]).status_code == 204
    assert ada.post(f"/notes/{notes[1]['id']}/delete").url.path == "/notes"
    assert {ada.get(note["url"]).status_code for note in notes} == {404}


def test_forged_or_garbled_session_is_ignored(browser: Callable[[], httpx.Client], server: Server, name: str) -> None:
    client = browser()
    sign_in(client, name)
    cookie = client.cookies["session"]
    forged = [
        "", "x", "..", cookie[:-1], cookie + "x", cookie.replace(".", "!", 1), "eyJuYW1lIjogIkFkYSJ9." + cookie,
        "." + cookie.partition(".")[2], "\xff\xfe", "a" * 5000, cookie.swapcase(),
    ]  # fmt: skip
    for value in forged:
        head = f"GET /notes HTTP/1.1\r\nhost: demo\r\naccept: text/html\r\nconnection: close\r\ncookie: session={value}"
        status, answer = server.exchange(head.encode("latin-1") + b"\r\n\r\n")
        assert status == 200, value
        assert b"You write as" not in answer, value
    good = f"GET /notes HTTP/1.1\r\nhost: demo\r\nconnection: close\r\ncookie: session={cookie}\r\n\r\n"
    assert b"You write as" in server.exchange(good.encode())[1]


def test_form_of_another_site_is_refused(client: httpx.Client) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = client.post("/sign-in", data={"name": "ada", "password": "x"}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
