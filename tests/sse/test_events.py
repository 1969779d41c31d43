"""Server-Sent Events: the text of an event."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite.sse import ServerSentEvent


def parse(stream: str) -> list[dict[str, str]]:
    """The events that a browser would see: section 9.2.6 of the HTML standard, written down slowly."""
    events: list[dict[str, str]] = []
    data: list[str] = []
    name = last_id = ""
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if line == "":
            if data:
                events.append({"data": "\n".join(data), "type": name or "message", "id": last_id})
            data, name = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ServerSentEvent("hi"), "data: hi\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a\n"), "data: a\ndata: \n\n"),
        (ServerSentEvent("a\n\rb"), "data: a\ndata: \ndata: b\n\n"),
        (ServerSentEvent(" a: b"), "data:  a: b\n\n"),
        (ServerSentEvent("a\x0bb\x85c\u2028d"), "data: a\x0bb\x85c\u2028d\n\n"),
        (ServerSentEvent({"é": [1, None]}), 'data: {"é":[1,null]}\n\n'),
        (ServerSentEvent(0), "data: 0\n\n"),
        (ServerSentEvent(False), "data: false\n\n"),
        (ServerSentEvent(), "\n"),
        (ServerSentEvent(comment="a\r\nb"), ": a\n: b\n\n"),
        (ServerSentEvent(retry=0), "retry: 0\n\n"),
        (ServerSentEvent(id=""), "id: \n\n"),
        (
            ServerSentEvent("x", event="tick", id=7, retry=2500, comment="c"),
            ": c\nevent: tick\nid: 7\nretry: 2500\ndata: x\n\n",
        ),
    ],
)
def test_event_is_written_as_the_standard_requires(event: ServerSentEvent, expected: str) -> None:
    assert event.encode() == expected.encode()


@pytest.mark.parametrize("field", ["id", "event"])
@pytest.mark.parametrize("value", ["\n", "a\rb", "a\0", "x\r\ndata: forged"])
def test_line_end_or_nul_in_a_one_line_field_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{field} of an event"):
        ServerSentEvent("x", **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"retry": 1.5}, {"retry": True}, {"retry": "9"}, {"event": 1}, {"comment": b""}])
def test_field_of_another_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ServerSentEvent("x", **fields)


def test_negative_retry_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more, got -1"):
        ServerSentEvent(retry=-1)


def test_event_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServerSentEvent("x").data = "y"  # type: ignore[misc]


_LINES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | _LINES,
    st.none() | _LINES,
    st.none() | st.text("a\r\n"),
)
def test_any_event_is_read_back_as_one_event(
    data: str, name: str | None, event_id: str | None, comment: str | None
) -> None:
    encoded = ServerSentEvent(data, event=name, id=event_id, comment=comment).encode().decode()
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    assert parse(encoded) == [{"data": lines, "type": name or "message", "id": event_id or ""}]
