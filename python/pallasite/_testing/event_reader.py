"""Reads an event stream as a browser does. Source: WHATWG HTML section 9.2.6."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from pallasite.sse import ServerSentEvent

__all__ = ["EventReader"]


class EventReader:
    """Turns bytes into events. Comments and incomplete events are left out."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._is_first = True
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that the bytes complete."""
        self._text += self._decoder.decode(chunk)
        if self._is_first and self._text:
            self._is_first = False
            self._text = self._text.removeprefix("\ufeff")
        while True:
            line, end, rest = self._next_line()
            if not end:
                return
            self._text = rest
            event = self._read(line)
            if event is not None:
                yield event

    def _next_line(self) -> tuple[str, str, str]:
        places = [place for place in (self._text.find("\r"), self._text.find("\n")) if place >= 0]
        if not places:
            return self._text, "", ""
        place = min(places)
        end = "\r\n" if self._text.startswith("\r\n", place) else self._text[place]
        if end == "\r" and place + 1 == len(self._text):
            return self._text, "", ""  # a line feed may follow
        return self._text[:place], end, self._text[place + len(end) :]

    def _read(self, line: str) -> ServerSentEvent | None:
        if not line:
            data, event, self._data, self._event = self._data, self._event, [], ""
            if not data:
                return None
            return ServerSentEvent(
                "\n".join(data), event=event or None, id=self.last_event_id or None, retry=self.retry
            )
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_event_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None
