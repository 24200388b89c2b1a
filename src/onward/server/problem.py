"""Answers that the server gives by itself, before or instead of the app."""

from __future__ import annotations

import json
from http import HTTPStatus

from onward.errors import OnwardError

Headers = list[tuple[bytes, bytes]]


def problem(error: OnwardError) -> tuple[int, Headers, bytes]:
    """Status, headers and ``application/problem+json`` body that tell a client of the error.

    The headers close the connection: after such an answer nobody knows where the next request begins.
    """
    document = {
        **error.facts,
        "type": f"urn:onward:problem:{error.code}",
        "title": error.title,
        "status": error.status_hint,
        "code": error.code,
        "detail": error.detail,
    }
    body = json.dumps(document).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if isinstance(seconds := error.facts.get("retry_after"), int):
        headers.append((b"retry-after", str(seconds).encode()))
    return error.status_hint, headers, body


def raw_response(error: OnwardError, default_headers: Headers) -> bytes:
    """The same answer as the bytes of an HTTP/1.1 response."""
    status, headers, body = problem(error)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in [*default_headers, *headers]]
    return b"\r\n".join([*lines, b"", body])
