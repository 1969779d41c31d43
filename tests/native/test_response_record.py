"""`_core.ResponseRecord`: what an observer notes of a response. `_core.SharedNumbers`: numbers that others read."""

from __future__ import annotations

import array
import threading
from types import MappingProxyType
from typing import Any

import pytest

from pallasite._core import Observer, ResponseRecord, SharedNumbers, forget_random

NAME = b"x-request-id"


def sent_by(record: ResponseRecord, *messages: Any) -> list[Any]:
    sent: list[Any] = []
    observer = Observer(sent.append)  # type: ignore[arg-type]
    observer.record_to(record)
    for message in messages:
        observer(message)
    return sent


def identified(*headers: Any, trusted: bool = True) -> ResponseRecord:
    return ResponseRecord.identified({"headers": headers, "state": {}}, NAME, trusted)


def start(**more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200} | more


def body(content: Any, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def test_new_record_is_empty() -> None:
    record = ResponseRecord()
    assert (record.status, record.size, record.complete) == (0, 0, False)
    assert (record.field, record.request_id) == (None, None)
    assert 0 < record.first_byte <= record.duration


def test_response_is_noted() -> None:
    record = ResponseRecord()
    sent_by(record, start(status=204), body(b"ab", True), body(bytearray(b"cde"), True), {"type": "http.response.body"})
    assert (record.status, record.size, record.complete) == (204, 5, True)
    first, whole = record.first_byte, record.duration
    assert first <= whole
    assert (record.first_byte, record.duration) == (first, whole)  # the clock has stopped


def test_files_that_the_server_sends_have_their_size() -> None:
    record = ResponseRecord()
    sent_by(record, start(), {"type": "http.response.pathsend", "path": __file__})
    with open(__file__, "rb") as file:
        assert record.size == len(file.read())
    assert record.complete
    record = ResponseRecord()
    sent_by(
        record,
        start(),
        {"type": "http.response.zerocopysend", "file": None, "count": 3, "more_body": True},
        {"type": "http.response.zerocopysend", "file": None},
        {"type": "http.response.pathsend", "path": "/none"},
    )
    assert record.size == 3


@pytest.mark.parametrize(
    ("messages", "status", "complete"),
    [
        ([{"type": "websocket.accept"}, {"type": "websocket.send"}], 101, False),
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], 101, True),
        ([{"type": "websocket.close"}], 403, True),
        (
            [
                {"type": "websocket.http.response.start", "status": 401},
                {"type": "websocket.http.response.body", "body": b"no"},
            ],
            401,
            True,
        ),
        ([{"type": "http.response.debug"}], 0, False),
        ([{"type": "http.response.start", "status": "200"}], 0, False),
        ([{"type": "http.response.start"}], 0, False),
        ([MappingProxyType({"type": "http.response.start", "status": 201})], 201, False),
    ],
)
def test_status(messages: list[Any], status: int, complete: bool) -> None:
    record = ResponseRecord()
    sent_by(record, *messages)
    assert (record.status, record.complete) == (status, complete)


@pytest.mark.parametrize("message", [{}, {"type": None}, {"type": 1}])
def test_other_messages_are_left_to_the_server(message: Any) -> None:
    record = ResponseRecord()
    if message:
        assert sent_by(record, message) == [message]
    else:
        with pytest.raises(KeyError):
            sent_by(record, message)
    assert record.status == 0


def test_response_is_recorded_once() -> None:
    observer = Observer(print)  # type: ignore[arg-type]
    observer.record_to(ResponseRecord())
    with pytest.raises(RuntimeError, match="already recorded"):
        observer.record_to(ResponseRecord())


def test_field_is_added_to_a_copy_of_the_message() -> None:
    record = identified((NAME, b"mine"))
    message = start(headers=[(b"a", b"b")])
    [sent] = sent_by(record, message)
    assert sent["headers"] == [(b"a", b"b"), (NAME, b"mine")]
    assert message["headers"] == [(b"a", b"b")]
    assert (record.field, record.request_id) == ((NAME, b"mine"), "mine")


def test_field_is_added_to_a_message_without_headers() -> None:
    assert sent_by(identified((NAME, b"mine")), start())[0]["headers"] == [(NAME, b"mine")]
    [accepted] = sent_by(identified((NAME, b"mine")), {"type": "websocket.accept"})
    assert accepted["headers"] == [(NAME, b"mine")]


def test_field_of_the_application_is_kept() -> None:
    message = start(headers=[[b"X-Request-Id", b"theirs"]])
    assert sent_by(identified(), message)[0]["headers"] == [[b"X-Request-Id", b"theirs"]]


def test_scope_gets_the_id() -> None:
    scope: dict[str, Any] = {"headers": [(b"X-REQUEST-ID", b"a"), (b"host", b"h"), (NAME, b"b")]}
    record = ResponseRecord.identified(scope, NAME, True)
    assert scope["state"] == {"request_id": record.request_id}
    assert scope["pallasite.request_id"] == record.request_id
    assert record.request_id is not None
    assert scope["headers"] == [(b"host", b"h"), (NAME, record.request_id.encode())]


def test_scope_without_headers_is_an_error() -> None:
    with pytest.raises(KeyError, match="headers"):
        ResponseRecord.identified({}, NAME, True)


def test_ids_differ_in_all_threads_and_sort_by_time() -> None:
    found: list[str | None] = []

    def make() -> None:
        found.extend(identified().request_id for _ in range(500))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    forget_random()
    make()
    assert len(set(found)) == 2500
    assert str(found[0])[:8] <= str(found[-1])[:8]


# --- shared numbers


def cells(count: int) -> memoryview:
    return memoryview(array.array("Q", bytes(8 * count)))


def test_numbers_are_written_to_the_buffer() -> None:
    shared = cells(3)
    shared[1] = 40
    numbers = SharedNumbers(shared, ())
    numbers.add(1, 2)
    numbers.add(0, 5)
    numbers.add(0, -1)
    assert shared.tolist() == [4, 42, 0]
    with pytest.raises(IndexError, match="there is no number 3"):
        numbers.add(3, 1)


def test_durations_are_counted_by_bucket() -> None:
    shared = cells(2 * 4 + 2)
    numbers = SharedNumbers(shared, [1, 1_000_000_000_000])
    record = ResponseRecord()
    sent_by(record, start(), body(b"12345"))
    numbers.count(record, True)
    numbers.count(ResponseRecord(), False)
    found = shared.tolist()
    assert sum(found[:3]) == sum(found[4:7]) == 2
    assert found[2] == found[6] == 0
    assert found[3] >= record.duration
    assert found[7] >= record.first_byte
    assert found[8:] == [5, 1]


def test_numbers_must_be_those_of_two_histograms_to_count() -> None:
    with pytest.raises(IndexError, match="10 numbers do not hold two histograms and two sums, which take 8"):
        SharedNumbers(cells(10), [1]).count(ResponseRecord(), False)


@pytest.mark.parametrize(
    ("buffer", "error"),
    [(memoryview(bytes(8)).cast("Q"), ValueError), (memoryview(bytearray(8)), BufferError), (1, TypeError)],
)
def test_buffer_must_hold_numbers_that_can_be_changed(buffer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        SharedNumbers(buffer, ())


def test_threads_lose_no_change() -> None:
    shared = cells(1)
    numbers = SharedNumbers(shared, ())

    def add() -> None:
        for _ in range(5_000):
            numbers.add(0, 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared[0] == 20_000
