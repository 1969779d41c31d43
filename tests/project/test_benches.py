"""The benchmarks build, run, and compare the same work. Times are not checked here."""

import asyncio
import gzip
import json
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benches import counts, report
from benches.__main__ import main, merged
from benches.case import CASES, Case, Framework, load_cases
from benches.chart import Bar, Panel, draw
from benches.compare import OURS, THEIRS, Measurement, Plan, Unlike, check_alike, measure, run_case
from benches.derived import DERIVED
from benches.dressed import open_loop
from benches.driver import AppSubject, CallSubject, run_through, subject_of
from benches.exchange import Reply, get, post, reply_of_messages
from benches.load import content_length, read_wrk
from benches.results import Results, Row, rows_of
from benches.rivals import REQUESTS, RIVALS, check_reply, installed, run_rivals
from benches.servers import cpu_seconds, fetch, running
from benches.worker import Apart, worker

HASTE = Plan(rounds=1, seconds=0.0, slow=False)
QUICK_CASES = [case for case in load_cases().values() if not case.slow]


@pytest.mark.parametrize("case", QUICK_CASES, ids=[case.name for case in QUICK_CASES])
def test_case_answers_alike_and_runs(case: Case) -> None:
    if case.missing:
        pytest.skip(f"pallasite has no {', '.join(case.missing)} yet")
    measured = run_case(case, HASTE)
    assert measured.best.keys() == {OURS, THEIRS}
    assert all(seconds > 0 for seconds in measured.best.values())


def test_rivals_answer_alike_and_run() -> None:
    measured = run_rivals(HASTE)
    assert list(measured) == list(REQUESTS)
    assert list(measured["hello JSON"].best) == installed()


def test_installed_rivals_contain_what_tests_require() -> None:
    assert {"bare", "pallasite", "starlette"} <= set(installed()) <= set(RIVALS)


def test_compressed_answer_is_never_larger() -> None:
    if CASES["gzip-json"].missing:
        pytest.skip("pallasite has no gzip yet")
    loop = asyncio.new_event_loop()
    try:
        ours, theirs = (subject_of(CASES["gzip-json"], Framework(side), loop).observe() for side in (OURS, THEIRS))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert len(ours.body) <= len(theirs.body)


@pytest.mark.parametrize(
    "changed",
    [{"status": 201}, {"headers": ((b"x", b"2"),)}, {"chunks": (b"other",)}, {"events": ("closed",)}],
    ids=lambda changed: next(iter(changed)),
)
def test_unlike_answers_are_refused(changed: dict[str, object]) -> None:
    reply = Reply(200, ((b"x", b"1"),), (b"body",))
    with pytest.raises(Unlike, match=next(iter(changed))):
        check_alike({"a": reply, "b": replace(reply, **changed)}, lambda reply: reply)  # type: ignore[arg-type]


def test_answers_in_other_chunks_are_alike_unless_chunks_count() -> None:
    replies = {"a": Reply(200, (), (b"one", b"two")), "b": Reply(200, (), (b"onetwo",))}
    check_alike(replies)
    with pytest.raises(Unlike):
        check_alike(replies, lambda reply: reply)


def test_incomplete_answer_is_refused() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": []}
    with pytest.raises(ValueError, match="not complete"):
        reply_of_messages([start, {"type": "http.response.body", "body": b"x", "more_body": True}])


def test_rival_with_another_value_is_refused() -> None:
    reply = Reply(200, ((b"content-length", b"2"), (b"content-type", b"application/json")), (b"{}",))
    with pytest.raises(Unlike, match="litestar"):
        check_reply("litestar", "hello JSON", reply)


def test_suspending_application_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        run_through(asyncio.sleep(0))


def test_scope_is_new_for_every_request() -> None:
    exchange = get("/")
    first, second = exchange.scope(), exchange.scope()
    assert first == second
    assert first is not second
    assert first["headers"] is not second["headers"]
    assert first["state"] is not second["state"]


def test_body_arrives_in_chunks_that_add_up() -> None:
    messages = post("/", b"x" * 150, b"text/plain", chunk_bytes=64).messages()
    assert [len(message["body"]) for message in messages] == [64, 64, 22]
    assert [message["more_body"] for message in messages] == [True, True, False]


def test_minimum_of_the_rounds_counts_and_order_rotates() -> None:
    calls: list[str] = []

    class Scripted(CallSubject):
        def __init__(self, name: str, seconds: list[float]) -> None:
            super().__init__(lambda: Reply(200, (), ()))
            self.name, self.seconds = name, seconds

        def time(self, count: int) -> float:
            calls.append(self.name)
            return self.seconds.pop(0) if self.seconds else 1.0

    # The first time of each is the one that finds the number of calls.
    subjects = {"a": Scripted("a", [1.0, 3.0, 2.0]), "b": Scripted("b", [1.0, 5.0, 6.0])}
    measured = measure(subjects, Plan(rounds=2, seconds=1.0))
    assert measured.best == {"a": 2.0, "b": 5.0}
    assert measured.medians == {"a": 2.5, "b": 5.5}
    assert calls == ["a", "b", "a", "b", "b", "a"]


