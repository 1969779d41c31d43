"""Detect that the client disconnected while a response is being sent, on servers of every ASGI version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import lru_cache
from typing import Any

import anyio
import anyio.lowlevel

from pallasite._http import scope_keys
from pallasite._utils import create_collapsing_task_group
from pallasite.types import Message, Receive, Scope, Send

# From this spec version on, `send` raises OSError once the client is gone. Source: ASGI's HTTP spec, version 2.4.
_SEND_RAISES = (2, 4)

# A `receive` that returns the end of the body this often is a replay, which never reports a disconnect.
_MAX_BODY_ENDS = 16

# How long a body that was broken off may clean up.
CLEAN_UP_SECONDS = 5.0


def reports_disconnect_on_send(scope: Scope) -> bool:
    """Return True if the server's `send` fails after a disconnect, so that listening for one is unnecessary."""
    return _version(scope.get("asgi", {}).get("spec_version", "2.0")) >= _SEND_RAISES


@lru_cache(maxsize=16)
def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected. Other messages are dropped.

    A middleware may replay the body with a `receive` that returns it each time without waiting. Every message therefore
    lets other tasks run, and after `_MAX_BODY_ENDS` ends of the body this waits until it is cancelled.
    """
    ends = 0
    while ends < _MAX_BODY_ENDS:
        message = await receive()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            return
        if message["type"] == "http.request" and not message.get("more_body", False):
            ends += 1
        await anyio.lowlevel.checkpoint()
    await anyio.sleep_forever()


class Gone(Exception):
    """Raised by `send` in place of the server's OSError, which could not be told from one of the application."""


def raises_disconnect(send: Send) -> Send:
    """Return a `send` that raises `Gone`, for a server whose own raises OSError once the client is gone."""

    async def send_while_connected(message: Message) -> None:
        try:
            await send(message)
        except OSError as error:
            raise Gone from error

    return send_while_connected


async def close_body(body: object) -> None:
    """Close the iterator of a body that was broken off, if it can be closed. It has a few seconds to clean up.

    Called by the task that iterated, so that context variables are reset where they were set.
    """
    close = getattr(body, "aclose", None)
    if close is not None:
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await close()


async def run_until_disconnect(
    sending: Coroutine[Any, Any, None], listen: Callable[[Receive], Awaitable[None]], receive: Receive, scope: Scope
) -> None:
    """Await `sending`, and cancel it as soon as `listen(receive)` returns.

    The listener is a task (50 us). It is started only when `sending` first waits: until then the event loop cannot
    learn of a disconnect, and a short response is often sent without waiting at all.

    The listener is not started while the response reads the request's body: it would consume body messages, and the
    reader sees the disconnect itself.
    """

    listening = False

    def start_listening() -> bool:
        nonlocal listening
        if not scope.get(scope_keys.READS_BODY):
            listening = True
            group.start_soon(stop_when_gone)
        return listening

    async def stop_when_gone() -> None:
        await listen(receive)
        group.cancel_scope.cancel()

    try:
        async with create_collapsing_task_group() as group:
            await Noticed(sending, start_listening)
            if listening:
                group.cancel_scope.cancel()
    finally:
        sending.close()


class Noticed:
    """Awaits a coroutine and calls `on_wait` each time it is about to wait, until `on_wait` returns True."""

    __slots__ = ("coroutine", "on_wait")

    def __init__(self, coroutine: Coroutine[Any, Any, None], on_wait: Callable[[], bool]) -> None:
        self.coroutine = coroutine
        self.on_wait = on_wait

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine = self.coroutine
        try:
            waits_for = coroutine.send(None)
        except StopIteration:
            return
        settled = self.on_wait()
        # From here on, do what `yield from coroutine` does: pass on the value or exception that comes back.
        while True:
            failure: BaseException | None = None
            value = None
            try:
                value = yield waits_for
            except BaseException as error:
                failure = error
            try:
                waits_for = coroutine.send(value) if failure is None else coroutine.throw(failure)
            except StopIteration:
                return
            settled = settled or self.on_wait()
