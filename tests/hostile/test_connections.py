"""Clients that stop midway and disconnect in every way: they leave nothing and disturb no other client."""

from __future__ import annotations

import pytest

from tests.support.serving import Server, new_client

from .clients import ENDINGS, MESSAGES, OPENINGS, Site, Wire, hold

CLIENTS = 4


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("opening", OPENINGS)
def test_clients_that_stop_midway_delay_no_other_and_leave_nothing(server: Server, site: Site, opening: str) -> None:
    wires: list[Wire] = []
    try:
        for end in ENDINGS.values():
            mine = list(hold(site, opening, CLIENTS))
            wires.extend(mine)
            with new_client(server) as client:
                assert client.get("/ping").text == "pong"
            for wire in mine:
                end(wire)
        with new_client(server) as client:
            assert client.get("/ping").text == "pong"
    finally:
        for wire in wires:
            wire.close()


@pytest.mark.usefixtures("unharmed")
def test_messages_fragmented_malformed_or_oversize_are_not_a_server_error(server: Server, site: Site) -> None:
    found: dict[str, list[int] | str] = {}
    for name, message in MESSAGES.items():
        try:
            found[name] = message.send(site)
        except TimeoutError:
            found[name] = "no answer and no end"
    wrong = {name: answer for name, answer in found.items() if isinstance(answer, str) or any(s >= 500 for s in answer)}
    assert wrong == {}
