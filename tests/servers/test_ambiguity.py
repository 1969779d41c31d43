"""Requests that two recipients would read differently, over sockets. Pallasite decides if a server accepts them."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.serving import Server

CLOSE = b"Connection: close\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def header_of(answer: bytes, name: bytes) -> bytes:
    match = re.search(rb"(?i)\r\n" + name + rb": ([^\r\n]*)", answer.partition(b"\r\n\r\n")[0] + b"\r\n")
    assert match is not None
    return match[1]


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/notes/", b"/notes"),
        (b"/notes/?a=//evil.example", b"/notes?a=//evil.example"),
        (b"/files/%5Cevil.example/", b"/files/%5Cevil.example"),
        (b"/files/%09%5Cevil.example%0D%0Ax/", b"/files/%09%5Cevil.example%0D%0Ax"),
    ],
)
def test_redirect_to_a_slash_less_names_no_host(server: Server, target: bytes, location: bytes) -> None:
    status, answer = server.exchange(b"GET %b HTTP/1.1\r\nHost: evil.example\r\n%b\r\n" % (target, CLOSE))
    assert status == 307
    assert header_of(answer, b"location") == location


@pytest.mark.parametrize(
    "hosts",
    [
        b"Host: evil.example\r\nHost: good.example\r\n",
        b"Host: good.example\r\nHost: good.example\r\n",
        b"Host: evil.example/good.example\r\n",
        b"Host: evil.example@good.example\r\n",
        b"Host: good.example evil.example\r\n",
        b"Host: good.example:80x\r\n",
        b"Host:\r\n",
    ],
)
def test_urls_are_built_of_no_ambiguous_host(server: Server, hosts: bytes) -> None:
    body = b'{"text": "x"}'
    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    status, answer = server.exchange(b"POST /api/notes HTTP/1.1\r\n" + hosts + length + CLOSE + b"\r\n" + body)
    if status == 201:
        url = json.loads(answer.partition(b"\r\n\r\n")[2])["url"]
        assert url.startswith(server.url + "/")
    else:  # some servers reject these themselves
        assert status == 400


@pytest.mark.parametrize(
    "headers",
    [FORM + FORM, FORM + b"Content-Type: multipart/form-data; boundary=B\r\n", b"Content-Type: text/plain\r\n" + FORM],
)
def test_form_with_two_types_is_refused(server: Server, headers: bytes) -> None:
    body = b"author=a&text=b"
    request = b"POST /notes HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(body)
    assert server.exchange(request + headers + CLOSE + b"\r\n" + body)[0] == 400


def test_body_with_two_lengths_is_refused(server: Server) -> None:
    request = b"POST /notes HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\nContent-Length: 16\r\n"
    assert server.exchange(request + FORM + CLOSE + b"\r\nauthor=a&text=b&")[0] == 400
