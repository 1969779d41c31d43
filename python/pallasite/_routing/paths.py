"""The path language: compile patterns and fill in formats. Public in `pallasite.routing`."""

from __future__ import annotations

import re
from functools import lru_cache
from re import Pattern
from typing import Any
from urllib.parse import quote

from pallasite._core import PathPattern
from pallasite.convertors import CONVERTOR_TYPES, Convertor

# ``{name}`` or ``{name:convertor}`` in a path, and ``{name}`` in a path format.
PARAM_REGEX = re.compile("{([a-zA-Z_][a-zA-Z0-9_]*)(:[a-zA-Z_][a-zA-Z0-9_]*)?}")
PARAM_FORMAT_REGEX = re.compile("{([a-zA-Z_][a-zA-Z0-9_]*)}")


# What a path may contain (RFC 3986 section 3.3) besides letters, digits and "-._~"; braces are kept for placeholders.
_IN_PATH = "/!$&'()*+,;=:@{}"
_PLAIN = re.compile(f"[-A-Za-z0-9._~{_IN_PATH}]*")


def escape_path(text: str) -> str:
    """Return a decoded path, or a part of one, as it is written in a URL.

    Deviation: a client that follows the URL sends the same path. Otherwise it would read `?` and `#` as the end of the
    path and `%` as the start of an escape, and drop tabs. Characters outside ASCII are escaped as UTF-8, and a lone
    surrogate, which has no UTF-8, becomes `?`.
    """
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_IN_PATH, errors="replace")


@lru_cache(maxsize=4096)
def format_parts(path_format: str) -> tuple[str, ...]:
    """Split a path format. Literal text is at even indexes, parameter names are at odd ones."""
    return tuple(PARAM_FORMAT_REGEX.split(path_format))


def replace_params(
    path: str, param_convertors: dict[str, Convertor[Any]], path_params: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """Return `path` with the given parameters filled in, and the parameters that do not occur in it.

    Parameters that are used are removed from `path_params`. A parameter that is not given stays as ``{name}``. In a
    path, which starts with a slash, characters that a URL cannot contain there are percent-encoded.
    """
    if not path_params:
        return path, path_params
    filled: list[str] = []
    escape = escape_path if path.startswith("/") else str
    for place, text in enumerate(format_parts(path)):
        if not place % 2:
            filled.append(escape(text))
        elif text in path_params:
            filled.append(escape(param_convertors[text].to_string(path_params.pop(text))))
        else:
            filled.append(f"{{{text}}}")
    return "".join(filled), path_params


def compile_path(path: str) -> tuple[Pattern[str], str, dict[str, Convertor[Any]]]:
    """Return (regular expression, format, convertors by parameter name) of a path such as ``/users/{id:int}``.

    Also accepts a host such as ``{tenant}.example.org``.

    Raises:
        ValueError: a parameter name occurs twice.
        AssertionError: a convertor is not registered.
    """
    pattern = PathPattern(path, CONVERTOR_TYPES)
    return compile_pattern(pattern), pattern.format, pattern.convertors


def compile_pattern(pattern: PathPattern) -> Pattern[str]:
    # Host names are case-insensitive (RFC 9110 section 4.2.3).
    return re.compile(pattern.regex, re.IGNORECASE if pattern.is_host else 0)
