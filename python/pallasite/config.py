"""Settings from the environment and an env file, converted to the requested type."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeVar, overload

from pallasite._compat.warn import warn

__all__ = ["Config", "Environ", "EnvironError", "environ", "undefined"]

T = TypeVar("T")

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class undefined:
    """The marker for a missing default, as None is a valid one."""


class EnvironError(Exception):
    """A variable was changed or deleted after its value had been read."""


class Environ(MutableMapping[str, str]):
    """An environment whose variables cannot be changed once they have been read."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._has_been_read: set[str] = set()

    def _check_unread(self, key: str, deed: str) -> None:
        if key in self._has_been_read:
            raise EnvironError(f"Attempting to {deed} environ['{key}'], but the value has already been read.")

    def __getitem__(self, key: str) -> str:
        self._has_been_read.add(key)
        return self._environ[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def __setitem__(self, key: str, value: str) -> None:
        self._check_unread(key, "set")
        self._environ[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_unread(key, "delete")
        del self._environ[key]


environ = Environ()


class Config:
    """Settings by name: from the environment first, then from the env file, then the default.

    Args:
        env_file: a file with ``NAME=value`` lines. ``#`` starts a comment line, values may be quoted. A missing file
            emits a warning.
        environ: the environment to read.
        env_prefix: prepended to each name.
        encoding: the encoding of the env file.
    """

    def __init__(
        self,
        env_file: str | Path | None = None,
        environ: Mapping[str, str] = environ,
        env_prefix: str = "",
        encoding: str = "utf-8",
    ) -> None:
        self.environ = environ
        self.env_prefix = env_prefix
        self.file_values: dict[str, str] = {}
        if env_file is not None:
            path = Path(env_file)
            if path.is_file():
                self.file_values = _read_env_file(path, encoding)
            else:
                warn(f"Config file '{env_file}' not found.", UserWarning, "config", stacklevel=2)

    @overload
    def __call__(self, key: str, *, default: None) -> str | None: ...

    @overload
    def __call__(self, key: str, cast: type[T], default: T = ...) -> T: ...

    @overload
    def __call__(self, key: str, cast: type[str] = ..., default: str = ...) -> str: ...

    @overload
    def __call__(self, key: str, cast: Callable[[Any], T] = ..., default: Any = ...) -> T: ...

    @overload
    def __call__(self, key: str, cast: type[str] = ..., default: T = ...) -> T | str: ...

    def __call__(self, key: str, cast: Callable[[Any], Any] | None = None, default: Any = undefined) -> Any:
        return self.get(key, cast, default)

    def get(self, key: str, cast: Callable[[Any], Any] | None = None, default: Any = undefined) -> Any:
        """Return the setting `key`, converted by `cast`. ``cast=bool`` accepts true, false, 1 and 0, in any case.

        Raises:
            KeyError: the setting is missing and has no default.
            ValueError: `cast` cannot convert it.
        """
        name = self.env_prefix + key
        for source in (self.environ, self.file_values):
            if name in source:
                return self._perform_cast(name, source[name], cast)
        if default is undefined:
            raise KeyError(f"Config '{name}' is missing, and has no default.")
        return self._perform_cast(name, default, cast)

    def _perform_cast(self, key: str, value: Any, cast: Callable[[Any], Any] | None = None) -> Any:
        if cast is None or value is None:
            return value
        if cast is bool and isinstance(value, str):
            known = _BOOLEANS.get(value.lower())
            if known is None:
                raise ValueError(f"Config '{key}' has value '{value.lower()}'. Not a valid bool.")
            return known
        try:
            return cast(value)
        except (TypeError, ValueError) as error:
            name = getattr(cast, "__name__", repr(cast))
            raise ValueError(f"Config '{key}' has value '{value}'. Not a valid {name}.") from error


def _read_env_file(path: Path, encoding: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in path.read_text(encoding=encoding).splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        quoted = len(value) > 1 and value[0] in "\"'" and value.endswith(value[0])
        values[name.strip()] = value[1:-1] if quoted else value
    return values
