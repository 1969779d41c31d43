"""The base of the mappings here whose `get` reads their own storage, without a call and a caught KeyError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

DefaultT = TypeVar("DefaultT")
KeyT = TypeVar("KeyT")
ValueT_co = TypeVar("ValueT_co", covariant=True)


class DirectMapping(Mapping[KeyT, ValueT_co]):
    """A mapping with a `get` of its own, which a subclass with another `__getitem__` loses to the ordinary one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__getitem__" in cls.__dict__ and "get" not in cls.__dict__:
            cls.get = Mapping.get  # type: ignore[method-assign]
