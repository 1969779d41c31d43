"""Counters of several workers: the sum is exact, whoever dies."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pallasite._core import Observer, ResponseRecord
from pallasite._observability import counters as module
from pallasite._observability.counters import OTHER, Counters, Labels, Totals, method_label
from pallasite._observability.exposition import exposition
from tests.support.asgi import LAST, START

HELLO = Labels("GET", "200", "/hello")
WORKER = """
import sys, time
from pallasite._core import ResponseRecord
from pallasite._observability.counters import Counters
counters = Counters(0)
counters.open().add(0, 1)
for line in sys.stdin:
    for _ in range(int(line)):
        counters.numbers("GET", "/hello", 200).count(ResponseRecord(), False)
    print("counted", flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the group, the same for workers that this process starts."""
    found = tmp_path / "group"
    monkeypatch.setattr(module, "_group_directory", lambda number: found)
    return found


@pytest.fixture
def opened() -> Iterator[Any]:
    made: list[Counters] = []

    def new() -> Counters:
        made.append(Counters(0))
        made[-1].open()
        return made[-1]

    yield new
    for counters in made:
        counters.close()


def count(counters: Counters, times: int = 1, labels: Labels = HELLO, abandoned: bool = False) -> None:
    for _ in range(times):
        numbers = counters.numbers(labels.method, labels.route or None, int(labels.status))
        numbers.count(ResponseRecord(), abandoned)


def sums(totals: Totals) -> dict[Labels, int]:
    return {labels: sum(Totals.duration(row)[0]) for labels, row in totals.rows.items()}


def test_sum_of_two_workers(opened: Any) -> None:
    one, two = opened(), opened()
    count(one, 3)
    count(two, 4)
    count(two, 1, Labels("POST", "404", ""), abandoned=True)
    one.gauges.add(0, 2)
    two.gauges.add(0, 1)
    two.gauges.add(1, 1)
    for each in (one, two):
        totals = each.totals()
        assert sums(totals) == {HELLO: 7, Labels("POST", "404", ""): 1}
        assert (totals.active, totals.websockets) == (3, 1)
        assert Totals.abandoned(totals.rows[Labels("POST", "404", "")]) == 1


def test_counts_of_a_worker_that_left_are_kept_and_continued(opened: Any, folder: Path) -> None:
    one, two, three = opened(), opened(), opened()
    for each in (one, two, three):
        count(each, 5)
        each.gauges.add(0, 1)
    two.close()
    assert sums(three.totals()) == {HELLO: 15}
    assert three.totals().active == 2  # what the other was handling is gone
    four = opened()
    assert len(list(folder.glob("*.counts"))) == 3  # the file of the second
    count(four, 1)
    assert sums(one.totals()) == {HELLO: 16}
    assert one.totals().active == 2


def test_last_worker_removes_the_files_and_the_next_starts_from_zero(opened: Any, folder: Path) -> None:
    one = opened()
    count(one)
    one.close()
    one.close()
    assert list(folder.glob("*.counts")) == []
    assert sums(opened().totals()) == {}


def test_files_of_workers_that_were_all_killed_are_not_continued(opened: Any, folder: Path) -> None:
    one = opened()
    count(one)
    os.close(one._file)  # what the system does
    one._file = None
    assert len(list(folder.glob("*.counts"))) == 1
    assert sums(opened().totals()) == {}


def test_only_the_user_can_read_the_files(opened: Any, folder: Path) -> None:
    opened()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("kind", ["link", "file", "foreign"])
def test_directory_of_somebody_else_is_not_used(
    kind: str, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "link":
        (folder.parent / "elsewhere").mkdir()
        folder.symlink_to(folder.parent / "elsewhere")
    elif kind == "file":
        folder.write_text("")
    else:
        folder.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: 1_000_000)
    counters = Counters(0)
    with caplog.at_level(logging.WARNING):
        counters.open()
    assert "The metrics count this process only" in caplog.text
    count(counters, 2)
    assert sums(counters.totals()) == {HELLO: 2}
    counters.close()


def test_system_without_file_locks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "fcntl", None)
    counters = Counters(0)
    counters.open()
    count(counters)
    assert sums(counters.totals()) == {HELLO: 1}
    assert "file locks" in caplog.text


def test_file_of_another_release_is_emptied_or_left_out(opened: Any, folder: Path) -> None:
    one, two = opened(), opened()
    count(two, 3)
    two._cells[0] = 1  # another layout
    count(one, 1)
    assert sums(one.totals()) == {HELLO: 1}
    os.close(two._file)
    two._file = None
    three = opened()
    assert sums(three.totals()) == {HELLO: 1}
    (folder / "9.counts").write_bytes(b"")  # a worker that is about to start
    assert sums(three.totals()) == {HELLO: 1}


def test_combinations_are_bounded(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOTS", module._SPARE + 1)
    one = opened()
    count(one, 1, HELLO)
    count(one, 2, Labels("GET", "200", "/late"))
    count(one, 1, Labels("GET", "200", "/later"))
    count(one, 1, Labels("GET", "500", "/later"))
    assert sums(one.totals()) == {HELLO: 1, Labels("GET", "200", OTHER): 3, Labels("GET", "500", OTHER): 1}
    for status in range(1000, 1000 + module.SLOTS):
        count(one, 1, Labels("GET", str(status), "/x"))
    found = sums(one.totals())
    assert len(found) == module.SLOTS
    assert sum(found.values()) == 5 + module.SLOTS  # the last slot takes what has no place


def test_template_that_is_too_long_is_counted_with_the_others(opened: Any) -> None:
    one = opened()
    count(one, 1, Labels("GET", "200", "/" + "x" * 300))
    assert sums(one.totals()) == {Labels("GET", "200", OTHER): 1}


def test_methods_that_are_not_registered_share_a_label() -> None:
    assert method_label("PATCH") == "PATCH"
    assert method_label("patch") == method_label("x" * 9) == OTHER


def test_killed_worker_loses_nothing(folder: Path) -> None:
    code = (
        "from pathlib import Path\nimport pallasite._observability.counters as module\n"
        f"module._group_directory = lambda number: Path({str(folder)!r})\n" + WORKER
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        for worker in workers:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("1000\n")
            worker.stdin.flush()
            assert worker.stdout.readline() == "counted\n"
        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait()
        mine = Counters(0)  # adopts the file
        mine.open()
        count(mine, 1)
        totals = mine.totals()
        assert sums(totals) == {HELLO: 3001}
        assert totals.active == 2
        mine.close()
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads, in Python 3.12
def test_forked_worker_counts_in_a_file_of_its_own(opened: Any, folder: Path) -> None:
    one = opened()
    count(one, 1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            one.open()
            count(one, 2)
            one.gauges.add(0, 1)
            status = 0 if sums(one.totals()) == {HELLO: 3} else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sums(one.totals()) == {HELLO: 3}
    assert one.totals().active == 0
    assert len(list(folder.glob("*.counts"))) == 2


def test_group_has_parent_session_and_command_line_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    names = {module._group_directory(0)}
    names.add(module._group_directory(0))
    names.add(module._group_directory(1))
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--port=1"])
    names.add(module._group_directory(0))
    assert len(names) == 3
    assert all(name.name.startswith(f"pallasite-{os.getuid()}-") for name in names)


async def ended(*parts: bytes) -> ResponseRecord:
    async def send(message: Any) -> None:
        pass

    record = ResponseRecord()
    observer = Observer(send)
    observer.record_to(record)
    await observer(START)
    for part in parts:
        await observer({"type": "http.response.body", "body": part, "more_body": True})
    await observer(LAST)
    return record


def test_text_for_prometheus(opened: Any) -> None:
    one = opened()
    one.numbers("GET", '/a"b\\c\nd', 200).count(anyio.run(ended, b"12", b"345"), True)
    text = exposition(one.totals())
    labels = '{http_request_method="GET",http_response_status_code="200",http_route="/a\\"b\\\\c\\nd"}'
    assert f"http_server_response_body_bytes_total{labels} 5\n" in text
    assert f"http_server_requests_abandoned_total{labels} 1\n" in text
    buckets = [line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_bucket")]
    assert len(buckets) == 15
    assert buckets[0].endswith(',le="0.005"} 1')
    assert buckets[-1].endswith(',le="+Inf"} 1')