def test_derived_cost_is_the_difference_per_layer() -> None:
    def both(ours: float, theirs: float) -> Measurement:
        return Measurement({OURS: ours, THEIRS: theirs}, {OURS: ours, THEIRS: theirs})

    measured = {"no-layer": both(1.0, 10.0), "function-layers-3": both(4.0, 310.0)}
    row = next(row for row in rows_of(measured) if row.name == DERIVED[0].name)
    assert (row.ours, row.theirs) == (1.0, 100.0)
    assert row.met


def results_of(**shares: float) -> Results:
    rows = [Row(name, name, "core", 0.5, ours=share, theirs=1.0, median_share=share) for name, share in shares.items()]
    return Results(cases=rows, rivals={"hello JSON": {"pallasite": 2e-6, "starlette": 1e-5, "bare": 1e-6}})


def test_results_come_back_as_saved(tmp_path: Path) -> None:
    results = results_of(first=0.25, second=0.75)
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    assert Results.load(tmp_path / "absent.json") == Results()


def test_merging_keeps_what_was_not_measured_again() -> None:
    both = merged(results_of(first=0.25, second=0.75), Results(cases=results_of(second=0.5).cases))
    assert {row.name: row.share for row in both.cases} == {"first": 0.25, "second": 0.5}
    assert "hello JSON" in both.rivals


def test_report_marks_what_is_short_of_its_target() -> None:
    text = report.markdown(results_of(first=0.25, second=0.75))
    first, second = (next(line for line in text.splitlines() if f"| {name} |" in line) for name in ("first", "second"))
    assert "met" in first
    assert "**short**" in second


def test_fastapi_has_its_own_table_and_bars() -> None:
    row = Row("fastapi-hello", "hello", "fastapi", 1.0, ours=0.5, theirs=1.0, median_share=0.5)
    results = Results(cases=[row])
    assert "## FastAPI on Pallasite and on Starlette" in report.markdown(results)
    assert "FastAPI on Pallasite" in report.chart(results)
    assert "Share of Starlette's time" not in report.chart(results)


def test_workers_stand_on_what_they_are_named_after() -> None:
    for side in (OURS, THEIRS):
        subject = Apart(CASES["fastapi-none-of-500"], side)
        assert Path(subject.stands_on).parent.name == side
        subject.close()


def test_worker_that_ends_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benches.worker.worker", worker.__wrapped__)  # one that other cases do not need
    with pytest.raises(RuntimeError, match="the worker ended with status 1"):
        Apart(replace(CASES["fastapi-hello"], name="no such case"), THEIRS)


def test_chart_is_well_formed_and_escapes_labels() -> None:
    image = ET.fromstring(draw([Panel("a < b", "", [Bar("<one>", 1.0, "1 us", ours=True, target=0.5)])]))
    texts = [element.text for element in image.iter("{http://www.w3.org/2000/svg}text")]
    assert "<one>" in texts
    assert ET.fromstring(report.chart(results_of(first=0.25))) is not None


def test_check_fails_when_a_share_has_grown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--only", "hello-json", "--quick", "--rounds", "1"]
    assert main([*run, "--json", str(tmp_path / "now.json")]) == 0
    now = Results.load(tmp_path / "now.json")
    # Far outside of what noise can do, either way.
    for name, factor in (("slower.json", 1e-6), ("faster.json", 1e6)):
        Results(cases=[replace(row, ours=row.ours * factor) for row in now.cases]).save(tmp_path / name)
    assert main([*run, "--check", str(tmp_path / "slower.json")]) == 1
    assert "slower than before: hello-json" in capsys.readouterr().err
    assert main([*run, "--check", str(tmp_path / "faster.json")]) == 0


def test_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(load_cases())


def test_wrk_output_is_read_and_its_errors_are_raised() -> None:
    text = """
      Latency Distribution
         50%    1.50ms
         75%    2.00ms
         90%  900.00us
         99%    0.01s
      12345 requests in 2.00s, 1.50MB read
    """
    load = read_wrk(text)
    assert (load.requests, load.seconds, load.p50_us, load.p99_us) == (12345, 2.0, 1500.0, 10_000.0)
    with pytest.raises(RuntimeError, match="met errors"):
        read_wrk(text + "Non-2xx or 3xx responses: 5")


