"""The operations of well-known front-ends, described."""

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
    Draining,
    LengthConflict,
    Locked,
    NameTaken,
    NoSpace,
    NotFound,
    NumberedLayout,
    OffsetMismatch,
    PartConflict,
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
)
from onward.web.openapi import BYTES, EXAMPLE_ID, TEXT, WHOLE, Json, answer, described, parameter, refer, refusals
from onward.wire.problem import MEDIA_TYPE

Operations = dict[str, type[Operation]]

_TAKEN: Final[Json] = {
    "id": EXAMPLE_ID,
    "name": "film.mkv",
    "state": "receiving",
    "size": 1048576,
    "offset": 1048576,
    "length": 52428800,
    "status": f"https://up.example/uploads/{EXAMPLE_ID}",
    "content": f"https://up.example/files/{EXAMPLE_ID}/content",
}
_LISTED: Final[Json] = {"name": "film.mkv", "size": 52428800, "url": _TAKEN["content"]}

_ANY: Final = (BadField, BadName, Unauthorized, Refused, ServerFault)
_STORING: Final = (
    *_ANY,
    *(BadBody, BodyIncomplete, Stalled, PartConflict, LengthConflict, NameTaken, AlreadyComplete, UploadFailed),
    *(UploadOver, UploadTooLarge, ChunkTooLarge, TooManyChunks, UnsupportedMedia, UnsupportedEncoding, Locked),
    *(StorageFault, Unreadable, Draining, NoSpace, NumberedLayout),
)
_FORM: Final[Json] = {
    "required": False,
    "description": "A form whose last field is the file, or the bytes as they are. Read as they stream.",
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {"file": BYTES}}},
        "application/octet-stream": {"schema": BYTES},
    },
}
_NUMBERED: Final = (
    ("ChunkNumber", "The chunk's number, from 1.", {**WHOLE, "minimum": 1}, 1),
    ("ChunkSize", "Bytes in every chunk but the last, which may have up to twice as many.", WHOLE, 1048576),
    ("CurrentChunkSize", "Bytes in this chunk.", WHOLE, 1048576),
    ("TotalSize", "Bytes in the whole file.", WHOLE, 52428800),
    ("TotalChunks", "How many chunks there are.", {**WHOLE, "minimum": 1}, 50),
    ("Identifier", "What tells this file from the caller's others.", TEXT, "52428800-filmmkv"),
    ("Filename", "The file's name, under which it is published.", TEXT, "film.mkv"),
)
_RANGE: Final = parameter(
    "header", "Content-Range", "Which bytes of the file these are; absent, if all.", TEXT, "bytes 0-1048575/52428800"
)
_NAMED: Final = parameter(
    "header", "Content-Disposition", "The file's name, if no form says it.", TEXT, 'attachment; filename="film.mkv"'
)
_KEY: Final = parameter("query", "key", "What tells two files of one name and size apart.", TEXT, "7c9e6679")
_FILE: Final = parameter("query", "file", "The file's name.", TEXT, "film.mkv")
_SIZE: Final = parameter("query", "size", "Bytes in the whole file.", WHOLE, 52428800)
_IS_ID: Final[Json] = {"type": "string", "pattern": "^[0-9a-z]{26,43}$"}
_PATCH: Final = parameter("query", "patch", "The id that `POST` answered with.", _IS_ID, EXAMPLE_ID)
_ID: Final = parameter("path", "id", "The id that `POST` answered with.", _IS_ID, EXAMPLE_ID)
_AT: Final = parameter("header", "Upload-Offset", "Where in the file these bytes belong.", WHOLE, 0)
_LENGTH: Final = parameter("header", "Upload-Length", "Bytes in the whole file.", WHOLE, 52428800)
_NAME: Final = parameter("header", "Upload-Name", "The file's name.", TEXT, "film.mkv")
_OFFSET: Final = ("Upload-Offset",)
_STANDING: Final = ("Upload-Offset", "Upload-Length")


def _success(schema: str, example: Json, headers: tuple[str, ...] = _OFFSET) -> dict[str, Json]:
    return {
        "201": answer("The bytes are durable now.", schema=refer(schema), example=example, headers=headers),
        "200": answer("The same bytes were there already.", schema=refer(schema), example=example, headers=headers),
    }


def _under(statuses: tuple[int, ...], *, bare: bool = False) -> dict[str, Json]:
    """Refusals under the statuses that a front-end understands: the code says which it is."""
    found: dict[str, Json] = {}
    for status in statuses:
        one = answer("Refused; `code` says why, as everywhere.", headers=("Cache-Control",))
        if not bare:
            one["content"] = {MEDIA_TYPE: {"schema": refer("Problem")}}
        found[str(status)] = one
    return found


