"""Refusals of what no route of ours could refuse itself."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from onward.errors import OnwardError, ServerFault
from onward.web.handler import Plain
from onward.wire.message import Head, Reply
from onward.wire.problem import MEDIA_TYPE, TYPE_PREFIX, problem

log = logging.getLogger("onward.web")

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def _ours(request: Request[Any, Any, Any], error: OnwardError) -> Response[bytes]:
    return _respond(request, problem(error, Head(method=request.method)))


def _litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar or a guard says, in the form of all our refusals."""
    phrase = _PHRASES.get(error.status_code, "Error")
    code = phrase.lower().replace(" ", "-")
    members = {
        "type": TYPE_PREFIX + code,
        "title": phrase,
        "status": error.status_code,
        "detail": error.detail if error.status_code < 500 else phrase,
        "code": code,
    }
    headers = {"Cache-Control": "no-store", **(error.headers or {})}
    body = msgspec.json.encode(members)
    return _respond(request, Reply(status=error.status_code, headers=headers, body=body, media_type=MEDIA_TYPE))


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return _respond(request, problem(ServerFault(), Head(method=request.method)))


def _respond(request: Request[Any, Any, Any], reply: Reply) -> Response[bytes]:
    headers = dict(reply.headers)
    brings_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if brings_body and request.scope["http_version"].startswith("1"):
        headers["Connection"] = "close"  # how much of the body was read is not known here
    return Plain(
        b"" if request.method == "HEAD" else reply.body,
        status_code=reply.status,
        headers=headers,
        media_type=reply.media_type or "text/plain",
    )


HANDLERS: Final[ExceptionHandlersMap] = {OnwardError: _ours, HTTPException: _litestar, Exception: _unexpected}
"""Every exception as a problem; what was not foreseen is logged and shown without a word of detail."""


def refusal_of(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The response to a request that failed so, where no application looks for its handler."""
    if isinstance(error, OnwardError):
        return _ours(request, error)
    return _litestar(request, error) if isinstance(error, HTTPException) else _unexpected(request, error)
