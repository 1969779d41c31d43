"""Cases about the test client; Starlette's and ours both use httpx2 where it is installed."""

from __future__ import annotations

from functools import partial
from typing import Any

from benches.app import small_app
from benches.case import Framework, case

NEEDS = ("applications", "testclient")


@case("test client: a request", group="toolkit", target=0.3, needs=NEEDS)
def test_client(web: Framework) -> Any:
    client = web.testclient.TestClient(small_app(web))
    return partial(client.get, "/")


@case("test client: a request within its lifespan", group="toolkit", needs=NEEDS)
def test_client_lifespan(web: Framework) -> Any:
    client = web.enter(web.testclient.TestClient(small_app(web)))
    return partial(client.get, "/")
