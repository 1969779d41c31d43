"""The same small application for each framework: `/` answers JSON, `/items/{item_id}` an integer from the path.

Each is written as its own documentation shows it, with async handlers; servers import `benches.rivals.<name>:app`.
What stays unlike: FastAPI, Litestar and BlackSheep bind and validate the parameter by its annotation, the others
convert it in the route; Falcon's JSON has a space after each colon. The rest that `check_reply` looks at is the same.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from contextlib import ExitStack
from typing import cast

from benches.case import has_module
from benches.compare import Measurement, Plan, Unlike, measure
from benches.driver import AppSubject, Lifespan
from benches.exchange import ASGIApp, Reply, get

# Name, as shown -> the distribution that has to be installed.
RIVALS = {
    "bare": None,
    "pallasite": "pallasite",
    "starlette": "starlette",
    "blacksheep": "blacksheep",
    "falcon": "falcon",
    "fastapi": "fastapi",
    "litestar": "litestar",
}
REQUESTS = {"hello JSON": "/", "path parameter": "/items/42"}
EXPECTED = {"hello JSON": {"hello": "world"}, "path parameter": {"item_id": 42}}


def installed() -> list[str]:
    """The rivals that can be measured here."""
    required = {"pallasite": "pallasite.applications"}
    return [name for name, package in RIVALS.items() if package is None or has_module(required.get(name, package))]


def load_app(name: str) -> ASGIApp:
    """A new application at each call: BlackSheep's can be started only once."""
    full = f"benches.rivals.{name}"
    sys.modules.pop(full, None)
    return cast(ASGIApp, importlib.import_module(full).app)


def check_reply(name: str, title: str, reply: Reply) -> None:
    """Raises Unlike unless the reply is the one that all rivals owe: status, JSON value, media type and length."""
    content_type = (reply.header(b"content-type") or b"").split(b";")[0]
    length = reply.header(b"content-length")
    given = (reply.status, json.loads(reply.body), content_type, length)
    expected = (200, EXPECTED[title], b"application/json", str(len(reply.body)).encode())
    if given != expected:
        raise Unlike(f"{name}, {title}: {given} instead of {expected}")


def run_rivals(plan: Plan) -> dict[str, Measurement]:
    """Seconds per request for every installed rival; all run on one asyncio loop, started through their lifespan."""
    names = installed()
    measured: dict[str, Measurement] = {}
    with ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        apps = {name: stack.enter_context(Lifespan(load_app(name), loop)) for name in names}
        for title, path in REQUESTS.items():
            subjects = {name: AppSubject(app, get(path), loop) for name, app in apps.items()}
            for name, subject in subjects.items():
                check_reply(name, title, subject.observe())
            measured[title] = measure(subjects, plan)
    return measured
