"""`Guard`: notices that a function which a fast path stands in for has been replaced."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from pallasite._core import Guard


def made() -> tuple[Any, Any, Any]:
    module: Any = ModuleType("guarded")
    module.function = len

    class Base:
        def method(self) -> None: ...

    class Derived(Base):
        pass

    return module, Base, Derived


def test_guard_holds_while_nothing_changes() -> None:
    module, base, derived = made()
    guard = Guard([(module, "function"), (module, "missing"), (base, "method"), (derived, "method"), (base, "absent")])
    assert [guard.holds() for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("name", ["function", "missing"])
def test_name_of_a_module_that_is_set_is_noticed(name: str) -> None:
    module, _, _ = made()
    guard = Guard([(module, name)])
    before = module.__dict__.get(name)
    setattr(module, name, print)
    assert not guard.holds()
    if before is None:
        delattr(module, name)
    else:
        setattr(module, name, before)
    assert guard.holds()


def test_name_of_a_module_that_is_deleted_is_noticed() -> None:
    module, _, _ = made()
    guard = Guard([(module, "function")])
    del module.function
    assert not guard.holds()


def test_method_patched_on_a_base_is_noticed() -> None:
    _, base, derived = made()
    guard = Guard([(derived, "method")])
    assert guard.holds()
    original = base.method
    base.method = lambda self: 1
    assert not guard.holds()
    base.method = original
    assert guard.holds()
    base.other = 1  # changes the class, but not the method
    assert guard.holds()


def test_owner_must_be_a_module_or_a_class() -> None:
    with pytest.raises(TypeError):
        Guard([(object(), "name")])  # type: ignore[list-item]


def test_guard_in_a_cycle_is_collected() -> None:
    import gc
    import weakref

    module, _, _ = made()
    module.guard = Guard([(module, "function")])
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None
