"""The tree of exceptions and warnings, and the definitions of those that any module may raise.

Exception
  HTTPException                        answered with a response with its status code
    problems.ProblemException          answered with a problem document (RFC 9457)
    problems.InvalidParameter          400: a query parameter, form field or header that is missing or malformed
    middleware.rate_limit.RateLimited  429: a client sent more requests than a policy allows
    middleware.timeout.RequestTimeout  504: the handler was cancelled, because the time limit was over
    middleware.timeout.SlowRequestBody 408: the body of a request did not arrive in time
    middleware.concurrency_limit.ServerBusy  503: as many requests as may run at the same time are running
    middleware.cross_origin.CrossOriginRefused  403: a page of another site sent the request
    requests.MalformedJSON             400: a body that is not JSON (also a json.JSONDecodeError)
  WebSocketException                   answered by closing the connection with its code
    websockets.WebSocketDataError      1003 or 1007: a message that cannot be read (also a ValueError)
  ClientDisconnect                     the client disconnected while a body was read or written
  websockets.WebSocketDisconnect       the client closed the connection or disconnected
    testclient.WebSocketDenialResponse the application rejected the connection with this response
  routing.NoMatchFound                 no route has that name and these parameters
  responses.MalformedRangeHeader       400: a Range header that cannot be parsed
  responses.RangeNotSatisfiable        416: a range outside the file
  formparsers.MultiPartException       400: a form that cannot be parsed
  authentication.AuthenticationError   an AuthenticationBackend rejected the credentials
  config.EnvironError                  an environment variable was set after it had been read
  RuntimeError
    requests.ConsumedBody              the request body was read by a middleware, which has not kept it
    websockets.WebSocketDisconnected   the application used a connection that is not open
    middleware.sessions.SessionNotStored  the session was changed after its cookie was sent
  ValueError
    middleware.sessions.SessionTooLarge  browsers do not store a cookie of that size
UserWarning
  StarletteDeprecationWarning          a name or behaviour that will be removed
  SecurityWarning                      a setting that is allowed but rarely intended
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pallasite._core import encode_header
from pallasite._http.close_frame import check_close_code
from pallasite._http.phrases import PHRASES

__all__ = ["ClientDisconnect", "HTTPException", "SecurityWarning", "StarletteDeprecationWarning", "WebSocketException"]


class HTTPException(Exception):
    """Ends the request with an error response.

    Args:
        detail: the body. The default is the reason phrase of the status code.
        headers: headers to add to the response.

    Raises:
        ValueError: a header name is not a token, or a value contains CR, LF or NUL or cannot be encoded as Latin-1.
    """

    #: The members of its problem document (RFC 9457), which the default handler sends instead of text.
    _problem: Mapping[str, Any] | None = None

    def __init__(self, status_code: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status_code
        self.detail = PHRASES.get(status_code, "") if detail is None else detail
        self.headers = headers
        # Checked here, where the traceback shows who set them. Other types than text are left to the handler.
        for name, value in () if headers is None else headers.items():
            if isinstance(name, str) and isinstance(value, str):
                encode_header(name, value)

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status_code={self.status_code!r}, detail={self.detail!r})"


class ClientDisconnect(Exception):
    """The client disconnected before its request body was complete, or while the response was being sent."""


class WebSocketException(Exception):
    """Ends the connection with a close code and a reason. Source: RFC 6455 section 7.4.

    The client receives at most 123 bytes of the reason, cut at a character.

    Raises:
        ValueError: the code cannot be sent. Codes are 1000 to 1003, 1007 to 1014, and 3000 to 4999.
    """

    def __init__(self, code: int, reason: str | None = None) -> None:
        check_close_code(code)
        self.code = code
        self.reason = "" if reason is None else reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, reason={self.reason!r})"


class StarletteDeprecationWarning(UserWarning):
    """A name or behaviour that will be removed.

    It is a UserWarning, because Python hides a DeprecationWarning by default outside `__main__`.
    """


class SecurityWarning(UserWarning):
    """A setting that is allowed but rarely intended, such as a short secret or access for every site.

    Not issued in compatibility mode: that code was written and tested for a package without this warning.
    """
