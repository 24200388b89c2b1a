"""The words that operations are described in: parameters, headers, bodies, answers, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from litestar.openapi.spec import Operation
from litestar.openapi.spec.base import BaseSchemaObject

from onward.errors import OnwardError
from onward.wire.problem import MEDIA_TYPE, TYPE_PREFIX

Json = dict[str, Any]
"""A piece of an OpenAPI document, as it is written there."""

PREFIX: Final = "Onward"
"""What the names of our schemas begin with, so that they meet none of the application's."""

SCHEME: Final = "onwardToken"
"""How operations name the operator's token."""


class Piece(BaseSchemaObject):
    """A piece of the document that is written as it is; Litestar would drop what is null in it."""

    def __init__(self, json: Json) -> None:
        self._json = json

    def to_schema(self) -> Json:
        return self._json


WHOLE: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
TEXT: Final[Json] = {"type": "string"}
BYTES: Final[Json] = {"type": "string", "format": "binary"}

EXAMPLE_ID: Final = "0190c5f2b7d84c2f9a3d6e41b5087fa2"
EXAMPLE_SHA256: Final = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
EXAMPLE_DIGEST: Final = "sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:"

_HEADERS: Final[dict[str, tuple[str, Json, Any]]] = {
    "Accept-Ranges": ("Ranges may be asked for.", TEXT, "bytes"),
    "Cache-Control": ("Whether and how long the answer may be kept.", TEXT, "no-store"),
    "Content-Disposition": ("The name that a browser saves the file under.", TEXT, 'attachment; filename="film.mkv"'),
    "Content-Length": ("Bytes in the answer.", WHOLE, 3),
    "Content-Range": ("Which bytes of the file these are; with 416, how many there are.", TEXT, "bytes 0-2/9"),
    "ETag": ("The SHA-256 of the file.", TEXT, f'"{EXAMPLE_SHA256}"'),
    "Last-Modified": ("When the file was published.", TEXT, "Tue, 24 Nov 2026 10:00:00 GMT"),
    "Location": ("Where the upload is asked about.", TEXT, "https://up.example/upload/film.mkv"),
    "Repr-Digest": ("Digest of the whole file (RFC 9530).", TEXT, EXAMPLE_DIGEST),
    "Retry-After": ("Seconds after which to try again.", WHOLE, 1),
    "Upload-Chunk-Size": ("Bytes in every chunk but the last, if declared.", WHOLE, 8388608),
    "Upload-Complete": ("`?1` once all bytes are there and sealed.", TEXT, "?0"),
    "Upload-Length": ("Bytes in the whole file, if known.", WHOLE, 52428800),
    "Upload-Offset": ("End of the unbroken, durable run from the first byte.", WHOLE, 8388608),
    "Upload-Ranges": (
        "Byte ranges that are durable, both ends included; `;more` at the end if they are too many to list.",
        TEXT,
        "0-8388607,16777216-25165823",
    ),
    "Upload-State": ("The state, with the reason of a failure as a parameter.", TEXT, "failed;reason=digest-mismatch"),
    "WWW-Authenticate": ("How to say who you are.", TEXT, "Bearer"),
}

STANDING: Final = ("Upload-Offset", "Upload-Length", "Upload-Chunk-Size", "Upload-Ranges")
"""Headers that say where an upload stands."""


def described(
    summary: str,
    description: str,
    *,
    responses: Mapping[str, Json],
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    operator: bool = False,
) -> type[Operation]:
    """An operation with these words in place of what Litestar reads off a handler."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.summary = summary
            self.description = description
            self.parameters = cast("Any", [Piece(one) for one in parameters]) or None
            self.request_body = cast("Any", Piece(body) if body else None)
            self.responses = cast("Any", {status: Piece(one) for status, one in sorted(responses.items())})
            if operator:
                self.security = [{}, {SCHEME: []}]

    return Described


def refer(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{PREFIX}{name}"}


def parameter(where: str, name: str, description: str, schema: Json, example: Any = None, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """One parameter."""
    shown = {} if example is None else {"example": example}
    required = {"required": True} if where == "path" else {}
    return {"name": name, "in": where, "description": description, "schema": schema, **required, **shown, **more}


def answer(
    description: str, *, schema: Json | None = None, example: Any = None, media_type: str = "application/json",  # noqa: ANN401 - JSON
    headers: Sequence[str] = (),
) -> Json:  # fmt: skip
    """One answer, with or without a body."""
    found: Json = {"description": description}
    if headers:
        found["headers"] = {name: _header(name) for name in headers}
    if schema is not None:
        found["content"] = {media_type: {"schema": schema} | ({} if example is None else {"example": example})}
    return found


def _header(name: str) -> Json:
    description, schema, example = _HEADERS[name]
    return {"description": description, "schema": schema, "example": example}


_REFUSAL_HEADERS: Final = {
    401: ("WWW-Authenticate",),
    408: ("Upload-Offset",),
    409: ("Retry-After", "Upload-Offset"),
    416: ("Content-Range",),
    423: ("Retry-After",),
    503: ("Retry-After",),
}


def refusals(*errors: type[OnwardError], bare: bool = False) -> dict[str, Json]:
    """The answers that these errors stand for, by status, each with its code and an example."""
    found: dict[str, Json] = {}
    for status in sorted({error.status_hint for error in errors}):
        group = sorted((e for e in errors if e.status_hint == status), key=lambda e: e.code)
        text = "\n".join(f"- `{error.code}`: {error.title}." for error in group)
        one = answer(text, headers=(*_REFUSAL_HEADERS.get(status, ()), "Cache-Control"))
        if not bare:
            examples = {error.code: {"summary": error.title, "value": _example(error)} for error in group}
            one["content"] = {MEDIA_TYPE: {"schema": refer("Problem"), "examples": examples}}
        found[str(status)] = one
    return found


def _example(error: type[OnwardError]) -> Json:
    return {
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status_hint,
        "detail": f"{error.title}.",
        "code": error.code,
    }
