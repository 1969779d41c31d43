"""The chat room: one websocket a browser, everybody hears everybody, a slow browser delays nobody.

Each member has a queue with a bound. Who does not read fast enough to keep it from filling is let go, so one
sleeping laptop neither grows the memory nor holds up the room.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from .live import journal
from .pages import page
from .words import BadText, clean_text

KEPT_MESSAGES = 50
QUEUED_MESSAGES = 100
MOST_MEMBERS = 200
SECONDS_TO_CLOSE = 2
LONGEST_NAME = 24
LONGEST_MESSAGE = 500

# Close codes of RFC 6455 section 7.4.1.
UNSUPPORTED_DATA, POLICY_VIOLATION, TRY_AGAIN_LATER = 1003, 1008, 1013

Event = dict[str, Any]


@dataclass(eq=False)
class Member:
    name: str
    queue: MemoryObjectSendStream[Event]
    events: MemoryObjectReceiveStream[Event]
    session: anyio.CancelScope

    def tell(self, event: Event) -> None:
        """Queue `event`, or end the session of a member whose queue is full."""
        try:
            self.queue.send_nowait(event)
        except anyio.WouldBlock:
            self.session.cancel()


class Room:
    """Who is there and what was said last; lives in this process, so the demo runs with one worker."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.history: deque[Event] = deque(maxlen=KEPT_MESSAGES)

    def join(self, name: str) -> Member:
        """A new member called `name`, with a number behind it if the name is taken."""
        free, number = name, 2
        while free in self.members:
            free, number = f"{name} {number}", number + 1
        member = Member(free, *anyio.create_memory_object_stream[Event](QUEUED_MESSAGES), anyio.CancelScope())
        people = sorted([*self.members, free])
        self.tell({"type": "join", "name": free, "people": people})
        self.members[free] = member
        member.tell({"type": "welcome", "you": free, "people": people, "history": list(self.history)})
        journal.write("chat", name=free)
        return member

    def leave(self, member: Member) -> None:
        del self.members[member.name]
        member.queue.close()
        member.events.close()
        self.tell({"type": "leave", "name": member.name, "people": sorted(self.members)})

    def say(self, member: Member, text: str) -> None:
        event = {"type": "message", "name": member.name, "text": text, "at": round(time.time() * 1000)}
        self.history.append(event)
        self.tell(event)

    def tell(self, event: Event) -> None:
        for member in list(self.members.values()):
            member.tell(event)


room = Room()


async def show_chat(request: Request) -> Response:
    return page(request, "chat.html", longest_name=LONGEST_NAME, longest_message=LONGEST_MESSAGE)


async def chat(websocket: WebSocket) -> None:
    """`/chat/ws?name=Ada`: text frames in are messages, JSON frames out are events of the room."""
    refusal = None
    try:
        name = clean_text(websocket.query_params.get("name"), "name", LONGEST_NAME)
    except BadText as error:
        refusal = POLICY_VIOLATION, str(error)
    if not same_origin(websocket):
        refusal = POLICY_VIOLATION, "not from this site"
    elif len(room.members) >= MOST_MEMBERS:
        refusal = TRY_AGAIN_LATER, "the room is full"
    if refusal is not None:
        await websocket.close(*refusal)
        return
    await websocket.accept()
    member = room.join(name)
    close_code: int | None = TRY_AGAIN_LATER  # unless the browser ends the session, being too slow does
    try:
        with member.session:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_events, websocket, member)
                close_code = await receive_messages(websocket, member)
                tasks.cancel_scope.cancel()
    finally:
        room.leave(member)
    if close_code is not None:
        with anyio.move_on_after(SECONDS_TO_CLOSE), suppress(WebSocketDisconnect, WebSocketDisconnected):
            await websocket.close(close_code)


async def receive_messages(websocket: WebSocket, member: Member) -> int | None:
    """Say what the browser sends; returns the code to close with, None if the browser is gone."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            return UNSUPPORTED_DATA
        try:
            room.say(member, clean_text(text, "a message", LONGEST_MESSAGE, lines=True))
        except BadText as error:
            member.tell({"type": "notice", "text": str(error)})


async def send_events(websocket: WebSocket, member: Member) -> None:
    """Send what happens in the room, until the session is cancelled or the browser is gone."""
    with suppress(WebSocketDisconnect):
        async for event in member.events:
            await websocket.send_json(event)


def same_origin(websocket: WebSocket) -> bool:
    """Browsers let any site open a websocket to any other, and send this header so that the other can refuse."""
    origin = websocket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == websocket.headers.get("host")


routes = [
    Route("/chat", show_chat, name="chat"),
    WebSocketRoute("/chat/ws", chat, name="chat_socket"),
]
