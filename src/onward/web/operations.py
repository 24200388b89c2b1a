"""Every operation, described for people and for generators."""

from __future__ import annotations

from typing import Final

from litestar.openapi.spec import Operation

from onward.errors import (
    AlreadyComplete,
    BadBody,
    BadField,
    BadName,
    BodyIncomplete,
    BodyTooLarge,
    ChunkTooLarge,
    DigestConflict,
    DigestInvalid,
    DigestMismatch,
    DigestUnsupported,
    Draining,
    EmptyChunk,
    Incomplete,
    KeyReused,
    LayoutConflict,
    LengthConflict,
    Locked,
    NameTaken,
    NoSpace,
    NotFound,
    NotReady,
    NumberedLayout,
    PartConflict,
    RangeUnsatisfiable,
    Refused,
    ServerFault,
    Stalled,
    StorageFault,
    TooManyChunks,
    Unauthorized,
    Unreadable,
    UnsupportedEncoding,
    UnsupportedMedia,
    UploadFailed,
    UploadOver,
    UploadTooLarge,
    WritersBusy,
)
from onward.web import examples
from onward.web.event_shapes import EXAMPLE
from onward.web.openapi import (
    BYTES,
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_SHA256,
    STANDING,
    TEXT,
    WHOLE,
    Json,
    answer,
    described,
    parameter,
    refer,
    refusals,
)

Operations = dict[str, type[Operation]]

CHUNK: Final = parameter(
    "path",
    "name",
    "`name-N`: the file's name and, after the last `-`, the chunk's number from 1. The name is one path segment of at "
    "most 255 bytes of percent-encoded UTF-8.",
    TEXT,
    "film.mkv-1",
)
NAME: Final = parameter("path", "name", "The file's name, without a chunk number.", TEXT, "film.mkv")
ID: Final = parameter("path", "id", "The upload's id.", {"type": "string", "pattern": "^[0-9a-z]{26,43}$"}, EXAMPLE_ID)

CONTENT_DIGEST: Final = parameter(
    "header",
    "Content-Digest",
    "Digest of this chunk's bytes (RFC 9530): `sha-256`, `sha-512`, `sha` or `md5`. Nothing is stored if it differs. "
    "Of a form it is the digest of the field `data`.",
    TEXT,
    EXAMPLE_DIGEST,
)
REPR_DIGEST: Final = parameter(
    "header", "Repr-Digest", "Digest of the whole file, checked before it is published.", TEXT, EXAMPLE_DIGEST
)
CHUNK_SIZE: Final = parameter(
    "header",
    "Upload-Chunk-Size",
    "Bytes in every chunk but the last. Given with the first request, bytes go straight to their place in the file.",
    {**WHOLE, "minimum": 1},
    8388608,
)
LENGTH: Final = parameter("header", "Upload-Length", "Bytes in the whole file.", WHOLE, 52428800)
OFFSET: Final = parameter(
    "header",
    "Upload-Offset",
    "`PUT` of the bare name only: where in the file these bytes belong. Bytes that are there already are compared.",
    WHOLE,
    8388608,
)
IDEMPOTENCY_KEY: Final = parameter(
    "header",
    "Idempotency-Key",
    "The same key gives the same upload, so that a lost answer leaves nothing behind.",
    {"type": "string", "minLength": 1, "maxLength": 255},
    "7c9e6679-7425-40de-944b-e07fc1f90ae7",
)

_ANY: Final = (BadField, Unauthorized, Refused, ServerFault)
_STORING: Final = (
    *_ANY,
    *(BadName, BadBody, BodyIncomplete, EmptyChunk, DigestInvalid, DigestUnsupported, Stalled, PartConflict),
    *(LengthConflict, LayoutConflict, DigestConflict, AlreadyComplete, UploadFailed, UploadOver, UploadTooLarge),
    *(ChunkTooLarge, TooManyChunks, UnsupportedMedia, UnsupportedEncoding, DigestMismatch, Locked, StorageFault),
    *(Unreadable, Draining, NoSpace),
)
_SMALL: Final = (*_ANY, BadBody, BadName, BodyIncomplete, Stalled, BodyTooLarge, UnsupportedMedia, UnsupportedEncoding)

_STORED: Final = answer(
    "The bytes are durable now.",
    schema=refer("StoredView"),
    example=examples.STORED,
    headers=("Location", *STANDING),
)
_REPEATED: Final = answer(
    "The same bytes were there already.",
    schema=refer("StoredView"),
    example=examples.STORED,
    headers=STANDING,
)
_BODY: Final[Json] = {
    "required": True,
    "description": "The chunk's bytes: as they are, or as the field `data` of a form. Both are read as they stream.",
    "content": {
        "application/octet-stream": {"schema": BYTES},
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["data"], "properties": {"data": BYTES}},
            "encoding": {"data": {"contentType": "application/octet-stream"}},
        },
    },
}


