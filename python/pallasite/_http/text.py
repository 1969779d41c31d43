"""Text with lone surrogates, on its way to a client.

The JSON text ``"\\ud800"`` is valid (RFC 8259 section 8.2), so a client can have an application hold a string that no
UTF-8 can carry. To send it back must not be an error, or every client could cause one.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def escape_surrogates(json_text: str) -> str:
    """JSON text with each lone surrogate as the escape ``\\udXXX``, which any parser reads as what it stood for."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def encode_text(text: str, charset: str) -> bytes:
    """`text` in `charset`, each lone surrogate as U+FFFD, as browsers have it (Web IDL's USVString).

    Raises:
        UnicodeEncodeError: the charset lacks a character.
    """
    try:
        return text.encode(charset)
    except UnicodeEncodeError:
        if not _SURROGATE.search(text):
            raise
        return _SURROGATE.sub("\ufffd", text).encode(charset)