def _of_numbered(name: str, title: str, refused: tuple[int, ...]) -> Operations:
    fields = tuple(parameter("query", name + word, *rest) for word, *rest in _NUMBERED)
    lacks = {"204": answer("It is not.", headers=("Cache-Control",))}
    headers = ("Upload-Offset", "Cache-Control")
    shown = answer("The chunk is stored.", schema=refer("TakenView"), example={**_TAKEN, "size": 0}, headers=headers)
    there = {"200": shown, **lacks}
    bare = {"200": answer("The chunk is stored.", headers=headers), **lacks}
    asked = "A client that begins again sends only what lacks."
    return {
        name: described(
            f"A chunk from {title}",
            "The fields are those of the form, or of the query. The upload ends by itself when every byte is there. "
            f"Refusals have statuses after which {title} gives up, if no further try can succeed.",
            parameters=fields,
            body=_FORM,
            responses={**_success("TakenView", _TAKEN), **_under(refused)},
        ),
        f"{name} ask": described(
            f"Has {title} sent this chunk?", asked, parameters=fields, responses={**there, **_under(refused)}
        ),
        f"{name} head": described(
            f"Has {title} sent this chunk?", asked, parameters=fields, responses={**bare, **_under(refused, bare=True)}
        ),
    }


def _of_filepond() -> Operations:
    whole = answer(
        "The id, as plain text.", schema=TEXT, example=EXAMPLE_ID, media_type="text/plain", headers=_STANDING
    )
    patched = {
        "204": answer("The bytes are durable.", headers=_STANDING),
        **refusals(*_STORING, NotFound, OffsetMismatch),
    }
    types = ("application/offset+octet-stream", "application/octet-stream")
    body: Json = {"required": False, "content": {kind: {"schema": BYTES} for kind in types}}
    over = {"410": answer("It has failed, expired or was cancelled.", headers=("Cache-Control",))}
    stands = {
        "200": answer("Where it stands.", headers=(*_STANDING, "Cache-Control")),
        **over,
        **refusals(*_ANY, NotFound, bare=True),
    }
    gone = refusals(*_ANY, NotFound, BodyTooLarge, BadBody, BodyIncomplete, Stalled, Locked, UploadOver)
    reverted = {"204": answer("It is cancelled."), **gone}
    named: Json = {"required": False, "content": {"text/plain": {"schema": TEXT, "example": EXAMPLE_ID}}}
    found: Operations = {
        "filepond": described(
            "A file from FilePond, or the announcement of one",
            "A form with a file: the whole of it. With `Upload-Length` and no file: its bytes come by `PATCH`.",
            parameters=(_LENGTH, _NAME),
            body=_FORM,
            responses={"201": whole, **refusals(*_STORING)},
        )
    }
    for suffix, where in (("", _PATCH), (" by path", _ID)):
        found |= {
            f"filepond patch{suffix}": described(
                "The next bytes from FilePond",
                "All of them are stored, or none. The last ones end the upload.",
                parameters=(where, _AT, _LENGTH, _NAME),
                body=body,
                responses=patched,
            ),
            f"filepond head{suffix}": described(
                "Where FilePond goes on", "Never waits for a writer.", parameters=(where,), responses=stands
            ),
            f"filepond revert{suffix}": described(
                "FilePond's user takes a file back",
                "A finished file is deleted only where that is allowed.",
                parameters=(where,),
                body=named,
                responses=reverted,
            ),
        }
    return found


def _of_content_range() -> Operations:
    posted = {**_TAKEN, "files": [_LISTED]}
    there = answer("How much is there.", schema=refer("AskedView"), example={"file": _LISTED}, headers=_CACHE)
    asked = (_FILE, _SIZE, _KEY)
    return {
        "content-range": described(
            "A run of bytes with Content-Range",
            "In a form or raw. Without the header: a whole file. The upload ends by itself when every byte is there.",
            parameters=(_RANGE, _NAMED, _KEY),
            body=_FORM,
            responses={**_success("PostedView", posted), **refusals(*_STORING)},
        ),
        "content-range ask": described(
            "Where to go on",
            "For pages that ask before they send (`uploadedBytes`).",
            parameters=asked,
            responses={"200": there, **refusals(*_ANY)},
        ),
        "content-range head": described(
            "Where to go on, in headers",
            "For pages that ask before they send.",
            parameters=asked,
            responses={"200": answer("How much is there.", headers=_CACHE), **refusals(*_ANY, bare=True)},
        ),
    }


_CACHE: Final = ("Cache-Control",)


def compat() -> Operations:
    """All of them, by the name of the front-end and what is asked."""
    return {
        **_of_numbered("resumable", "resumable.js", (400, 401, 408, 409, 415, 423, 500, 503)),
        **_of_numbered("flow", "flow.js", (401, 408, 409, 413, 415, 423, 500, 503)),
        "dropzone": described(
            "A chunk from Dropzone, or a small file",
            "A form with Dropzone's own fields before the file. Without `dzuuid`: a whole file.",
            body=_FORM,
            responses={**_success("TakenView", _TAKEN), **refusals(*_STORING)},
        ),
        **_of_filepond(),
        **_of_content_range(),
    }
