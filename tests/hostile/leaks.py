"""Leaks of a server process, found by comparing the counts of the probe around the application."""

from __future__ import annotations

from typing import Any

from tests.support.serving import Server, new_client

from .probe import PATH

Counts = dict[str, Any]


def counts(server: Server, *, reset: bool = False) -> Counts:
    with new_client(server, headers={"connection": "close"}) as client:
        result: Counts = client.get(PATH + ("?reset" if reset else "")).json()
    return result


def leaks(before: Counts, after: Counts) -> list[str]:
    """Describe each count that is larger after than before."""
    found = []
    for kind in ("tasks", "threads", "descriptors"):
        for name, count in after[kind].items():
            if count > before[kind].get(name, 0):
                found.append(f"{kind}: {count - before[kind].get(name, 0)} more of {name}")
    found += [f"temporary file {name}" for name in set(after["temporary"]) - set(before["temporary"])]
    if before["pid"] != after["pid"]:
        found.append(f"the process ended: {before['pid']} became {after['pid']}")
    return found
