"""What a WebSocket close frame may contain. Source: RFC 6455 sections 5.5.1 and 7.4."""

from __future__ import annotations

from pallasite._compat import mode
from pallasite._http.text import encode_text

# The payload of a control frame has at most 125 bytes, two of which are the code.
MAX_REASON_BYTES = 123
# Registered with IANA and not reserved. 1005, 1006 and 1015 describe the absence of a close frame; 1004 has no meaning.
_SENDABLE = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def check_close_code(code: int) -> None:
    """Raise ValueError if a close frame must not have this code.

    Deviation: Starlette passes every code on to the server. So does compatibility mode, in which programs may close
    with 1006.
    """
    if code not in _SENDABLE and not 3000 <= code <= 4999 and mode.current.checks_close_codes:
        raise ValueError(
            f"{int(code)} cannot be sent as a close code: use one of 1000 to 1003, 1007 to 1014, or 3000 to 4999"
        )


def cut_reason(reason: str) -> str:
    """Return the longest start of `reason` that fits into a close frame. Each lone surrogate becomes U+FFFD."""
    if len(reason) <= MAX_REASON_BYTES and reason.isascii():
        return reason
    return encode_text(reason, "utf-8")[:MAX_REASON_BYTES].decode("utf-8", errors="ignore")
