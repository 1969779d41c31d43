"""Reason phrases of status codes. `http.client` has the same table, and imports the email package with it."""

from http import HTTPStatus

__all__ = ["PHRASES"]

#: The phrase of each registered status code. Source: RFC 9110 section 15
PHRASES: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}
