"""Probes for load balancers and orchestrators: is the process alive, and is it ready for requests?

Source: Kubernetes' semantics of liveness and readiness probes.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from anyio import to_thread

from pallasite._http import scope_keys
from pallasite._runtime.seconds import check_seconds
from pallasite._utils import get_route_path, is_async_callable
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.types import ASGIApp, Receive, Scope, Send

__all__ = ["Health"]

_logger = logging.getLogger(__name__)

Check = Callable[[], Any]  # may be a coroutine function


class Health:
    """Middleware that answers the probes of load balancers and orchestrators.

    ``/livez`` is answered with 200 as long as the event loop runs. ``/readyz`` is answered with 200 if all checks pass,
    and otherwise with 503, as it is from the moment the application is draining (see `shutdown.Drain`). Clients with a
    private or loopback address are told which checks failed. Logs, metrics and limits leave both paths alone.

    Args:
        liveness: the path of the first probe. None leaves it out.
        readiness: the path of the second. None leaves it out.
        checks: functions by name. A check passes unless it returns False, raises an exception or takes too long. Those
            that are no coroutine functions run in worker threads.
        timeout: seconds that a check may take.
        cache: seconds for which a result is used again. Requests that arrive while the checks run share their result.

    Raises:
        ValueError: a path does not start with a slash, both are the same, or a number of seconds is not valid.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        liveness: str | None = "/livez",
        readiness: str | None = "/readyz",
        checks: Mapping[str, Check] | None = None,
        timeout: float = 2.0,
        cache: float = 1.0,
    ) -> None:
        for path in (liveness, readiness):
            if path is not None and not path.startswith("/"):
                raise ValueError(f"a path must start with a slash: {path!r}")
        if liveness == readiness:
            raise ValueError(f"liveness and readiness need different paths, not twice {liveness!r}")
        check_seconds("timeout", timeout)
        if cache < 0:
            raise ValueError(f"cache must be a number of seconds, 0 or more, not {cache!r}")
        self.app = app
        self.liveness = liveness
        self.readiness = readiness
        self.timeout = timeout
        self._checks = _Checks(dict(checks or {}), timeout, cache)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = get_route_path(scope)
        if path is None or path not in (self.liveness, self.readiness):
            await self.app(scope, receive, send)
            return
        scope[scope_keys.EXEMPT] = True
        if scope["method"] not in ("GET", "HEAD"):
            response: Response = PlainTextResponse("Method Not Allowed", 405, {"allow": "GET, HEAD"})
        elif path == self.liveness:
            response = PlainTextResponse("ok")
        else:
            response = await self._readiness(scope)
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def _readiness(self, scope: Scope) -> Response:
        draining = getattr(scope.get("app"), "draining", None)
        failed = ["draining"] if draining is not None and draining.is_set() else await self._checks.failed()
        if not failed:
            return JSONResponse({"status": "pass"})
        document: dict[str, Any] = {"status": "fail"}
        if _is_private(scope.get("client")):
            document["failed"] = failed
        return JSONResponse(document, 503)


class _Checks:
    """The checks, and their last result."""

    def __init__(self, checks: dict[str, Check], timeout: float, cache: float) -> None:
        self._checks = checks
        self._timeout = timeout
        self._cache = cache
        self._failed: list[str] = []
        self._valid_until = float("-inf")
        self._running: anyio.Event | None = None

    async def failed(self) -> list[str]:
        """Return the names of the checks that fail, in order. Runs them unless a result is known or on its way."""
        while self._running is not None:
            await self._running.wait()
        if self._checks and anyio.current_time() >= self._valid_until:
            self._running = running = anyio.Event()
            try:
                await self._run()
            finally:
                self._running = None
                running.set()
        return self._failed

    async def _run(self) -> None:
        failed: set[str] = set()
        async with anyio.create_task_group() as group:
            for name, check in self._checks.items():
                group.start_soon(self._run_one, name, check, failed)
        self._failed = [name for name in self._checks if name in failed]
        self._valid_until = anyio.current_time() + self._cache

    async def _run_one(self, name: str, check: Check, failed: set[str]) -> None:
        reason = f"no result within {self._timeout} s"
        failed.add(name)
        with anyio.move_on_after(self._timeout):
            try:
                if is_async_callable(check):
                    result = await check()
                else:
                    result = await to_thread.run_sync(check, abandon_on_cancel=True)
            except Exception as error:
                reason = repr(error)
            else:
                reason = "it returned False"
                if result is not False:
                    failed.discard(name)
        if name in failed:
            _logger.warning("The check %r failed: %s", name, reason)


def _is_private(client: Any) -> bool:
    """Return True for loopback and private addresses, and for peers without an address, as on a Unix socket."""
    if client is None:
        return True
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    return address.is_private or address.is_loopback
