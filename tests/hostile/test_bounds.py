"""The promised bounds, measured in the server process: short steps of the event loop, memory by the size of the body.

A step is one callback of the event loop, in seconds of its thread's CPU time, so that a busy machine adds little. The
promise is 50 ms for each MB of input. Memory is the peak of what the process has resident beyond what it had before.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.serving import Server

from .clients import LAST, MULTIPART, URLENCODED, Site, Wire, file_part, get, multipart, post, statuses
from .leaks import counts

MB = 1_000_000
MOST_STEP_MS_A_MB = 50.0
MOST_TIMES = 4
# Memory that does not grow with the body: code that runs for the first time, worker threads, the server's buffers.
SLACK_BYTES = 12 * MB


def form_of_tiny_parts(count: int) -> bytes:
    return multipart(*[b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n'] * count)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


JSON = "content-type: application/json\r\n"

#: Path, body, head: and the statuses that may come back. Each body is well-formed as far as it goes, and unpleasant.
BODIES: dict[str, tuple[str, Callable[[], bytes], str, set[int]]] = {
    "10^5 tiny parts": ("/form", lambda: form_of_tiny_parts(100_000), MULTIPART, {400}),
    "10^5 tiny parts, allowed": ("/large-form", lambda: form_of_tiny_parts(100_000), MULTIPART, {200}),
    "one long part": ("/form", lambda: multipart(file_part(bytes(8 * MB))), MULTIPART, {200}),
    "one part of line ends": ("/form", lambda: multipart(file_part(b"\r\n" * (4 * MB))), MULTIPART, {200}),
    "one part of almost boundaries": ("/form", lambda: multipart(file_part(b"\r\n--" * (2 * MB))), MULTIPART, {200}),
    "one field too long": (
        "/form",
        lambda: multipart(file_part(bytes(4 * MB)).replace(b'; filename="a.bin"', b"")),
        MULTIPART,
        {400},
    ),
    "no boundary at all": ("/form", lambda: b"x" * (8 * MB), MULTIPART, {400}),
    "10^6 ampersands": ("/form", lambda: b"&" * 10**6, URLENCODED, {200}),
    "10^6 fields": ("/form", lambda: b"a&" * 10**6, URLENCODED, {400}),
    "one field of percent signs": ("/form", lambda: b"a=" + b"%25" * 10**6, URLENCODED, {200, 400}),
    "one field of half escapes": ("/form", lambda: b"%" * (4 * MB), URLENCODED, {200, 400}),
    "nested JSON": ("/json", lambda: nested(2 * MB), JSON, {400}),
    "JSON of one string": ("/json", lambda: b'"' + b"x" * (8 * MB) + b'"', JSON, {200}),
    "JSON of escapes": ("/json", lambda: b'"' + b"\\u0041" * MB + b'"', JSON, {200}),
    "JSON of one number": ("/json", lambda: b"1" * (2 * MB), JSON, {400}),
    "JSON cut short": ("/json", lambda: b'["' + b"x" * (8 * MB), JSON, {400}),
    "any body": ("/body", lambda: bytes(16 * MB), "", {200}),
    "upload": ("/upload", lambda: bytes(16 * MB), "", {200}),
}

#: Heads as large as servers accept (64 KB). Requests that a server itself rejects are not measured.
HEADS: dict[str, str] = {
    "cookies": f"cookie: {'a=b; ' * 12_000}\r\n",
    "cookies of quotes": "cookie: " + 'a="\\"; ' * 8_000 + "\r\n",
    "headers": "x: y\r\n" * 90,
    "one long header": f"x: {'y' * 60_000}\r\n",
    "forwarded host": f"host: {'a.' * 20_000}\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_large_body_takes_short_steps_and_memory_by_its_size(server: Server, site: Site, name: str) -> None:
    path, make, lines, expected = BODIES[name]
    content = make()
    before = counts(server, reset=True)
    with Wire(site.port) as wire:
        method = "PUT" if path == "/upload" else "POST"
        wire.send(post(site.body.replace("/body", path), content, lines + LAST, method=method))
        answer = wire.read_all()
    # A server that rejects a body early may close the connection, and the response is lost (none).
    assert set(statuses(answer)) <= expected
    check_bounds(server, before["rss_kb"], len(content))


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("query", ["", "?" + "a=b&" * 15_000, "?" + "%" * 60_000], ids=["plain", "many", "percent"])
def test_large_head_takes_short_steps_and_bounded_memory(server: Server, site: Site, name: str, query: str) -> None:
    before = counts(server, reset=True)
    with Wire(site.port) as wire:
        wire.send(get(site.page.replace("/page", "/told") + query, LAST + HEADS[name]))
        answer = wire.read_all()
    assert all(status < 500 for status in statuses(answer))
    if statuses(answer) == [200]:
        assert len(json.loads(answer[answer.index(b"\r\n\r\n") + 4 :])) == 4
    check_bounds(server, before["rss_kb"], len(HEADS[name]) + len(query))


def check_bounds(server: Server, kb_before: int, sent_bytes: int) -> None:
    after = counts(server)
    assert after["longest_step_ms"] <= MOST_STEP_MS_A_MB * max(1.0, sent_bytes / MB)
    grown = (after["peak_kb"] - kb_before) * 1024
    assert grown <= MOST_TIMES * sent_bytes + SLACK_BYTES, f"{grown / sent_bytes:.1f} times the body"
