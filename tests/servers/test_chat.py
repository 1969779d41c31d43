"""The demo's chat room over real websockets: several clients, refusals, and one that does not read."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.support.serving import SECONDS_FOR_AN_ANSWER, Server


class Browser:
    """One person in the room."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome = self.receive()
        assert self.welcome["type"] == "welcome"

    def receive(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.socket.recv(SECONDS_FOR_AN_ANSWER))
        return event

    def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of that kind with these fields; others are passed over."""
        while True:
            event = self.receive()
            if event["type"] == kind and fields.items() <= event.items():
                return event

    def say(self, text: str) -> None:
        self.socket.send(text)


class Visitors:
    def __init__(self, server: Server, stack: ExitStack) -> None:
        self._server, self._stack = server, stack

    def __call__(self, name: str, **options: Any) -> Browser:
        url = f"{self._server.chat_url}?name={quote(name)}"
        return Browser(self._stack.enter_context(connect(url, proxy=None, close_timeout=1, **options)))


@pytest.fixture
def enter(server: Server) -> Iterator[Visitors]:
    """Enters the room under a name; everybody leaves at the end of the test."""
    with ExitStack() as stack:
        yield Visitors(server, stack)


def unique(name: str) -> str:
    return f"{name} {uuid.uuid4().hex[:8]}"


def test_message_reaches_all_clients(enter: Visitors) -> None:
    names = [unique(name) for name in ("Ada", "Grace", "Katherine")]
    people = [enter(name) for name in names]
    assert people[0].until("join", name=names[2])["people"] == people[2].welcome["people"]
    assert set(names) <= set(people[2].welcome["people"])
    for number, person in enumerate(people):
        person.say(f"Grüße {number} \U0001f30d")
        for listener in people:
            event = listener.until("message", name=names[number])
            assert event["text"] == f"Grüße {number} \U0001f30d"
            assert event["at"] > 1_700_000_000_000


def test_leaving_is_announced_to_the_others(enter: Visitors) -> None:
    name = unique("Grace")
    ada, grace = enter(unique("Ada")), enter(name)
    assert name in ada.until("join", name=name)["people"]
    grace.socket.close()
    assert name not in ada.until("leave", name=name)["people"]


def test_connection_lost_without_a_goodbye_is_leaving_too(enter: Visitors) -> None:
    name = unique("Grace")
    ada, grace = enter(unique("Ada")), enter(name)
    grace.socket.socket.shutdown(socket.SHUT_RDWR)
    ada.until("leave", name=name)


def test_name_that_is_taken_gets_a_number(enter: Visitors) -> None:
    name = unique("Ada")
    assert enter(name).welcome["you"] == name
    assert enter(name).welcome["you"] == f"{name} 2"
    assert enter(f"  {name} ").welcome["you"] == f"{name} 3"


def test_newcomer_is_shown_the_last_messages_and_no_more(enter: Visitors) -> None:
    ada = enter(unique("Ada"))
    for number in range(60):
        ada.say(str(number))
    ada.until("message", text="59")
    history = enter(unique("Grace")).welcome["history"]
    assert [event["text"] for event in history] == [str(number) for number in range(10, 60)]


def test_message_that_cannot_be_used_is_refused_and_the_talk_goes_on(enter: Visitors) -> None:
    ada = enter(unique("Ada"))
    for text, reason in [("   ", "must not be empty"), ("x" * 501, "at most 500"), ("a\0b", "cannot be shown")]:
        ada.say(text)
        assert reason in ada.until("notice")["text"]
    ada.say("fine")
    ada.until("message", text="fine")


def test_binary_frame_ends_the_session_with_1003(enter: Visitors) -> None:
    ada = enter(unique("Ada"))
    ada.socket.send(b"\x00\x01")
    with pytest.raises(ConnectionClosed) as closed:
        ada.until("nothing")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003


@pytest.mark.parametrize(
    ("query", "origin"),
    [("", None), ("?name=", None), ("?name=%20", None), ("?name=" + "x" * 25, None), ("?name=%00", None),
     ("?name=a%0Ab", None), ("?name=Ada", "http://elsewhere.example"), ("?name=Ada", "null")],
)  # fmt: skip
def test_visitor_without_a_name_or_from_another_site_is_refused(server: Server, query: str, origin: Any) -> None:
    with pytest.raises(InvalidHandshake, match="403"), connect(server.chat_url + query, origin=origin, proxy=None):
        pass


def test_page_of_the_same_site_is_let_in(enter: Visitors, server: Server) -> None:
    assert enter(unique("Ada"), origin=server.url).welcome["you"].startswith("Ada")


def test_websocket_to_another_address_is_refused(server: Server) -> None:
    for path in ("/chat", "/chat/ws/", "/nowhere", "/"):
        url = server.url.replace("http", "ws") + path
        with pytest.raises(InvalidHandshake, match=r"403|404"), connect(url, proxy=None):
            pass


def test_plain_request_to_the_websocket_address_is_404(server: Server) -> None:
    status, _ = server.exchange(b"GET /chat/ws?name=Ada HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n")
    assert status == 404


def test_client_that_does_not_read_is_dropped_and_delays_no_other(enter: Visitors, server: Server) -> None:
    name = unique("Sloth")
    ada = enter(unique("Ada"))
    with socket.socket() as sleepy:
        sleepy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleepy.connect(("127.0.0.1", server.port))
        sleepy.sendall(
            f"GET /chat/ws?name={quote(name)} HTTP/1.1\r\nhost: demo\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        ada.until("join", name=name)
        gone = False
        for number in range(20_000):
            ada.say(f"{number} " + "\U0001f30d" * 490)
            while not gone:
                event = ada.receive()
                gone = event["type"] == "leave" and event["name"] == name
                if event["type"] == "message":
                    break
            if gone:
                break
        assert gone, "the client that does not read is still in the room"
        ada.say("still here")
        ada.until("message", text="still here")
