"""The thread that writes the access log, and what it may not do: block, grow or fail."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pallasite._observability import access_log
from pallasite._observability.access_log import FORMATS, AccessLog, Entry
from tests.support.serving import eventually


def entry(path: str = "/", **more: Any) -> Entry:
    plain = Entry(
        0, "http", None, None, None, "GET", path, b"", "1.1", None, 200, 0, 5, 5, False, None, ()
    )  # fmt: skip
    return plain._replace(**more)


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.threads: set[str] = set()
        self.wait = threading.Event()
        self.wait.set()

    def emit(self, record: logging.LogRecord) -> None:
        self.wait.wait()
        self.lines.append(record.getMessage())
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    access_log.logger.addHandler(handler)
    access_log.logger.setLevel(logging.INFO)
    yield handler
    handler.wait.set()
    access_log.logger.removeHandler(handler)
    access_log.logger.setLevel(logging.NOTSET)


def test_thread_writes_the_lines(kept: Kept) -> None:
    log = AccessLog(FORMATS["json"], ())
    for number in range(3):
        log.add(entry(f"/{number}"))
    eventually(lambda: len(kept.lines) == 3, "all lines are written")
    log.add(entry("/4"))
    eventually(lambda: len(kept.lines) == 4, "the thread goes on")
    assert kept.threads == {"pallasite access log"}
    assert [json.loads(line)["path"] for line in kept.lines] == ["/0", "/1", "/2", "/4"]


def test_slow_handler_neither_blocks_nor_grows(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "CAPACITY", 10)
    log = AccessLog(FORMATS["json"], ())
    kept.wait.clear()
    for _ in range(10_000):
        log.add(entry())
    assert len(log._entries) <= 10
    kept.wait.set()
    eventually(lambda: any("were dropped" in line for line in kept.lines), "what was dropped is reported")
    written = sum("dropped" not in line for line in kept.lines)
    dropped = sum(int(line.split()[0]) for line in kept.lines if "dropped" in line)
    assert written + dropped == 10_000


def test_handler_that_fails_ends_nothing(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog(FORMATS["json"], ())

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    broken = Broken()
    access_log.logger.addHandler(broken)
    try:
        log.add(entry())
        log.flush()
    finally:
        access_log.logger.removeHandler(broken)
    assert "a handler of the logger pallasite.access failed" in capsys.readouterr().err
    log.add(entry("/after"))
    log.flush()
    assert json.loads(kept.lines[-1])["path"] == "/after"


def test_level_of_the_logger_counts(kept: Kept) -> None:
    access_log.logger.setLevel(logging.WARNING)
    log = AccessLog(FORMATS["json"], ())
    log.add(entry())
    log.flush()
    assert kept.lines == []


def test_without_a_handler_lines_go_to_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log.logger, "propagate", False)
    log = AccessLog(FORMATS["combined"], ())
    log.add(entry("/plain", method="GET", size=0))
    log.flush()
    assert ' "GET /plain HTTP/1.1" 200 - "-" "-"\n' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("query", "written"),
    [
        (b"", None),
        (b"a=1", "a=1"),
        (b"token=a&TOKEN=b&t%6Fken=c&x=token", "token=[hidden]&TOKEN=[hidden]&t%6Fken=[hidden]&x=token"),
        (b"token", "token"),
        (b"=token&&", "=token&&"),
        (b"my+key=1", "my+key=[hidden]"),
        (b"\xff=\xfe", "\xff=\xfe"),
    ],
)
def test_values_of_hidden_parameters_are_not_written(kept: Kept, query: bytes, written: str | None) -> None:
    log = AccessLog(FORMATS["json"], ["Token", "my key"])
    log.add(entry(query=query))
    log.flush()
    assert json.loads(kept.lines[0]).get("query") == written


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads, in Python 3.12
def test_forked_process_writes_its_own_lines(kept: Kept) -> None:
    log = AccessLog(FORMATS["json"], ())
    log.add(entry("/parent"))
    eventually(lambda: len(kept.lines) == 1, "the thread of the parent runs")
    log._entries.append(entry("/waiting"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            log.add(entry("/child"))
            end = time.monotonic() + 10
            while len(kept.lines) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            paths = [json.loads(line)["path"] for line in kept.lines]
            status = 0 if paths == ["/parent", "/child"] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log.flush()
    assert [json.loads(line)["path"] for line in kept.lines] == ["/parent", "/waiting"]
