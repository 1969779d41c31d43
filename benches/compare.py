"""Measures several subjects in turns, so that whatever disturbs the machine disturbs all of them alike.

A round times each subject once and begins with another one than the round before. A subject's time is the minimum of
its rounds: disturbances only ever add. The garbage collector is off while the clock runs and collects between rounds.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benches.case import Case, Framework
from benches.driver import Subject, subject_of
from benches.exchange import Reply
from benches.worker import Apart

OURS, THEIRS = "pallasite", "starlette"


class Unlike(AssertionError):
    """Two sides answered differently, so that comparing their speed would mean nothing."""


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int = 15
    seconds: float = 0.02
    """How long one subject runs within a round, at least one call."""
    slow: bool = True
    """Also measure cases that take long to build or run."""

    def in_slices(self) -> Plan:
        """The same time in ten times as many rounds: the shorter one is, the likelier it is undisturbed."""
        return replace(self, rounds=self.rounds * 10, seconds=self.seconds / 10)


QUICK = Plan(rounds=3, seconds=0.002, slow=False)


@dataclass(frozen=True)
class Measurement:
    """Seconds per call for each subject."""

    best: dict[str, float]
    medians: dict[str, float]

    def share(self, name: str = OURS, of: str = THEIRS) -> float:
        return self.best[name] / self.best[of]

    def median_share(self, name: str = OURS, of: str = THEIRS) -> float:
        return self.medians[name] / self.medians[of]


def measure(subjects: Mapping[str, Subject], plan: Plan) -> Measurement:
    counts = {name: calls_for(subject, plan.seconds) for name, subject in subjects.items()}
    times: dict[str, list[float]] = {name: [] for name in subjects}
    order = list(subjects)
    enabled = gc.isenabled()
    try:
        for _ in range(plan.rounds):
            gc.enable()
            gc.collect()
            gc.disable()
            for name in order:
                times[name].append(subjects[name].time(counts[name]) / counts[name])
            order.append(order.pop(0))
    finally:
        if enabled:
            gc.enable()
    return Measurement(
        best={name: min(values) for name, values in times.items()},
        medians={name: statistics.median(values) for name, values in times.items()},
    )


def calls_for(subject: Subject, seconds: float) -> int:
    """How many calls fill `seconds`; also warms the subject up."""
    count = 1
    while True:
        taken = subject.time(count)
        if taken >= seconds / 4:
            return max(1, round(count * seconds / taken))
        count *= 4


def check_alike(replies: Mapping[str, Reply], same: Callable[[Reply], Reply] = Reply.joined) -> None:
    """Raises Unlike unless all replies are the same once `same` has been applied to them."""
    (first, expected), *others = ((name, same(reply)) for name, reply in replies.items())
    for name, reply in others:
        for part in ("status", "headers", "chunks", "events"):
            left, right = getattr(expected, part), getattr(reply, part)
            if left != right:
                raise Unlike(f"{part} differ\n  {first}: {shorten(left)}\n  {name}: {shorten(right)}")


def shorten(value: object, limit: int = 600) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def run_case(case: Case, plan: Plan, sides: tuple[str, ...] = (THEIRS, OURS)) -> Measurement:
    """Build the case for each side, check that all answer alike, and measure them."""
    with ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        stack.callback(lambda: loop.run_until_complete(loop.shutdown_default_executor()))
        stack.callback(lambda: loop.run_until_complete(loop.shutdown_asyncgens()))
        subjects: dict[str, Subject] = {}
        for side in sides:
            if case.apart:
                subjects[side] = Apart(case, side)
            else:
                web = Framework(side)
                stack.callback(web.close)
                subjects[side] = subject_of(case, web, loop)
            stack.callback(subjects[side].close)
        check_alike({side: subject.observe() for side, subject in subjects.items()}, case.same)
        return measure(subjects, plan)
