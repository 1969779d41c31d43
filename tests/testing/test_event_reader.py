"""Event streams are read as browsers read them."""

from __future__ import annotations

import pytest

from pallasite._testing.event_reader import EventReader


@pytest.mark.parametrize("cut", range(1, 40))
def test_event_stream_is_read_as_the_standard_says(cut: int) -> None:
    text = "\ufeffdata: a\r\ndata:b\rdata\n\nretry: 7\nid: 1\nevent: e\ndata: \u00e4\n\n"
    encoded = (text + ": no\nretry: x\nid: \0\nfoo: bar\n\ndata: cut").encode()
    reader = EventReader()
    found = [event for part in (encoded[:cut], encoded[cut:]) for event in reader.feed(part)]
    assert [(event.data, event.event, event.id, event.retry) for event in found] == [
        ("a\nb\n", None, None, None),
        ("\u00e4", "e", "1", 7),
    ]
