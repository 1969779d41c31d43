"""An application running below a `BaseHTTPMiddleware`, and the channel its messages come up through.

The application has a task of its own, because whatever it opens (cancel scopes, timeouts, task groups) belongs to a
task and may outlive what `dispatch` opens around `call_next`. A task that has to wait for the event loop to start it
costs 20 us and more, so on asyncio `EagerDownstream` lends it the running step instead: the application goes as far as
it can at once, under its own task and context, and only what really has to wait goes through the event loop. On trio
`TaskDownstream` starts an ordinary child task. What the two sides see is the same.
"""

from __future__ import annotations

import asyncio
import sys
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar, Token, copy_context
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from pallasite.types import ASGIApp, Message, Receive, Scope

_NOTHING: Any = object()
_PARKED: Any = object()

# Steps are lent within lent steps, 10 Python frames each. The event loop takes those of each 16th layer, so that a deep
# stack of middleware stays far from Python's recursion limit.
_LENT_LAYERS_MAX = 16

# The running task of a loop. Before Python 3.12 the public function is written in Python, 0.4 us a call.
running_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]
if sys.version_info >= (3, 12):
    running_task = asyncio.current_task
else:  # before Python 3.12
    running_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The asyncio loop that runs the caller's task; None on trio, be it a guest of asyncio's loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if running_task(loop) is not None else None


class Downstream:
    """What both kinds share: the rules of `deliver` (the application's `send`) and `receive`.

    A body chunk's `deliver` returns when the chunk has been taken, the last one's when the whole response has been
    sent: what an application does after it, such as background tasks, comes after the response. From then on
    messages are dropped and `receive` reports the disconnect.
    """

    # Defaults live here: a layer makes one of these for each request.
    error: BaseException | None = None  # what ended the application, until somebody is told
    ended = False
    closed = False  # the response has been sent
    complete = False  # the last message of the response has been taken
    client_is_gone = False  # the application knows: it may end its response early
    _put = 0
    _taken = 0
    _reader: Any = None  # what `_listen` waits for
    _adopted: list[tuple[ContextVar[Any], Any, Token[Any]]] | tuple[()] = ()
    _context: Context

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._queue: list[Message] = []
        self._receiving: list[anyio.CancelScope] = []

    # The application's side.

    async def deliver(self, message: Message) -> None:
        """The `send` of the application."""
        if self.closed:
            # Nobody is listening any more. An endless stream must not keep the event loop from the others.
            await anyio.lowlevel.checkpoint()
            return
        self._queue.append(message)
        self._put = number = self._put + 1
        if self._reader is not None:
            self._wake_reader()
        kind = message["type"]
        if kind == "http.response.start":
            return
        last = kind == "http.response.pathsend" or (
            kind == "http.response.body" and not message.get("more_body", False)
        )
        try:
            while not self.closed and (last or self._taken < number):
                await self._pause()
        except BaseException:
            # Cancelled: a message that nobody has taken has not been sent.
            self._queue = [other for other in self._queue if other is not message]
            raise

    async def receive(self) -> Message:
        """The `receive` of the application; the end of the response interrupts it."""
        if not self.closed:
            waiting = self._new_scope()
            self._receiving.append(waiting)
            try:
                with waiting:
                    message = await self._receive()
            finally:
                self._receiving.remove(waiting)
            if not self.closed:
                if message["type"] == "http.disconnect":
                    self.client_is_gone = True
                return message
        return {"type": "http.disconnect"}

    # The middleware's side.

    def poll(self) -> Message | None:
        """The application's next message, if it comes without waiting."""
        if not self._queue:
            return None
        message = self._queue.pop(0)
        self._taken += 1
        kind = message["type"]
        if kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body", False)):
            self.complete = True
        elif kind != "http.response.start":
            self._release()
        return message

    async def next(self) -> Message | None:
        """The application's next message; None after the last one of its response, or when it has ended."""
        while True:
            if self.complete:
                return None
            message = self.poll()
            if message is not None or self.ended:
                return message
            await self._listen()

    async def body(self) -> AsyncGenerator[Any, None]:
        """The chunks of the response; a pathsend message stands for itself.

        Raises:
            Exception: the application's own, where it failed before its response was complete.
            RuntimeError: it ended before that without an exception.
        """
        while (message := self.poll() or await self.next()) is not None:
            if message["type"] == "http.response.pathsend":
                yield message
                return
            assert message["type"] == "http.response.body", f"Unexpected message: {message}"
            if chunk := message.get("body", b""):
                yield chunk
            if self.complete:
                return
        self.raise_incomplete()

    def finish(self) -> None:
        """Says that the whole response has been sent: the application may come to its end."""
        self.closed = True
        for waiting in self._receiving:
            waiting.cancel()
        if not self.ended:
            self._release()

    async def join(self) -> None:
        """Waits for the application's end."""
        while not self.ended:
            await self._listen()

    def raise_error(self) -> None:
        """Raises the error that ended the application, once."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def raise_incomplete(self) -> None:
        """Raises what kept the response from being completed, so that the client does not take it for a whole one."""
        self.raise_error()
        if not self.client_is_gone:
            raise RuntimeError("The application ended before its response was complete.")

    def adopt_context(self) -> None:
        """Makes the context variables that the application set visible in the caller's context."""
        for variable, value in self._context.items():
            if variable.get(_NOTHING) is not value:
                self._adopted = [*self._adopted, (variable, value, variable.set(value))]

    def settle_context(self) -> None:
        """Lets variables that the application has reset since `adopt_context` be reset in the caller's context too."""
        for variable, value, token in self._adopted:
            now = self._context.get(variable, _NOTHING)
            if now is value or variable.get(_NOTHING) is not value:
                continue
            if now is not _NOTHING:
                variable.set(now)
                continue
            try:
                variable.reset(token)
            except ValueError:
                pass  # adopted in the context of another task, by a call_next() that was awaited there

    # What the kinds do differently.

    def _new_scope(self) -> anyio.CancelScope:
        raise NotImplementedError

    def _pause(self) -> Awaitable[object]:
        """Suspends the application until `_release`, or a little less."""
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError

    def _listen(self) -> Awaitable[object]:
        """Suspends the middleware until `_wake_reader`."""
        raise NotImplementedError

    def _wake_reader(self) -> None:
        raise NotImplementedError


