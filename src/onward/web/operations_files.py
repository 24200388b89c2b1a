"""Operations of the upload resources, described for people and for generators."""

from __future__ import annotations

from typing import Final

from litestar.openapi.spec import Operation

from onward.errors import (
    AlreadyComplete,
    BadField,
    BodyIncomplete,
    DigestInvalid,
    DigestMismatch,
    DigestUnsupported,
    Draining,
    KeyReused,
    LengthConflict,
    Locked,
    MethodNotAllowed,
    NoSpace,
    NotFound,
    NumberedLayout,
    OffsetMismatch,
    Refused,
    ServerFault,
    Stalled,
    StorageFault,
    Unauthorized,
    UnsupportedEncoding,
    UnsupportedMedia,
    UploadTooLarge,
    VersionUnsupported,
)
from onward.web.openapi import BYTES, TEXT, WHOLE, Json, answer, described, parameter, refusals
from onward.web.operations import ID, Operations

VERSION: Final = parameter("header", "Tus-Resumable", "Makes it a request of tus 1.0.", TEXT, "1.0.0")
INTEROP: Final = parameter(
    "header", "Upload-Draft-Interop-Version", "Makes it a request of the IETF draft, in that version.", WHOLE, 8
)
LENGTH: Final = parameter("header", "Upload-Length", "Bytes in the whole file.", WHOLE, 104857600)
DEFERRED: Final = parameter("header", "Upload-Defer-Length", "tus: the length is told later.", WHOLE, 1)
METADATA: Final = parameter("header", "Upload-Metadata", "tus: pairs of a key and a value in base64.", TEXT)
CONCAT: Final = parameter("header", "Upload-Concat", "tus: `partial`, or `final;` and the parts' URLs.", TEXT)
CHECKSUM: Final = parameter("header", "Upload-Checksum", "tus: an algorithm and a digest of this body.", TEXT)
COMPLETE: Final = parameter("header", "Upload-Complete", "Draft: `?1` if the body's end is the file's end.", TEXT, "?1")
AT: Final = parameter("header", "Upload-Offset", "Where the upload stands, as the client knows it.", WHOLE, 0)
OVERRIDE: Final = parameter(
    "header", "X-HTTP-Method-Override", "The method that is meant: PATCH, DELETE or HEAD.", TEXT, "PATCH"
)

_ANY: Final = (
    *(BadField, Unauthorized, Refused, Locked, VersionUnsupported),
    *(UnsupportedEncoding, ServerFault, Draining),
)
_BODY: Final = (
    *(BodyIncomplete, DigestInvalid, DigestUnsupported, DigestMismatch, LengthConflict, UploadTooLarge),
    *(UnsupportedMedia, Stalled, StorageFault, NoSpace),
)
_BYTES: Final[Json] = {
    "required": False,
    "description": "The bytes that come next.",
    "content": {
        "application/offset+octet-stream": {"schema": BYTES},
        "application/partial-upload": {"schema": BYTES},
        "application/octet-stream": {"schema": BYTES},
    },
}
_OVER: Final = {"410": answer("It has failed, expired or was cancelled; `Upload-State` says which and why.")}
_SEALED: Final = {"202": answer("All is stored and sealed; the worker verifies it.", headers=("Upload-Offset",))}
_WRONG: Final = {"460": answer("tus: the body has another checksum; nothing of it was kept.")}
_STANDING: Final = ("Upload-Offset", "Upload-Length", "Cache-Control")


def _created() -> dict[str, Json]:
    return {
        "201": answer("The upload has begun; its URL is in `Location`.", headers=("Location", "Upload-Offset")),
        "200": answer("The upload is whole, in the one request that began it.", headers=("Upload-Offset",)),
        **_SEALED,
        **_WRONG,
        **_OVER,
        **refusals(*_ANY, *_BODY, KeyReused, NotFound),
    }


def _appended() -> dict[str, Json]:
    return {
        "204": answer("The bytes are stored.", headers=("Upload-Offset",)),
        "201": answer("The bytes are stored (older versions of the draft).", headers=("Upload-Offset",)),
        "200": answer("The upload is whole.", headers=("Upload-Offset",)),
        **_SEALED,
        **_WRONG,
        **_OVER,
        **refusals(*_ANY, *_BODY, NotFound, OffsetMismatch, NumberedLayout, AlreadyComplete, MethodNotAllowed),
    }


def _begun_by(method: str, responses: dict[str, Json]) -> type[Operation]:
    return described(
        f"Begin an upload with {method}",
        "The IETF draft lets any method with content begin an upload.",
        parameters=(INTEROP, LENGTH, COMPLETE),
        body=_BYTES,
        responses=responses,
    )


def files() -> Operations:
    """Upload resources, for tus 1.0 and the IETF draft."""
    creating = (VERSION, INTEROP, LENGTH, DEFERRED, METADATA, CONCAT, CHECKSUM, COMPLETE)
    created, appended = _created(), _appended()
    appending = (ID, VERSION, INTEROP, AT, LENGTH, CHECKSUM, COMPLETE)
    return {
        "create": described(
            "Begin an upload",
            "With `Tus-Resumable` as tus 1.0 has it, with `Upload-Complete` as the IETF draft has it. The first bytes "
            "may come with it.",
            parameters=creating,
            body=_BYTES,
            responses=created,
        ),
        "put": _begun_by("PUT", created),
        "patch_new": _begun_by("PATCH", created),
        "head": described(
            "Where an upload stands",
            "A request that still sends bytes to it is asked to save them and to leave first.",
            parameters=(ID, VERSION, INTEROP),
            responses={
                "200": answer("How it stands (tus).", headers=_STANDING),
                "204": answer("How it stands (draft).", headers=_STANDING),
                **_OVER,
                **refusals(*_ANY, NotFound, bare=True),
            },
        ),
        "get": described(
            "An upload's URL in a browser",
            "Leads to the content when there is one.",
            parameters=(ID, INTEROP),
            responses={
                "303": answer("It is done; its content is elsewhere.", headers=("Location",)),
                "204": answer("How it stands.", headers=_STANDING),
                **_OVER,
                **refusals(*_ANY, NotFound),
            },
        ),
        "append": described(
            "Send the next bytes",
            "Whatever was received is kept when the connection ends, unless a digest of the body was promised.",
            parameters=appending,
            body=_BYTES,
            responses=appended,
        ),
        "override": described(
            "Send another method as POST",
            "For clients that can send nothing but GET and POST.",
            parameters=(OVERRIDE, *appending),
            body=_BYTES,
            responses=appended,
        ),
        "terminate": described(
            "Cancel an upload",
            "Its bytes are freed. A finished file is deleted only where that is allowed.",
            parameters=(ID, VERSION, INTEROP),
            responses={"204": answer("It is cancelled."), **_OVER, **refusals(*_ANY, NotFound)},
        ),
    }
