"""The base of mappings whose `get` reads their storage directly, without an extra call and a caught KeyError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

DefaultT = TypeVar("DefaultT")
KeyT = TypeVar("KeyT")
ValueT_co = TypeVar("ValueT_co", covariant=True)


class DirectMapping(Mapping[KeyT, ValueT_co]):
    """A mapping with a fast `get`. Subclasses that override `__getitem__` get `Mapping.get` back."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__getitem__" in cls.__dict__ and "get" not in cls.__dict__:
            cls.get = Mapping.get  # type: ignore[method-assign]