class TaskDownstream(Downstream):
    """The application in a child task of `task_group`, which ends or cancels it."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        super().__init__(app, scope, receive)
        self._released = anyio.Event()

    def start(self, task_group: anyio.abc.TaskGroup) -> None:
        self._context = copy_context()
        task_group.start_soon(self._run)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self.receive, self.deliver)
        except Exception as error:
            self.error = error
        finally:
            self.ended = True
            self._context = copy_context()
            self._wake_reader()

    async def deliver(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._context = copy_context()
        await super().deliver(message)

    def _new_scope(self) -> anyio.CancelScope:
        return anyio.CancelScope()

    def _pause(self) -> Awaitable[object]:
        return self._released.wait()

    def _release(self) -> None:
        self._released.set()
        self._released = anyio.Event()

    def _listen(self) -> Awaitable[object]:
        self._reader = reader = anyio.Event()
        return reader.wait()

    def _wake_reader(self) -> None:
        if self._reader is not None:
            self._reader.set()


@types.coroutine
def _park() -> Generator[Any, None, None]:
    yield _PARKED  # reaches EagerDownstream._advance, never the event loop


class EagerDownstream(Downstream, Coroutine[Any, None, None]):
    """The application in an asyncio task of its own whose steps the middleware may take in the event loop's stead.

    It is its task's coroutine, too: `send`, `throw` and `close` are what the event loop calls. A step is taken early
    only when the task is ready to run and no cancellation is on its way to it, so every order of events that comes
    about is one that the event loop could have chosen.
    """

    _parked = False  # at `_park`, in the application's own `deliver`
    _ready = False  # parked, and what it waited for has come about
    _pending: Any = _NOTHING  # what the application yielded when the event loop was not there to take it
    _is_aborting = False
    _is_lent = True
    _layer = 1  # how many of these are around each other
    _idle: asyncio.Future[None] | None = None  # what the task waits for while parked
    _senders: list[asyncio.Future[None]] | tuple[()] = ()  # child tasks of the application that wait in `deliver`
    _task: asyncio.Task[None] | None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Calls the application and takes its first step."""
        self._loop = loop
        self._context = context = copy_context()
        self._coroutine = self._run()
        self._task = asyncio.Task(self, loop=loop, context=context)
        host = running_task(loop)
        if host is None:
            return  # the event loop takes the step, when it comes to it
        around = host.get_coro()
        if type(around) is EagerDownstream:
            self._layer = around._layer + 1
            if self._layer % _LENT_LAYERS_MAX == 0:
                self._is_lent = False
                return
        self._step(host)

    async def _run(self) -> None:
        await self._app(self._scope, self.receive, self.deliver)

    # Steps.

    def _advance(self, error: BaseException | None = None) -> None:
        """Runs the application until it suspends, as its own task and in its own context."""
        self._parked = self._ready = False
        try:
            yielded = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration:
            self._end()
        except BaseException as raised:
            self.error = raised
            self._end()
            if not isinstance(raised, (Exception, asyncio.CancelledError)):
                raise
        else:
            if yielded is _PARKED:
                self._parked = True
            else:
                self._pending = yielded

    def _end(self) -> None:
        self.ended = True
        self._task = None  # a reference in a circle
        self._wake_reader()

    def _step(self, host: asyncio.Task[Any]) -> None:
        """Takes a step of the task within the step of another one, `host`."""
        loop, task = self._loop, self._task
        assert task is not None, "an application that has ended takes no step"
        _leave_task(loop, host)
        _enter_task(loop, task)
        try:
            self._context.run(self._advance)
        finally:
            _leave_task(loop, task)
            _enter_task(loop, host)
        if self._idle is not None and not self._parked:
            self._wake_task()

    def _step_while_ready(self) -> None:
        while self._ready and self._is_lent and not self._queue:
            host, task = running_task(self._loop), self._task
            if host is None or task is None or task.cancelling():
                return
            self._step(host)

    def _wake_task(self) -> None:
        idle = self._idle
        if idle is not None and not idle.done():
            idle.set_result(None)

    # The coroutine that the event loop sees.

    def send(self, value: None) -> Any:
        if self._pending is None:  # a bare yield: its turn of the event loop has passed
            self._pending = _NOTHING
            self._advance()
        elif self._pending is _NOTHING and not self.ended and (self._ready or not self._parked):
            self._advance()
        return self._suspend()

    def throw(self, error: Any, *_: Any) -> Any:
        pending, self._pending = self._pending, _NOTHING
        # A task passes its cancellation on to what it waits for; this one may not have seen it yet.
        passed_on = isinstance(pending, asyncio.Future) and isinstance(error, asyncio.CancelledError)
        if passed_on and pending.cancel(*error.args):
            return pending
        if not self.ended:
            self._advance(error)
        return self._suspend()

    def _suspend(self) -> Any:
        """What the task shall wait for now."""
        if self.ended:
            raise StopIteration
        if self._is_aborting:
            self._cancel_unless_shielded()
        if self._parked and not self._ready:
            self._idle = idle = self._loop.create_future()
            idle._asyncio_future_blocking = True  # what `await idle` would set
            return idle
        pending, self._pending = self._pending, _NOTHING
        return pending

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, None]:
        raise TypeError("this coroutine belongs to its task")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("cr_") or name in ("__name__", "__qualname__"):  # for anyio and for whoever prints tasks
            return getattr(self._coroutine, name)
        raise AttributeError(name)

    # The channel.

    def poll(self) -> Message | None:
        if self._ready and not self._queue:
            self._step_while_ready()
        return super().poll()

    def finish(self) -> None:
        super().finish()
        if self._ready:
            self._step_while_ready()

    async def abort(self) -> None:
        """Cancels the application and waits for its end.

        As a cancel scope does it: at every await until it ends, except within a shield of its own. A cancel scope
        around each application would cost 4 us a layer, and be needed by few requests.
        """
        host, task = running_task(self._loop), self._task
        if host is None or task is None:
            return
        self._is_aborting = True
        _leave_task(self._loop, host)
        _enter_task(self._loop, task)
        try:
            self._cancel_unless_shielded()
        finally:
            _leave_task(self._loop, task)
            _enter_task(self._loop, host)
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not self.ended:
                try:
                    await self._listen()
                except asyncio.CancelledError as raised:
                    cancelled = raised
        if cancelled is not None:
            raise cancelled

    def _cancel_unless_shielded(self) -> None:
        """To be called as the application's task."""
        with anyio.CancelScope() as probe:  # noqa: ASYNC100 (it is entered for where it stands)
            around = getattr(probe, "_parent_scope", None)
        while around is not None:
            if around.shield:
                return
            around = getattr(around, "_parent_scope", None)
        # Soon, not now: what the task is about to wait for has to be known to it, that it may be cancelled too.
        self._loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _new_scope(self) -> anyio.CancelScope:
        return anyio.CancelScope()

    def _pause(self) -> Awaitable[object]:
        if running_task(self._loop) is self._task:
            return _park()
        sender: asyncio.Future[None] = self._loop.create_future()
        self._senders = [*self._senders, sender]
        return sender

    def _release(self) -> None:
        if self._parked:
            self._ready = True
            self._wake_task()
        if self._senders:
            senders, self._senders = self._senders, ()
            for sender in senders:
                if not sender.done():
                    sender.set_result(None)

    def _listen(self) -> Awaitable[object]:
        reader: asyncio.Future[None] = self._loop.create_future()
        self._reader = reader
        return reader

    def _wake_reader(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)
