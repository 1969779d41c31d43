"""Encode text that may contain lone surrogates.

The JSON text ``"\\ud800"`` is valid (RFC 8259 section 8.2), so a client can make an application store a string that
UTF-8 cannot encode. Sending it back must not fail, or any client could cause a server error.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def escape_surrogates(json_text: str) -> str:
    """Return JSON text with each lone surrogate as the escape ``\\udXXX``, which parsers decode to the same value."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def encode_text(text: str, charset: str) -> bytes:
    """Return `text` encoded with `charset`. Lone surrogates become U+FFFD, as in browsers (Web IDL's USVString).

    Raises:
        UnicodeEncodeError: the charset lacks a character.
    """
    try:
        return text.encode(charset)
    except UnicodeEncodeError:
        if not _SURROGATE.search(text):
            raise
        return _SURROGATE.sub("\ufffd", text).encode(charset)