def test_client_reads_length_and_refuses_errors() -> None:
    assert content_length(b"HTTP/1.1 200 OK\r\nserver: x\r\nContent-Length: 17") == 17
    with pytest.raises(RuntimeError, match="not a 200"):
        content_length(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2")


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_server_runs_a_rival_and_reports_its_time(server: str) -> None:
    with running(server, "bare", None) as (process, port):
        check_reply("bare", "hello JSON", fetch(port, "/"))
        assert cpu_seconds(process.pid) != 0.0
    assert process.returncode is not None


def test_app_subject_counts_every_request() -> None:
    seen: list[str] = []

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        seen.append(scope["path"])

    AppSubject(app, get("/counted")).time(7)
    assert seen == ["/counted"] * 7


@pytest.mark.parametrize(
    ("share", "text"), [(1.234, "1.23"), (0.25, "0.25"), (0.0614, "0.061"), (0.0000581, "0.000058"), (-0.02, "0")]
)
def test_shares_show_two_figures(share: float, text: str) -> None:
    assert report.share_text(share) == text


def test_count_that_rises_by_more_than_two_percent_is_named() -> None:
    committed = {"same": 1000, "risen": 1000, "fallen": 1000}
    risen, fallen = counts.differences(committed, {"same": 1020, "risen": 1021, "fallen": 979, "new": 5})
    assert risen == [
        "risen: 1,021 instructions after 1,000 (+2.1%)",
        "new: 5 instructions, and no committed count",
    ]
    assert fallen == ["fallen: 979 instructions after 1,000 (-2.1%)"]


def test_counts_are_compared_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counts, "COMMITTED", tmp_path / "counts.json")
    counted = {"hello-json": 1000, "cors": 500}
    monkeypatch.setattr(counts, "count", lambda names: {name: counted[name] for name in names})
    monkeypatch.setattr(counts, "CASES", tuple(counted))
    assert counts.main([]) == 0  # nothing has been committed
    assert "not compared" in capsys.readouterr().out
    assert counts.main(["--write"]) == 0
    assert counts.main([]) == 0
    counted["cors"] = 520
    assert counts.main([]) == 1
    assert "risen: cors: 520 instructions after 500" in capsys.readouterr().err
    assert counts.main(["hello-json"]) == 0
    assert counts.main(["--write", "cors"]) == 0
    assert counts.main([]) == 0
    monkeypatch.setattr(counts, "interpreter", lambda: "another")
    assert counts.main([]) == 0
    assert "not compared" in capsys.readouterr().out


def test_cases_that_have_risen_are_counted_again_and_the_lowest_count_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    again = iter([{"noise": 1030, "dearer": 1100}, {"noise": 1010, "dearer": 1090}])

    def count(names: list[str]) -> dict[str, int]:
        asked.append(names)
        return next(again)

    monkeypatch.setattr(counts, "count", count)
    committed = {"noise": 1000, "dearer": 1000, "same": 1000}
    now = counts.recount(committed, {"noise": 1025, "dearer": 1080, "same": 1000, "new": 5})
    assert now == {"noise": 1010, "dearer": 1080, "same": 1000, "new": 5}
    assert asked == [["noise", "dearer"], ["noise", "dearer"]]
    assert counts.recount(committed, now | {"dearer": 1000})["noise"] == 1010  # nothing to count again


def test_committed_counts_are_of_the_cases_that_are_counted() -> None:
    assert json.loads(counts.COMMITTED.read_text(encoding="utf-8"))["counts"].keys() == set(counts.CASES)
    assert set(counts.CASES) <= CASES.keys()


@contextmanager
def answering(status: int, chunked: bool) -> Iterator[int]:
    """A server that gives every request the same response. Yields its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header(*(("transfer-encoding", "chunked") if chunked else ("content-length", "2")))
            self.end_headers()
            self.wfile.write(b"2\r\n{}\r\n0\r\n\r\n" if chunked else b"{}")

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("chunked", [False, True])
def test_open_loop_sends_as_many_requests_as_were_due(chunked: bool) -> None:
    with answering(200, chunked) as port:
        found = asyncio.run(open_loop.measure("127.0.0.1", port, rate=500, seconds=0.2))
    assert found.requests == 100
    assert 0 < found.p50_us <= found.p99_us <= found.p999_us


def test_open_loop_refuses_another_status() -> None:
    with answering(500, False) as port, pytest.raises(ExceptionGroup) as caught:
        asyncio.run(open_loop.measure("127.0.0.1", port, rate=100, seconds=0.05))
    assert "500 Internal Server Error" in str(caught.value.exceptions[0])


def test_dressed_applications_are_in_a_table() -> None:
    entry = {"cpu_us": 99.6, "p50_us": 1200.0, "p99_us": 2300.0, "p999_us": 3400.0, "memory_mb": 41.2}
    results = Results(
        dressed=[{"server": name, "application": "starlette", **entry} for name in ("granian", "uvicorn")]
    )
    assert "| uvicorn: Starlette | 100 | 1.20 | 2.30 | 3.40 | 41 |" in report.markdown(results)


def test_dressed_applications_answer_alike() -> None:
    from benches.dressed.app import ITEMS, plain
    from benches.dressed.open_loop import PATH

    path, _, query = PATH.partition("?")
    headers = ((b"host", b"t.example"), (b"accept-encoding", b"gzip"), (b"origin", b"https://app.example"))
    for side in (THEIRS, OURS):
        loop = asyncio.new_event_loop()
        try:
            app = plain(Framework(side))
            reply = AppSubject(app, replace(get(path, query.encode()), headers=headers), loop).observe()
        finally:
            loop.close()
        assert reply.status == 200
        assert len(reply.header(b"x-request-id") or b"") == 32
        assert json.loads(gzip.decompress(reply.body)) == {"page": 2, "user": None, "items": ITEMS}
