"""`_core.Observer`: a send that knows whether the response has started."""

from __future__ import annotations

import gc
import weakref
from types import MappingProxyType
from typing import Any, cast

import pytest

from pallasite._core import Observer


class _Send:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def __call__(self, message: Any) -> Any:
        self.messages.append(message)
        return len(self.messages)


def test_observer_passes_messages_on_and_returns_what_send_returns() -> None:
    send = _Send()
    observer = Observer(send)
    message = {"type": "http.response.body"}
    assert cast(int, observer(message)) == 1
    assert send.messages[0] is message
    assert observer.send is send


def test_observer_has_started_after_the_start_only() -> None:
    observer = Observer(_Send())
    assert observer.started is False
    observer({"type": "http.response.debug"})
    assert observer.started is False
    observer({"type": "http.response.start"})
    assert observer.started is True
    observer({"type": "http.response.body"})
    assert observer.started is True


def test_observer_knows_the_type_by_its_text() -> None:
    class Text(str):
        pass

    for kind in ("".join(["http.", "response.start"]), Text("http.response.start")):
        observer = Observer(_Send())
        observer({"type": kind})
        assert observer.started is True


def test_observer_accepts_any_mapping() -> None:
    observer = Observer(_Send())
    observer(MappingProxyType({"type": "http.response.start"}))  # type: ignore[arg-type]
    assert observer.started is True


@pytest.mark.parametrize("message", [{}, MappingProxyType({})])
def test_observer_message_without_type_is_a_key_error(message: Any) -> None:
    send = _Send()
    with pytest.raises(KeyError, match="type"):
        Observer(send)(message)
    assert send.messages == []


def test_observer_start_counts_even_if_send_fails() -> None:
    def send(message: Any) -> Any:
        raise OSError("gone")

    observer = Observer(send)
    with pytest.raises(OSError, match="gone"):
        observer({"type": "http.response.start"})
    assert observer.started is True


def test_observer_is_named_like_a_method() -> None:
    observer = Observer(_Send())
    assert (observer.__module__, observer.__qualname__, observer.__name__) == (
        "pallasite._core",
        "Observer.send",
        "send",
    )
    cls: type[object] = Observer
    assert (cls.__module__, cls.__qualname__, cls.__name__) == ("pallasite._core", "Observer", "Observer")


def test_observer_takes_the_name_that_its_class_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(_Send())
    monkeypatch.setattr(Observer, "_qualname", "Layer.__call__.<locals>._send")
    assert (observer.__qualname__, observer.__name__) == ("Layer.__call__.<locals>._send", "_send")
    monkeypatch.setattr(Observer, "_qualname", "alone")
    assert (observer.__qualname__, observer.__name__) == ("alone", "alone")


def test_observer_takes_part_in_garbage_collection() -> None:
    send = _Send()
    send.observer = Observer(send)  # type: ignore[attr-defined]
    gone = weakref.ref(send)
    del send
    gc.collect()
    assert gone() is None


def test_observer_adds_fields_after_those_of_the_response() -> None:
    send = _Send()
    observer = Observer(send)
    observer.add_field(b"vary", b"Accept")
    observer.add_field(b"x-a", b"1")
    headers = [(b"vary", b"Origin")]
    message = {"type": "http.response.start", "status": 200, "headers": headers}
    observer(message)
    observer({"type": "http.response.body"})
    assert send.messages[0]["headers"] == [(b"vary", b"Origin"), (b"vary", b"Accept"), (b"x-a", b"1")]
    assert send.messages[0]["status"] == 200
    assert headers == [(b"vary", b"Origin")]
    assert message["headers"] is headers
    assert send.messages[1] == {"type": "http.response.body"}


@pytest.mark.parametrize("headers", [{}, {"headers": ()}, {"headers": iter(())}])
def test_observer_adds_fields_to_any_message(headers: dict[str, Any]) -> None:
    send = _Send()
    observer = Observer(send)
    observer.add_field(b"vary", b"Accept")
    observer(MappingProxyType({"type": "http.response.start", **headers}))  # type: ignore[arg-type]
    assert send.messages[0]["headers"] == [(b"vary", b"Accept")]


def test_observer_adds_no_field_after_the_start() -> None:
    observer = Observer(_Send())
    observer({"type": "http.response.start"})
    with pytest.raises(RuntimeError, match="already started"):
        observer.add_field(b"vary", b"Accept")


def test_observer_with_fields_can_be_collected() -> None:
    send = _Send()
    observer = Observer(send)
    observer.add_field(b"vary", b"Accept")
    send.messages.append(observer)
    gone = weakref.ref(observer)
    del observer, send
    gc.collect()
    assert gone() is None
