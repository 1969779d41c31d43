"""The description of a middleware before it is made."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.middleware import Middleware
from pallasite.types import ASGIApp, Receive, Scope, Send


class Layer:
    def __init__(self, app: ASGIApp, *args: Any, **kwargs: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


def function_layer(app: ASGIApp, path: str) -> Any:
    return app


class NamelessLayer:
    """A factory that is an object: it has no `__name__`."""

    def __call__(self, app: ASGIApp) -> Any:
        return app


def test_middleware_unpacks_into_class_and_arguments() -> None:
    cls, args, kwargs = Middleware(Layer, 1, "two", three=3)
    assert cls is Layer
    assert args == (1, "two")
    assert kwargs == {"three": 3}


def test_middleware_can_be_unpacked_twice() -> None:
    described = Middleware(Layer, 1)
    assert list(described) == list(described) == [Layer, (1,), {}]


@pytest.mark.parametrize(
    ("described", "shown"),
    [
        pytest.param(Middleware(Layer), "Middleware(Layer)", id="bare"),
        pytest.param(Middleware(Layer, "a", 1), "Middleware(Layer, 'a', 1)", id="positional"),
        pytest.param(Middleware(Layer, "a", b="c"), "Middleware(Layer, 'a', b='c')", id="both"),
        pytest.param(Middleware(function_layer, path="/x"), "Middleware(function_layer, path='/x')", id="function"),
        pytest.param(Middleware(NamelessLayer()), "Middleware()", id="nameless"),
    ],
)
def test_middleware_repr_shows_how_it_will_be_made(described: Any, shown: Any) -> None:
    assert repr(described) == shown


def test_middleware_subclass_repr_shows_the_subclass() -> None:
    class Layered(Middleware):
        pass

    assert repr(Layered(Layer, 1)) == "Layered(Layer, 1)"


def test_middleware_class_and_arguments_may_be_replaced() -> None:
    described: Any = Middleware(Layer)
    described.cls, described.args, described.kwargs = function_layer, (), {"path": "/"}
    assert tuple(described) == (function_layer, (), {"path": "/"})


def test_middleware_init_patched_on_the_class_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = Middleware.__init__

    def patched(self: Any, cls: Any, *args: Any, **kwargs: Any) -> None:
        made.append(cls)
        original(self, cls, *args, **kwargs)

    monkeypatch.setattr(Middleware, "__init__", patched)
    Middleware(Layer, 1)
    assert made == [Layer]
