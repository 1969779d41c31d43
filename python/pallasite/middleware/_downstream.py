"""The application wrapped by a `BaseHTTPMiddleware`, and the channel for its messages.

The application runs in its own task: its cancel scopes, timeouts and task groups belong to a task and may outlive
those that `dispatch` opens around `call_next`. Waiting for the event loop to start a task costs 20 us or more. On
asyncio `EagerDownstream` therefore runs the new task within the current step of the middleware's task. The
application runs as far as it can, as its own task and in its own context. Only when it must wait does the event loop
take over. On trio `TaskDownstream` starts an ordinary child task. Both behave the same for the application and the
middleware.
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

# Steps run within steps, 10 Python frames each. At every 16th middleware the event loop runs the step instead, so that
# a deep stack of middleware stays far from Python's recursion limit.
_LENT_LAYERS_MAX = 16

# The running task of a loop. Before Python 3.12 the public function is written in Python, 0.4 us a call.
running_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]
if sys.version_info >= (3, 12):
    running_task = asyncio.current_task
else:  # before Python 3.12
    running_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the asyncio loop that runs the caller's task. None on trio, even if trio runs as a guest of asyncio."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if running_task(loop) is not None else None


class Downstream:
    """The rules of `deliver` (the application's `send`) and `receive`, common to both kinds.

    `deliver` returns once the middleware has taken a body chunk, and for the last chunk once the whole response has
    been sent: the application continues after it, for example with background tasks, when the response is complete.
    From then on messages are dropped and `receive` reports the disconnect.
    """

    # Class attributes as defaults: each middleware creates an instance per request.
    error: BaseException | None = None  # the application's exception, until it is raised
    ended = False
    closed = False  # the response has been sent
    complete = False  # the last message of the response has been taken
    client_is_gone = False  # and the application knows: it may end its response early
    _put = 0
    _taken = 0
    _reader: Any = None  # the event or future that `_listen` waits for
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
        """The `send` channel of the application."""
        if self.closed:
            # The message has no reader. An endless stream must not block the event loop.
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
            # Cancelled: a message that was not taken counts as not sent.
            self._queue = [other for other in self._queue if other is not message]
            raise

    async def receive(self) -> Message:
        """The `receive` channel of the application. The end of the response interrupts it."""
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
        """Return the application's next message, or None if there is none without waiting."""
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
        """Return the application's next message, or None if its response is complete or it has ended."""
        while True:
            if self.complete:
                return None
            message = self.poll()
            if message is not None or self.ended:
                return message
            await self._listen()

    async def body(self) -> AsyncGenerator[Any, None]:
        """Yield the chunks of the response; a pathsend message is yielded as it is.

        Raises:
            Exception: the application's exception, if it failed before its response was complete.
            RuntimeError: the application ended before that without an exception.
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
        """Mark the response as sent, so that the application can end."""
        self.closed = True
        for waiting in self._receiving:
            waiting.cancel()
        if not self.ended:
            self._release()

    async def join(self) -> None:
        """Wait until the application has ended."""
        while not self.ended:
            await self._listen()

    def raise_error(self) -> None:
        """Raise the error that ended the application, once."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def raise_incomplete(self) -> None:
        """Raise the reason why the response is incomplete, so that the client does not treat it as complete."""
        self.raise_error()
        if not self.client_is_gone:
            raise RuntimeError("The application ended before its response was complete.")

    def adopt_context(self) -> None:
        """Make the context variables that the application set visible in the caller's context."""
        for variable, value in self._context.items():
            if variable.get(_NOTHING) is not value:
                self._adopted = [*self._adopted, (variable, value, variable.set(value))]

    def settle_context(self) -> None:
        """Apply the application's later changes of the variables from `adopt_context` to the caller's context."""
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
                pass  # adopted in the context of another task, which awaited call_next()

    # Implemented by each kind.

    def _new_scope(self) -> anyio.CancelScope:
        raise NotImplementedError

    def _pause(self) -> Awaitable[object]:
        """Suspend the application until `_release`. It may resume earlier."""
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError

    def _listen(self) -> Awaitable[object]:
        """Suspend the middleware until `_wake_reader`."""
        raise NotImplementedError

    def _wake_reader(self) -> None:
        raise NotImplementedError


class TaskDownstream(Downstream):
    """The application in a child task of a task group, which waits for it or cancels it."""

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
    """The application in its own asyncio task, whose steps the middleware may run instead of the event loop.

    It is also the coroutine of that task: the event loop calls `send`, `throw` and `close`. A step runs early only if
    the task is ready to run and is not being cancelled. The event loop could therefore have chosen the same order of
    events.
    """

    _parked = False  # at `_park`, in `deliver` called by the application's own task
    _ready = False  # parked, and released since
    _pending: Any = _NOTHING  # yielded by the application during a step that the event loop did not run
    _is_aborting = False
    _is_lent = True
    _layer = 1  # how many of these are nested
    _idle: asyncio.Future[None] | None = None  # the future that the task waits for while parked
    _senders: list[asyncio.Future[None]] | tuple[()] = ()  # child tasks of the application that wait in `deliver`
    _task: asyncio.Task[None] | None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call the application and run its first step."""
        self._loop = loop
        self._context = context = copy_context()
        self._coroutine = self._run()
        self._task = asyncio.Task(self, loop=loop, context=context)
        host = running_task(loop)
        if host is None:
            return  # the event loop runs the step in its turn
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
        """Run the application until it suspends. The caller has entered its task and context."""
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
        self._task = None  # breaks a reference cycle
        self._wake_reader()

    def _step(self, host: asyncio.Task[Any]) -> None:
        """Run a step of the task within the step of another task, `host`."""
        loop, task = self._loop, self._task
        assert task is not None, "an application that has ended has no further step"
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

    # The coroutine protocol, called by the event loop.

    def send(self, value: None) -> Any:
        if self._pending is None:  # a bare yield: one turn of the event loop has passed
            self._pending = _NOTHING
            self._advance()
        elif self._pending is _NOTHING and not self.ended and (self._ready or not self._parked):
            self._advance()
        return self._suspend()

    def throw(self, error: Any, *_: Any) -> Any:
        pending, self._pending = self._pending, _NOTHING
        # A task forwards its cancellation to the future it waits for, but may not have received that future yet.
        passed_on = isinstance(pending, asyncio.Future) and isinstance(error, asyncio.CancelledError)
        if passed_on and pending.cancel(*error.args):
            return pending
        if not self.ended:
            self._advance(error)
        return self._suspend()

    def _suspend(self) -> Any:
        """Return the future for the task to wait for now."""
        if self.ended:
            raise StopIteration
        if self._is_aborting:
            self._cancel_unless_shielded()
        if self._parked and not self._ready:
            self._idle = idle = self._loop.create_future()
            idle._asyncio_future_blocking = True  # as `await idle` sets it
            return idle
        pending, self._pending = self._pending, _NOTHING
        return pending

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, None]:
        raise TypeError("internal: EagerDownstream cannot be awaited")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("cr_") or name in ("__name__", "__qualname__"):  # for anyio, and for printing tasks
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
        """Cancel the application and wait until it has ended.

        It is cancelled at every await, except within its own shields, as by a cancel scope. A cancel scope around
        each application would cost 4 us per middleware, and few requests would need it.
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
        """Cancel the task at its next await unless a shield is active. Must be called as the application's task."""
        with anyio.CancelScope() as probe:  # noqa: ASYNC100 (entered only to find its parents)
            around = getattr(probe, "_parent_scope", None)
        while around is not None:
            if around.shield:
                return
            around = getattr(around, "_parent_scope", None)
        # Soon, not now: the task must first know the future it is about to wait for, to cancel that too.
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
