"""The exceptions and warnings that Pallasite defines, and the three of them that every module may raise.

Exception
  HTTPException                        answered as a response with its status code
    requests.MalformedJSON             400: a body that is not JSON (also a json.JSONDecodeError)
  WebSocketException                   answered by closing the socket with its code
    websockets.WebSocketDataError      1003 or 1007: a message that cannot be read (also a ValueError)
  ClientDisconnect                     the client went away while a body was read or written
  websockets.WebSocketDisconnect       the client closed the connection or went away
    testclient.WebSocketDenialResponse the application refused the connection with this response
  routing.NoMatchFound                 no route of that name with these parameters
  responses.MalformedRangeHeader       400: a Range header that cannot be read
  responses.RangeNotSatisfiable        416: a range outside the file
  formparsers.MultiPartException       400: a form that cannot be read
  authentication.AuthenticationError   an AuthenticationBackend's refusal
  config.EnvironError                  an environment variable was set after it had been read
  RuntimeError
    websockets.WebSocketDisconnected   the application used a connection that is not open
    middleware.sessions.SessionNotStored  the session was changed after its cookie was sent
  ValueError
    middleware.sessions.SessionTooLarge  no browser stores a cookie of that size
UserWarning
  StarletteDeprecationWarning          a name or behaviour that will go away
  SecurityWarning                      a setting that is allowed but rarely wanted
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from pallasite._core import encode_header

__all__ = ["ClientDisconnect", "HTTPException", "SecurityWarning", "StarletteDeprecationWarning", "WebSocketException"]


class HTTPException(Exception):
    """Ends the request with an error response.

    `detail` becomes the body, by default the status code's reason phrase; `headers` are added to the response.

    Raises:
        ValueError: a header's name is no token, or its value holds CR, LF or NUL or cannot be encoded as Latin-1.
    """

    def __init__(self, status_code: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status_code
        self.detail = http.client.responses.get(status_code, "") if detail is None else detail
        self.headers = headers
        # Here, where the traceback shows who set them; what is no text is for the handler to make sense of.
        for name, value in () if headers is None else headers.items():
            if isinstance(name, str) and isinstance(value, str):
                encode_header(name, value)

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status_code={self.status_code!r}, detail={self.detail!r})"


class ClientDisconnect(Exception):
    """The client went away before its request body was complete, or while the response was sent."""


class WebSocketException(Exception):
    """Ends the connection with a close code and a reason of at most 123 bytes. Source: RFC 6455 section 7.4."""

    def __init__(self, code: int, reason: str | None = None) -> None:
        self.code = code
        self.reason = "" if reason is None else reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, reason={self.reason!r})"


class StarletteDeprecationWarning(UserWarning):
    """A name or behaviour that will go away.

    A UserWarning rather than a DeprecationWarning: Python hides the latter by default everywhere but in `__main__`.
    """


class SecurityWarning(UserWarning):
    """A setting that is allowed, and that hardly anybody should have: a short secret, a door open to every site.

    Not given where Pallasite stands in for Starlette: that code was written, and is tested, for a package without it.
    """
