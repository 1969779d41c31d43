"""Bodies in chunks of one byte, sent to a running application, and how they are parsed."""

from __future__ import annotations

import hashlib
import json

from .clients import LAST, MULTIPART, URLENCODED, Site, Wire, chunked, file_part, get, multipart, post, statuses

CONTENT = b"a=b&c=%64;" * 40


def test_each_byte_of_a_stream_comes_back_before_the_next_is_sent(site: Site) -> None:
    with Wire(site.port) as wire:
        wire.send(chunked(site.body.replace("/body", "/echo"), b"")[: -len(b"0\r\n\r\n")])
        for number in range(200):
            byte = b"%c" % (ord("a") + number % 26)
            wire.send(b"1\r\n" + byte + b"\r\n")
            assert wire.read_until(b"\r\n" + byte + b"\r\n").endswith(byte + b"\r\n")
        wire.send(b"0\r\n\r\n")
        assert wire.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"


def test_body_bytewise_is_the_body(site: Site) -> None:
    expected = {"length": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    for request in (chunked(site.body, CONTENT, LAST), post(site.body, CONTENT, LAST)):
        with Wire(site.port) as wire:
            wire.send_bytewise(request)
            assert document(wire.read_all()) == expected


def test_form_bytewise_is_the_form(site: Site) -> None:
    field = b'--b\r\ncontent-disposition: form-data; name="f"\r\n\r\nvalue\r\n'
    for content, kind, count in ((multipart(file_part(b"x"), field), MULTIPART, 2), (b"a=b&c=d&e", URLENCODED, 3)):
        with Wire(site.port) as wire:
            wire.send_bytewise(chunked(site.form, content, kind + LAST))
            assert document(wire.read_all()) == {"fields": count}


def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    lengths = list(range(1, 31))
    requests = [post(site.body, b"x" * length) for length in lengths]
    with Wire(site.port) as wire:
        wire.send(b"".join(requests) + get(site.body.replace("/body", "/ping"), LAST))
        answer = wire.read_all()
    assert statuses(answer) == [200] * 31
    assert [int(piece.partition(b",")[0]) for piece in answer.split(b'{"length":')[1:]] == lengths


def document(answer: bytes) -> object:
    assert statuses(answer) == [200], answer
    return json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
