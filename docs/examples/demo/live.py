"""Live events: every open page hears what happens in the demo, and catches up on what it missed while it was away."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import AsyncIterator

import anyio

from pallasite.exceptions import HTTPException
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Route
from pallasite.sse import EventSourceResponse, ServerSentEvent, last_event_id

from .pages import page, visitor_name

KEPT_EVENTS = 100
MOST_LISTENERS = 200
RETRY_MS = 1000


class Journal:
    """The last `KEPT_EVENTS` events, each encoded once for all who listen.

    Listeners keep their own place in it, so a slow one costs no memory: what it is too slow for, it misses.
    """

    def __init__(self) -> None:
        self.listeners = 0
        self._run = uuid.uuid4().hex[:8]  # ids of an earlier run of the server mean nothing in this one
        self._written = 0
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT_EVENTS)
        self._news = anyio.Event()

    def write(self, kind: str, **fields: object) -> None:
        """Tell all listeners; `kind` and `fields` are what `live.js` makes a sentence of."""
        self._written += 1
        data = {"listeners": self.listeners, "at": round(time.time() * 1000), **fields}
        event = ServerSentEvent(data, event=kind, id=f"{self._run}-{self._written}")
        self._kept.append((self._written, event.encode()))
        self._news.set()
        self._news = anyio.Event()

    def place_of(self, event_id: str) -> int:
        """How many events were written up to the one with that id; up to now if there is none."""
        run, _, number = event_id.partition("-")
        if run != self._run or not (number.isascii() and number.isdigit()) or len(number) > 15:
            return self._written
        return min(int(number), self._written)

    async def listen(self, last_id: str | None) -> AsyncIterator[bytes]:
        """What is written from now on; first what came after the event with that id, as far as it is kept."""
        seen = self.place_of(last_id or "")
        self.listeners += 1
        try:
            yield ServerSentEvent(retry=RETRY_MS).encode()
            self.write("join")
            while True:
                news = self._news
                for position, block in tuple(self._kept):
                    if position > seen:
                        seen = position
                        yield block
                await news.wait()
        finally:
            self.listeners -= 1
            self.write("leave")


journal = Journal()


async def show_live(request: Request) -> Response:
    return page(request, "live.html")


async def events(request: Request) -> Response:
    if journal.listeners >= MOST_LISTENERS:
        raise HTTPException(503, "Too many are listening already.")
    return EventSourceResponse(
        journal.listen(last_event_id(request)), farewell=ServerSentEvent(comment="the server stops")
    )


async def wave(request: Request) -> Response:
    journal.write("wave", name=visitor_name(request) or "Somebody")
    return Response(status_code=204)


routes = [
    Route("/live", show_live, name="live"),
    Route("/live/events", events, name="live_events"),
    Route("/live/wave", wave, methods=["POST"], name="live_wave"),
]