def chunks() -> Operations:
    """The chunk API."""
    headers = (CONTENT_DIGEST, REPR_DIGEST, CHUNK_SIZE, LENGTH)
    return {
        "store": described(
            "Store a chunk",
            "Chunks may come in any order, in parallel and as often as it takes. The first one begins the upload.",
            parameters=(CHUNK, *headers),
            body=_BODY,
            responses={"201": _STORED, "200": _REPEATED, **refusals(*_STORING)},
        ),
        "put": described(
            "Store a chunk, or bytes at an offset",
            "With `name-N` the same as `POST`. With the bare name and `Upload-Offset`: bytes for that place, of any "
            "number, in an upload whose chunk size or length is known.",
            parameters=(CHUNK, OFFSET, *headers),
            body=_BODY,
            responses={"201": _STORED, "200": _REPEATED, **refusals(*_STORING, NumberedLayout)},
        ),
        "declare": _declare(),
        "complete": _complete(),
        "status": described(
            "Show an upload",
            "The manifest so far: what is stored, what lacks, how far the worker is, the result. With `chunk`: whether "
            "that chunk is stored.",
            parameters=(NAME, _chunk_query()),
            responses={
                "200": answer(
                    "How the upload stands, or the chunk that is stored.",
                    schema={"oneOf": [refer("ManifestView"), refer("OneChunkView")]},
                    example=examples.MANIFEST,
                    headers=(*STANDING, "Cache-Control"),
                ),
                "204": answer("The chunk is not stored.", headers=("Cache-Control",)),
                **refusals(*_ANY, BadName, NotFound),
            },
        ),
        "head": described(
            "Where an upload stands, in headers",
            "Never waits for a writer.",
            parameters=(NAME, _chunk_query()),
            responses={
                "200": answer(
                    "How the upload stands.", headers=(*STANDING, "Upload-Complete", "Upload-State", "Cache-Control")
                ),
                "204": answer("The chunk is not stored.", headers=("Cache-Control",)),
                **refusals(*_ANY, BadName, NotFound, bare=True),
            },
        ),
        "cancel": described(
            "Cancel an upload",
            "Running writes are ended and the bytes are freed. A finished file is deleted only where that is allowed.",
            parameters=(NAME,),
            responses={"204": answer("It is cancelled."), **refusals(*_ANY, BadName, NotFound, UploadOver, Locked)},
        ),
    }


def _declare() -> type[Operation]:
    content = {"application/json": {"schema": refer("Declare"), "example": examples.DECLARE}}
    view: Json = {"schema": refer("DeclaredView"), "example": examples.DECLARED, "headers": ("Location", *STANDING)}
    contradictions = (LengthConflict, LayoutConflict, DigestConflict, NameTaken, KeyReused, AlreadyComplete)
    errors = (*_SMALL, *contradictions, UploadTooLarge, ChunkTooLarge, TooManyChunks, NoSpace)
    return described(
        "Declare an upload",
        "Optional. Say what is known of the file; the answer tells the limits, what is there already and what lacks.",
        parameters=(IDEMPOTENCY_KEY,),
        body={"required": True, "content": content},
        responses={
            "201": answer("The upload has begun.", **view),
            "200": answer("It had begun already; what was new is noted.", **view),
            **refusals(*errors),
        },
    )


def _complete() -> type[Operation]:
    form: Json = {"schema": refer("Complete"), "example": examples.COMPLETE}
    view: Json = {"schema": refer("SealedView"), "headers": ("Location", *STANDING)}
    errors = (*_SMALL, NotFound, Incomplete, LengthConflict, DigestConflict, UploadFailed, UploadOver, WritersBusy)
    return described(
        "Complete an upload",
        "No more chunks will come. The worker puts the file together, verifies every byte and publishes it; ask the "
        "status URL. Send `total_chunks` and `size`, so that a chunk that was never sent is noticed.",
        body={
            "required": True,
            "content": {
                "application/json": form,
                "application/x-www-form-urlencoded": form,
                "multipart/form-data": form,
            },
        },
        responses={
            "202": answer("It is sealed; the worker goes on.", example=examples.SEALED, **view),
            "200": answer("It was done already.", example=examples.SEALED_DONE, **view),
            **refusals(*errors),
        },
    )


def _chunk_query() -> Json:
    return parameter("query", "chunk", "Ask about this chunk only.", {**WHOLE, "minimum": 1})


_MAP_ASKED: Final = (
    "With `true`, rows of uploads that are being received say in `map` where their bytes are: how much of each of at "
    "most 64 equal parts is held, a digit each, 0 nothing, 9 all. Then a page has at most 50 rows."
)


