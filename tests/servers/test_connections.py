"""Connections to the demo: kept alive, cut, slow, and hostile URLs and headers."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.serving import SECONDS_FOR_AN_ANSWER, Server, new_client

TARGETS = [
    "/notes%00", "/notes%0A", "/notes%0a1", "/notes/1%0A", "/%00", "/%0d%0ax:y", "//", "//notes", "/notes//1",
    "///files//", "/%2f", "/%2fnotes", "/files/a%2fb/c", "/files/%2f%2f", "/static/..%2f..%2fstore.py",
    "/static/../main.py", "/static/%2e%2e/main.py", "/static//etc/passwd", "/..", "/../../etc/passwd", "/%ff%fe",
    "/%ed%a0%80", "/notes/%ed%a0%80", "/files/%ed%a0%80/x", "/%c0%af", "/%", "/%zz", "/notes;a=b", "/?", "/?&&==&",
    "/notes?q=%00%ff&page=-1", "/notes?q=%ed%a0%80", "/notes?page=" + "9" * 5000, "/notes?" + "q=1&" * 2000,
    "/notes/" + "9" * 5000, "/notes/-0", "/slow/work?seconds=nan", "/slow/work?seconds=inf", "/slow/work?seconds=1e999",
    "/slow/work?seconds=-1", "/slow/work?seconds=%F0%9F%8C%8D", "/api/notes/%2e%2e/%2e%2e", "/" + "a" * 8000,
    "/" + "a/" * 4000, "/api//notes", "/api%2fnotes", "/.", "/~", "/*", "/{note_id}", "/notes/{note_id:int}",
    "/notes?q=\xff\xfe", "/api/notes?limit=\xff", "/\xff\xfe", "/chat/ws?name=\xff",
]  # fmt: skip

HEADERS = [
    b"host: ", b"host: a b", b"host: [::1", b"host: demo:notaport", b"host: demo:99999999999", b"host: \xff\xfe",
    b"host: demo/../x?y#z", b"host: <script>", b"host: demo\r\naccept: \xff", b"host: demo\r\naccept: " + b"a," * 3000,
    b"host: demo\r\ncookie: \xff=\xfe; ;;==; a=\"", b"host: demo\r\ncookie: " + b"a=b; " * 1000,
    b"host: demo\r\ncontent-type: ;;;=\xff", b"host: demo\r\nrange: bytes=\xb2-",
    b"host: demo\r\nif-none-match: \xff\"", b"host: demo\r\nif-range: \xff",
    b"host: demo\r\nx-forwarded-for: \xff", b"host: demo\r\norigin: \x80",
]  # fmt: skip


def test_connection_is_kept_for_the_next_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS_FOR_AN_ANSWER)
    connection.connect()
    first = connection.sock
    try:
        for method, path, status in [
            ("GET", "/", 200),
            ("HEAD", "/static/style.css", 200),
            ("GET", "/nowhere", 404),
            ("PATCH", "/notes/1", 405),
            ("GET", "/api/notes", 200),
            ("GET", "/slow/ping", 200),
        ]:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
            assert connection.sock is first, f"closed after {method} {path}"
    finally:
        connection.close()


def test_slow_sync_work_does_not_delay_other_requests(server: Server) -> None:
    def ask(path: str) -> httpx.Response:
        with new_client(server) as client:
            return client.get(path)

    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(ask, "/slow/work?seconds=2") for _ in range(3)]
        quick = [ask("/slow/ping").json()["thread"] for _ in range(5)]
        assert not any(work.done() for work in slow)
        done = [work.result().json() for work in slow]
    assert all(work["seconds"] >= 2 for work in done)
    assert {work["thread"] for work in done}.isdisjoint(quick)


@pytest.mark.parametrize("seconds", ["", "x", "-1", "5.1", "nan", "inf", "-inf", "1e999"])
def test_slow_work_of_no_sensible_length_is_422(client: httpx.Client, seconds: str) -> None:
    assert client.get("/slow/work", params={"seconds": seconds}).status_code == 422


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_hostile_url_is_never_a_server_error(server: Server, method: str, accept: str) -> None:
    statuses = {}  # 0: the server closed the connection, as it may if the bytes are not HTTP
    for target in TARGETS:
        head = f"{method} {target} HTTP/1.1\r\nhost: demo\r\naccept: {accept}\r\ncontent-length: 0\r\nconnection: close"
        statuses[target[:60]] = server.exchange(f"{head}\r\n\r\n".encode("latin-1"))[0]
    assert {target: status for target, status in statuses.items() if status != 0 and not 200 <= status < 500} == {}


@pytest.mark.parametrize("path", ["/", "/notes", "/static/style.css", "/api/notes", "/nowhere"])
def test_hostile_header_is_never_a_server_error(server: Server, path: str) -> None:
    statuses = {}  # 0 as above
    for lines in HEADERS:
        request = b"GET %s HTTP/1.1\r\n%s\r\nconnection: close\r\n\r\n" % (path.encode(), lines)
        statuses[lines[:60]] = server.exchange(request)[0]
    assert {lines: status for lines, status in statuses.items() if status != 0 and not 200 <= status < 500} == {}


def test_body_cut_short_does_not_stop_the_server(server: Server, client: httpx.Client) -> None:
    requests = [
        b"POST /notes HTTP/1.1\r\nhost: demo\r\ncontent-length: 1000\r\n\r\ntext=cut",
        b"POST /api/notes HTTP/1.1\r\nhost: demo\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{",
        b"PUT /files/cut HTTP/1.1\r\nhost: demo\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ]
    for request in requests:
        for how in (socket.SHUT_WR, socket.SHUT_RDWR):
            with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS_FOR_AN_ANSWER) as connection:
                connection.sendall(request)
                connection.shutdown(how)
    assert client.get("/slow/ping").status_code == 200
