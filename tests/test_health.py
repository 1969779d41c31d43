"""Probes: who is told what, and how often the checks run."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import anyio
import pytest

from pallasite._http import scope_keys
from pallasite.applications import Pallasite
from pallasite.health import Health
from pallasite.middleware import Middleware
from pallasite.responses import PlainTextResponse
from pallasite.routing import Mount
from pallasite.shutdown import Draining
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import STALL_SECONDS, UNUSED, ask, connect, exchange, scope_of

pytestmark = pytest.mark.anyio

PRIVATE = ("10.0.0.7", 1)
STRANGER = ("8.8.8.8", 1)


async def other(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("other")(scope, receive, send)


async def probe(app: Any, path: str = "/readyz", client: Any = PRIVATE, **scope: Any) -> tuple[int, Any]:
    messages = await exchange(app, scope_of(path, client=client, **scope))
    headers = dict(messages[0]["headers"])
    assert headers[b"cache-control"] == b"no-store"
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return messages[0]["status"], json.loads(body) if headers[b"content-type"] == b"application/json" else body


async def test_without_checks_the_application_is_alive_and_ready() -> None:
    app = Health(other)
    assert await probe(app, "/livez") == (200, b"ok")
    assert await probe(app) == (200, {"status": "pass"})
    assert (await ask(app, "/livezz")).body == (await ask(app, "/")).body == b"other"


async def test_paths_can_be_changed_and_left_out() -> None:
    app = Health(other, liveness=None, readiness="/ready")
    assert await probe(app, "/ready") == (200, {"status": "pass"})
    assert (await ask(app, "/livez")).body == b"other"
    assert (await ask(app, "/readyz")).body == b"other"


async def test_other_methods_are_refused() -> None:
    app = Health(other)
    answer = await ask(app, "/livez", method="POST")
    assert (answer.status, answer.header("allow"), answer.header("cache-control")) == (405, "GET, HEAD", "no-store")
    assert (await probe(app, "/readyz", method="HEAD"))[0] == 200


async def test_checks_run_together_and_the_failing_ones_are_named() -> None:
    threads = []
    both = anyio.Event()

    async def first() -> None:
        await both.wait()

    async def second() -> bool:
        both.set()
        return True

    async def says_no() -> bool:
        return False

    async def fails() -> None:
        raise ConnectionError("no database")

    async def hangs() -> None:
        await anyio.sleep_forever()

    def blocking() -> None:
        threads.append(threading.current_thread())

    def blocking_and_fails() -> None:
        raise OSError("full")

    checks = {
        "hangs": hangs,
        "first": first,
        "second": second,
        "says no": says_no,
        "fails": fails,
        "blocking": blocking,
        "full": blocking_and_fails,
    }
    app = Health(other, checks=checks, timeout=0.2)
    expected = ["hangs", "says no", "fails", "full"]
    assert await probe(app) == (503, {"status": "fail", "failed": expected})
    assert await probe(app, "/livez") == (200, b"ok")
    assert threads
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize(
    ("client", "told"),
    [
        (None, True),
        (("127.0.0.1", 1), True),
        (("::1", 1), True),
        (("192.168.1.1", 1), True),
        (("fd00::1", 1), True),
        (STRANGER, False),
        (("2001:4860:4860::8888", 1), False),
        (("testclient", 1), False),
    ],
)
async def test_strangers_are_not_told_which_checks_fail(client: Any, told: bool) -> None:
    app = Health(other, checks={"database": lambda: False})
    status, document = await probe(app, client=client)
    assert status == 503
    assert document == {"status": "fail"} | ({"failed": ["database"]} if told else {})


async def test_results_are_cached_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 0
    going = anyio.Event()

    async def check() -> bool:
        nonlocal runs
        runs += 1
        await going.wait()
        return runs > 1

    now = 0.0
    monkeypatch.setattr("pallasite.health.anyio.current_time", lambda: now)
    app = Health(other, checks={"check": check}, timeout=STALL_SECONDS, cache=5)
    found: list[Any] = []

    async def ask_once() -> None:
        found.append(await probe(app))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask_once)
        await anyio.wait_all_tasks_blocked()
        going.set()
    assert runs == 1
    assert [status for status, _ in found] == [503] * 20
    now = 4.9
    assert (await probe(app))[0] == 503
    now = 5.0
    assert (await probe(app))[0] == 200
    assert runs == 2


async def test_probe_that_is_cancelled_leaves_the_checks_to_the_next() -> None:
    runs = 0

    async def check() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await anyio.sleep_forever()

    app = Health(other, checks={"check": check}, timeout=STALL_SECONDS)
    with anyio.move_on_after(0.01):
        await probe(app)
    assert (await probe(app))[0] == 200


async def test_draining_application_is_not_ready_but_alive() -> None:
    async def never_called() -> None:
        raise AssertionError("checks have no say now")

    app = Pallasite(middleware=[Middleware(Health, checks={"check": never_called}, cache=60)])
    app.draining = Draining()
    app.draining.start()
    assert await probe(app) == (503, {"status": "fail", "failed": ["draining"]})
    assert await probe(app, "/livez") == (200, b"ok")


async def test_probes_are_exempt_from_logs_metrics_and_limits() -> None:
    scope = scope_of("/livez")
    await exchange(Health(other), scope)
    assert scope_keys.EXEMPT in scope
    scope = scope_of("/other")
    await exchange(Health(other), scope)
    assert scope_keys.EXEMPT not in scope


async def test_mounted_and_with_websockets() -> None:
    app = Pallasite(routes=[Mount("/api", app=Health(other))])
    assert await probe(app, "/api/livez") == (200, b"ok")
    seen = []

    async def socket(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])

    await connect(Health(socket), "/livez")
    assert seen == ["/livez"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"liveness": "livez"}, "a path must start with a slash: 'livez'"),
        ({"liveness": "/x", "readiness": "/x"}, "liveness and readiness need different paths, not twice '/x'"),
        ({"timeout": 0}, "timeout must be a positive number of seconds or None, not 0"),
        ({"cache": -1}, "cache must be a number of seconds, 0 or more, not -1"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Health(UNUSED, **options)