def status() -> Operations:
    """Lists, and one upload by its id."""
    states = ["receiving", "assembling", "verifying", "done", "failed", "expired", "cancelled"]
    array = {"type": "array", "items": {"type": "string", "enum": states}}
    text = "Only uploads in these states; repeat it or separate with commas."
    query = (
        parameter("query", "state", text, array, ["receiving"], style="form", explode=True),
        parameter("query", "limit", "Most rows of the page.", {"type": "integer", "minimum": 1, "maximum": 200}, 50),
        parameter("query", "after", "The `next` of the page before.", TEXT),
        parameter("query", "map", _MAP_ASKED, {"type": "boolean"}, True),
    )
    return {
        "list": described(
            "List uploads",
            "The newest first. An operator sees all, anybody else what is theirs. A page may hold fewer rows than "
            "asked for; `next` says whether there are more.",
            parameters=query,
            operator=True,
            responses={
                "200": answer("A page.", schema=refer("PageView"), example=examples.PAGE, headers=("Cache-Control",)),
                **refusals(*_ANY),
            },
        ),
        "show": described(
            "Show an upload by its id",
            "The same as `GET /upload/{name}`, whichever way the upload was begun.",
            parameters=(ID,),
            responses={
                "200": answer(
                    "How the upload stands.",
                    schema=refer("ManifestView"),
                    example=examples.MANIFEST,
                    headers=(*STANDING, "Cache-Control"),
                ),
                **refusals(*_ANY, NotFound),
            },
        ),
    }


def events() -> Operations:
    """Server-sent events."""
    last = parameter(
        "header",
        "Last-Event-ID",
        "The id of the last event that was seen; those after it are sent again. Browsers send it by themselves.",
        WHOLE,
        17,
    )
    stream = answer(
        "`text/event-stream`; the schema is that of one event. First `state` (a snapshot), or after `Last-Event-ID` "
        "what was missed; then `created`, `progress` (at most two a second), `sealed`, `verifying` (phase and bytes), "
        "`damaged`, `published`, `failed`, `removed` as they happen; on the stream of all, for an operator, `server` "
        "(disk and queue) when it has changed. A comment every 15 seconds shows that it lives.",
        schema=refer("Event"),
        example=EXAMPLE,
        media_type="text/event-stream",
        headers=("Cache-Control",),
    )
    return {
        "one": described(
            "Follow an upload",
            "Ends after the event that ends the upload.",
            parameters=(ID, last),
            responses={
                "200": stream,
                "204": answer("The upload is over and its last event was seen: do not come back."),
                **refusals(*_ANY, NotFound),
            },
        ),
        "all": described(
            "Follow all uploads",
            "An operator sees all, anybody else what is theirs.",
            parameters=(last,),
            operator=True,
            responses={"200": stream, **refusals(*_ANY)},
        ),
    }


def downloads() -> Operations:
    """Published files."""
    parameters = (
        ID,
        parameter("header", "Range", "One range of bytes; several are answered with the whole.", TEXT, "bytes=0-1023"),
        parameter("header", "If-Range", "The range only if the file is still this one.", TEXT, f'"{EXAMPLE_SHA256}"'),
        parameter("header", "If-None-Match", "Nothing if the file is still this one.", TEXT, f'"{EXAMPLE_SHA256}"'),
    )
    headers = ("Accept-Ranges", "Content-Disposition", "Content-Length", "ETag", "Last-Modified", "Repr-Digest")
    errors = (*_ANY, NotFound, NotReady, UploadFailed, UploadOver, RangeUnsatisfiable, StorageFault)

    def one(summary: str, *, bare: bool) -> type[Operation]:
        content: Json = {} if bare else {"schema": BYTES, "media_type": "application/octet-stream"}
        return described(
            summary,
            "Always sent as an attachment of unknown type, so that no browser runs what was uploaded.",
            parameters=parameters,
            responses={
                "200": answer("The whole file.", headers=headers, **content),
                "206": answer("The range.", headers=(*headers, "Content-Range"), **content),
                "304": answer("It is still the same.", headers=("ETag", "Last-Modified")),
                **refusals(*errors, bare=bare),
            },
        )

    return {"get": one("Download a file", bare=False), "head": one("What a download would be", bare=True)}


def probes() -> Operations:
    """Probes of the stand-alone server."""
    ready: Json = {"schema": refer("ReadyView"), "headers": ("Cache-Control",)}
    fine = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
    return {
        "health": described(
            "Does the process answer?",
            "Says nothing about storage or queue: a process that answers need not be restarted.",
            responses={"200": answer("It does.", schema=fine, example={"status": "ok"}, headers=("Cache-Control",))},
        ),
        "ready": described(
            "Can it do its work?",
            "Storage and journal must be writable. Without the queue uploads are received and finished later.",
            responses={
                "200": answer(
                    "It can; `degraded` if the queue is away or no new upload has room.",
                    example=examples.READY,
                    **ready,
                ),
                "503": answer("It cannot, or it is shutting down.", example=examples.NOT_READY, **ready),
            },
        ),
    }
