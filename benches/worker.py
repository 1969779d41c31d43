"""A process in which FastAPI stands on one framework; it builds and times cases on demand.

Which framework that is holds for a whole process. The workers of both sides live side by side and take turns: whoever
is not asked for anything waits for its input. ``python -m benches.worker SIDE`` is that process; requests and answers
are pickles on its standard input and output.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import pickle
import subprocess
import sys
from functools import cache
from typing import IO, Any

from benches.case import Case, Framework, load_cases
from benches.driver import Subject, subject_of
from benches.exchange import Reply
from benches.load import ROOT

STANDS_IN = "starlette"


class Apart:
    """A `Subject` in the worker of its side."""

    def __init__(self, case: Case, side: str) -> None:
        self.worker = worker(side)
        self.stands_on: str = self.ask("build", case.name)
        """The file that the framework's routing was loaded from."""

    def ask(self, *request: Any) -> Any:
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        pickle.dump(request, self.worker.stdin)
        self.worker.stdin.flush()
        try:
            return pickle.load(self.worker.stdout)
        except EOFError:
            raise RuntimeError(f"the worker ended with status {self.worker.wait()}: {self.worker.args!r}") from None

    def observe(self) -> Reply:
        reply: Reply = self.ask("observe")
        return reply

    def time(self, count: int) -> float:
        seconds: float = self.ask("time", count)
        return seconds

    def close(self) -> None:
        self.ask("close")


@cache
def worker(side: str) -> subprocess.Popen[bytes]:
    """The worker of a side, which is started once and ends with this process."""
    command = [sys.executable, "-m", __name__, side]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment)
    atexit.register(stop, process)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker: it stops at the end of its input."""
    with process:
        pass


def stand_on(side: str) -> Framework:
    """The framework that goes by the name of `starlette` in this process from here on."""
    if side != STANDS_IN:
        from pallasite import install_as_starlette

        install_as_starlette()
    return Framework(STANDS_IN)


def work(side: str, requests: IO[bytes], answers: IO[bytes]) -> None:
    loop = asyncio.new_event_loop()
    web = stand_on(side)
    subject: Subject | None = None
    while True:
        try:
            request, *arguments = pickle.load(requests)
        except EOFError:
            break
        answer: Any = None
        if request == "build":
            subject = subject_of(load_cases()[arguments[0]], web, loop)
            answer = web.routing.__file__
        elif subject is not None:
            if request == "observe":
                answer = subject.observe()
            elif request == "time":
                answer = time_quietly(subject, *arguments)
            else:
                subject.close()
                web.close()
                gc.unfreeze()
                subject = None
        pickle.dump(answer, answers)
        answers.flush()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def time_quietly(subject: Subject, count: int) -> float:
    """Seconds for `count` calls, with the garbage collected beforehand and left alone meanwhile."""
    gc.collect()
    gc.freeze()  # what is there now stays, so that the next collection takes no longer than its slice
    gc.disable()
    try:
        return subject.time(count)
    finally:
        gc.enable()


if __name__ == "__main__":
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a package prints is not an answer
    work(sys.argv[1], sys.stdin.buffer, answers)
