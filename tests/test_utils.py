"""The helpers that several modules, and FastAPI, import."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette._utils import parse_host_header as starlette_parse_host_header

from pallasite._utils import (
    AwaitableOrContextManagerWrapper,
    ParsedHost,
    create_collapsing_task_group,
    get_route_path,
    is_async_callable,
    parse_host_header,
)


async def _coroutine_function() -> None: ...


def _function() -> None: ...


class _AsyncCall:
    async def __call__(self) -> None: ...

    async def method(self) -> None: ...


class _Call:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (_coroutine_function, True),
        (_AsyncCall(), True),
        (_AsyncCall().method, True),
        (functools.partial(_coroutine_function), True),
        (functools.partial(functools.partial(_AsyncCall())), True),
        (_function, False),
        (_Call(), False),
        (functools.partial(_function), False),
        (None, False),
    ],
)
def test_is_async_callable(obj: Any, expected: bool) -> None:
    assert is_async_callable(obj) is expected


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [
        ("/a/b", "", "/a/b"),
        ("/a/b", "/a", "/b"),
        ("/a", "/a", ""),
        ("/a/", "/a", "/"),
        ("/ab", "/a", "/ab"),
        ("/b", "/a", "/b"),
        ("", "", ""),
        ("", "/a", ""),
    ],
)
def test_route_path_is_below_the_root_path(path: str, root_path: str, expected: str) -> None:
    assert get_route_path({"path": path, "root_path": root_path}) == expected


def test_route_path_without_root_path_is_the_path() -> None:
    assert get_route_path({"path": "/a"}) == "/a"


_HOSTS = [
    "example.org",
    "example.org:80",
    "EXAMPLE.org:0080",
    "127.0.0.1:8000",
    "[::1]",
    "[::1]:8000",
    "[v1.x:y]",
    "a_b~c%20!$&'()*+,;=",
    "",
    ":80",
    "a:",
    "a:b",
    "a:80\n",
    "a/b",
    "a@b",
    "a b",
    "a?b",
    "a#b",
    "a\\b",
    "[::1",
    "::1",
    "[1]",
    "[::g]",
    "[::1%eth0]",
    "[:::]",
    "[V1.x]",
    "a:999999",
    "é",
]


@pytest.mark.parametrize("header", _HOSTS)
def test_host_header_reads_as_in_starlette(header: str) -> None:
    ours, theirs = parse_host_header(header), starlette_parse_host_header(header)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert (ours.host, ours.port) == (theirs.host, theirs.port)
        assert (ours.authority, ours.is_valid_port) == (theirs.authority, theirs.is_valid_port)


def test_host_header_absent_returns_none() -> None:
    assert parse_host_header(None) is None


def test_host_header_letters_are_ascii_only() -> None:
    # The Kelvin sign and the long s fold to k and s where case is ignored.
    assert parse_host_header("\u212a") is None
    assert parse_host_header("\u017f") is None


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (None, True), ("0", True), ("000080", True), ("65535", True), ("65536", False), ("99999", False),
        ("100000", False), ("9" * 5000, False),
    ],
)  # fmt: skip
def test_port_is_valid_up_to_65535(port: str | None, expected: bool) -> None:
    assert ParsedHost("a", port).is_valid_port is expected


@pytest.mark.anyio
async def test_task_group_single_failure_is_raised_itself() -> None:
    async def fail() -> None:
        raise ValueError("one")

    with pytest.raises(ValueError, match="one") as caught:
        async with create_collapsing_task_group() as group:
            group.start_soon(fail)
    assert caught.value.__cause__ is None


@pytest.mark.anyio
async def test_task_group_single_failure_keeps_its_cause() -> None:
    async def fail() -> None:
        raise ValueError("one") from KeyError("origin")

    with pytest.raises(ValueError, match="one") as caught:
        async with create_collapsing_task_group() as group:
            group.start_soon(fail)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.anyio
async def test_task_group_single_failure_keeps_its_context() -> None:
    async def fail() -> None:
        try:
            raise KeyError("origin")
        except KeyError:
            raise ValueError("one")  # noqa: B904

    with pytest.raises(ValueError, match="one") as caught:
        async with create_collapsing_task_group() as group:
            group.start_soon(fail)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.anyio
async def test_task_group_several_failures_stay_a_group() -> None:
    async def fail(error: Exception) -> None:
        raise error

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - leaving the group raises
        async with create_collapsing_task_group() as group:
            group.start_soon(fail, ValueError())
            group.start_soon(fail, KeyError())
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


@pytest.mark.anyio
async def test_task_group_body_failure_cancels_and_is_raised_itself() -> None:
    with pytest.raises(LookupError):  # noqa: PT012 - leaving the group raises
        async with create_collapsing_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            raise LookupError


class _Closable:
    closed = False

    async def close(self) -> None:
        self.closed = True


def _opening(closable: _Closable) -> Callable[[], Any]:
    async def open_it() -> _Closable:
        return closable

    return open_it


@pytest.mark.anyio
async def test_wrapper_awaited_returns_the_value_open() -> None:
    closable = _Closable()
    assert await AwaitableOrContextManagerWrapper(_opening(closable)()) is closable
    assert not closable.closed


@pytest.mark.anyio
async def test_wrapper_entered_closes_at_the_end() -> None:
    closable = _Closable()
    async with AwaitableOrContextManagerWrapper(_opening(closable)()) as value:
        assert value is closable
        assert not closable.closed
    assert closable.closed
