"""tus 1.0.0: which request is which command, and which is none. Rows are named by the requirement they stand for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import errors
from onward.core.types import (
    Append,
    Cancel,
    Command,
    Create,
    Declaration,
    First,
    Spec,
    Status,
    Store,
)
from onward.errors import OnwardError
from onward.wire.message import Head
from onward.wire.tus1 import EXTENSIONS, OFFSET_TYPE, PARTIAL, WHOLE, Tus1, method_of
from tests.protocol.tus1_rows import HREFS, ID, LIMITS, MAX_SIZE, OTHER, TUS, b64, digest, head, patch, post

CHECKSUMS = {"sha1": "sha", "sha256": "sha-256", "sha512": "sha-512", "md5": "md5"}
SHA1 = f"sha1 {b64(digest('sha'))}"
FINAL = {"upload_length": None, "upload_concat": f"final;/files/{ID}"}


class Asked(NamedTuple):
    row: str
    head: Head
    command: Command


class Refused(NamedTuple):
    row: str
    head: Head
    error: type[OnwardError]
    status: int


def create(length: int | None = 10, /, *, first: First | None = None, key: str | None = None, **spec: Any) -> Create:
    spec = {"declared": Declaration(length=length), **spec}
    policy = PARTIAL if spec.get("partial") else WHOLE
    return Create(spec=Spec(owner="ada", **spec), policy=policy, first=first, idempotency_key=key)


def store(offset: int = 0, *, size: int | None = 3, **more: Any) -> Store:
    return Store(target=ID, at=Append(offset), size=size, **more)


def final(urls: str, *ids: str, base: str = "https://example.org", host: str | None = None) -> tuple[Head, Create]:
    text = f"final;{urls}"
    asked = post(upload_length=None, upload_concat=text, base=base, host=host)
    return asked, create(None, sources=ids, raw={"Upload-Concat": text})


CREATIONS: Sequence[Asked] = [
    Asked("T-CREATE-01 a length", post(), create()),
    Asked("T-CREATE-06 no byte", post(upload_length="0"), create(0)),
    Asked("T-CREATE-04 the greatest length", post(upload_length=str(MAX_SIZE)), create(MAX_SIZE)),
    Asked("T-DEFER-01 the length comes later", post(upload_length=None, upload_defer_length="1"), create(None)),
    Asked("T-CREATE-07 no body of any type", post(content_type="text/plain", content_length="0"), create()),
    Asked("T-CREATE-07 no body of a type that is none", post(content_type=";"), create()),
    Asked(
        "T-CWU-01 the first bytes come along",
        post(content_type=OFFSET_TYPE, content_length="3"),
        create(first=First(size=3)),
    ),
    Asked(
        "T-CWU-01 as many bytes as there are",
        post(content_type=OFFSET_TYPE, content_length="10"),
        create(first=First(size=10)),
    ),
    Asked(
        "T-CWU-01 bytes of unknown number",
        post(content_type="Application/Offset+Octet-Stream", transfer_encoding="chunked"),
        create(first=First()),
    ),
    Asked(
        "T-CWU-01 none of them yet",
        post(content_type=OFFSET_TYPE, content_length="0"),
        create(first=First(size=0)),
    ),
    Asked(
        "T-CWU-06 with a checksum",
        post(content_type=OFFSET_TYPE, content_length="3", upload_checksum=SHA1),
        create(first=First(size=3, digests=(digest("sha"),))),
    ),
    Asked(
        "T-META-02 metadata is kept as it was sent",
        post(upload_metadata="b  , filename Zi50eHQ=,x /w=="),
        create(metadata={"b": "", "filename": "f.txt"}, raw={"Upload-Metadata": "b  , filename Zi50eHQ=,x /w=="}),
    ),
    Asked("no metadata in a field for it", post(upload_metadata=""), create()),
    Asked(
        "D-05 a digest of the whole",
        post(repr_digest=f"sha-256=:{b64(digest('sha-256'))}:"),
        create(declared=Declaration(length=10, digest=digest("sha-256"))),
    ),
    Asked("a repeated creation is known by its key", post(idempotency_key="k 1"), create(key="k 1")),
    Asked("identity is no encoding", post(content_encoding="identity"), create()),
    Asked(
        "T-CONCAT-01 a piece of a whole",
        post(upload_concat="partial"),
        create(partial=True, raw={"Upload-Concat": "partial"}),
    ),
    Asked(
        "T-CONCAT-01 a piece whose length comes later",
        post(upload_concat="partial", upload_length=None, upload_defer_length="1"),
        create(None, partial=True, raw={"Upload-Concat": "partial"}),
    ),
    Asked("T-CONCAT-02 the whole, relative URLs", *final(f"/files/{ID} /files/{OTHER}", ID, OTHER)),
    Asked("T-CONCAT-04 absolute URLs", *final(f"https://example.org/files/{ID}", ID)),
    Asked("T-CONCAT-04 the same piece twice", *final(f"/files/{ID} /files/{ID}", ID, ID)),
    Asked("T-CONCAT-04 relative to the collection", *final(f"{ID} files/{OTHER}", ID, OTHER)),
    Asked("T-CONCAT-04 a host in capitals", *final(f"HTTPS://Example.ORG/files/{ID}", ID)),
    Asked(
        "T-CONCAT-04 below a path of ours",
        *final(f"https://e.org/app/files/{ID} /app/files/{OTHER}", ID, OTHER, base="https://e.org/app"),
    ),
    Asked(
        "T-CONCAT-04 as the client reaches us, behind a proxy that is not told",
        *final(f"http://here:80/files/{ID} https://here:80/files/{OTHER}", ID, OTHER, host="here:80"),
    ),
    Asked(
        "T-CONCAT-04 where our links are paths",
        *final(f"http://here/files/{ID} /m/files/{OTHER}", ID, OTHER, base="/m", host="here"),
    ),
    Asked(
        "T-CONCAT-08 the whole has metadata of its own",
        post(**FINAL, upload_metadata="a YQ=="),
        create(
            None,
            sources=(ID,),
            metadata={"a": "a"},
            raw={"Upload-Metadata": "a YQ==", "Upload-Concat": FINAL["upload_concat"]},
        ),
    ),
    Asked(
        "T-CWU-04 the whole with a body of no byte",
        post(**FINAL, content_type=OFFSET_TYPE, content_length="0"),
        create(None, sources=(ID,), raw={"Upload-Concat": str(FINAL["upload_concat"])}),
    ),
]

OTHERS: Sequence[Asked] = [
    Asked("T-PATCH-04 bytes at the end", patch(upload_offset="7"), store(7)),
    Asked("T-PATCH-01 the type in capitals", patch(content_type=OFFSET_TYPE.upper()), store()),
    Asked("T-PATCH-06 bytes of unknown number", patch(content_length=None), store(size=None)),
    Asked("T-PATCH-10 no byte", patch(content_length="0"), store(size=0)),
    Asked("T-DEFER-03 the length becomes known", patch(upload_length="3"), store(declared=Declaration(length=3))),
    *(
        Asked(
            f"T-CSUM-01 {name}",
            patch(upload_checksum=f"{name} {b64(digest(known))}"),
            store(digests=(digest(known),)),
        )
        for name, known in CHECKSUMS.items()
    ),
    Asked(
        "D-04 the digest of the standard, beside that of tus",
        patch(upload_checksum=SHA1, content_digest=f"sha-256=:{b64(digest('sha-256'))}:"),
        store(digests=(digest("sha"), digest("sha-256"))),
    ),
    Asked(
        "D-05 the digest of the whole with the last bytes",
        patch(repr_digest=f"sha-256=:{b64(digest('sha-256'))}:"),
        store(declared=Declaration(digest=digest("sha-256"))),
    ),
    Asked("T-CSUM-06 a trailer that is announced", patch(trailer="Upload-Checksum"), store()),
    Asked("A-06 whoever asks takes over", head("HEAD", ID), Status(target=ID, takes_over=True)),
    Asked("T-TERM-01 cancel", head("DELETE", ID), Cancel(target=ID)),
]

NO_VERSION: Sequence[Refused] = [
    Refused(f"{row} {asked.method}", asked, errors.VersionUnsupported, 412)
    for row, version in {"T-VER-02": "0.2.2", "T-VER-03": None, "T-VER-02 two": "1.0.0, 1.0.0"}.items()
    for asked in (
        post(tus_resumable=version),
        patch(tus_resumable=version, content_type="text/plain"),
        head("HEAD", ID, tus_resumable=version),
        head("DELETE", "not an id", tus_resumable=version),
        head("PUT", ID, tus_resumable=version),
    )
]

NO_CREATION: Sequence[Refused] = [
    Refused("T-CREATE-02 no length", post(upload_length=None), errors.BadField, 400),
    Refused("T-CREATE-03 two lengths", post(upload_defer_length="1"), errors.BadField, 400),
    Refused("T-CREATE-04 too long", post(upload_length=str(MAX_SIZE + 1)), errors.UploadTooLarge, 413),
    *(
        Refused(f"T-CREATE-05 {text!r} is no length", post(upload_length=text), errors.BadField, 400)
        for text in ("", "+5", "-1", "1e3", " 5x", "1_0", "05", "\u0665", "9223372036854775808", "5, 5")
    ),
    *(
        Refused(
            f"T-DEFER-01 {text!r} defers nothing",
            post(upload_length=None, upload_defer_length=text),
            errors.BadField,
            400,
        )
        for text in ("0", "2", "", "true")
    ),
    Refused(
        "T-CREATE-07 a body of another type",
        post(content_type="text/plain", content_length="3"),
        errors.UnsupportedMedia,
        415,
    ),
    Refused("T-CREATE-07 a body of no type", post(content_length="3"), errors.UnsupportedMedia, 415),
    Refused(
        "T-CREATE-07 a body of another type and unknown length",
        post(content_type="text/plain", transfer_encoding="chunked"),
        errors.UnsupportedMedia,
        415,
    ),
    Refused(
        "T-CWU-04 more bytes than the file has",
        post(content_type=OFFSET_TYPE, content_length="11"),
        errors.LengthConflict,
        413,
    ),
    Refused(
        "T-CWU-04 bytes for a whole that is made of others",
        post(**FINAL, content_type=OFFSET_TYPE, content_length="3"),
        errors.Refused,
        403,
    ),
    Refused(
        "T-CWU-04 other bytes for a whole that is made of others",
        post(**FINAL, content_type="text/plain", transfer_encoding="chunked"),
        errors.Refused,
        403,
    ),
    Refused(
        "T-CWU-06 a checksum that cannot be read",
        post(content_type=OFFSET_TYPE, content_length="3", upload_checksum="sha1"),
        errors.DigestInvalid,
        400,
    ),
    Refused("T-META-03 metadata that cannot be read", post(upload_metadata="a b c"), errors.BadField, 400),
    Refused("R-16 an encoding", post(content_encoding="gzip"), errors.UnsupportedEncoding, 415),
    Refused("a key that is none", post(idempotency_key=""), errors.BadField, 400),
    Refused("T-CONCAT-03 a length of the whole", post(**{**FINAL, "upload_length": "3"}), errors.BadField, 400),
    Refused("T-CONCAT-03 a whole that is deferred", post(**FINAL, upload_defer_length="1"), errors.BadField, 400),
    *(
        Refused(
            f"T-CONCAT-05 {text!r} is malformed", post(upload_length=None, upload_concat=text), errors.BadField, 400
        )
        for text in (
            "",
            "final",
            "Partial",
            f"partial;/files/{ID}",
            f"Final;/files/{ID}",
            "partial;",
            f"final /files/{ID}",
            "final;/a\u00e4",
        )
    ),
    *(
        Refused(f"T-CONCAT-05 {text!r} lists nothing", post(upload_concat=text), errors.BadField, 400)
        for text in ("final;", "final;  ")
    ),
    *(
        Refused(
            f"T-CONCAT-05 {url!r} is none of ours",
            post(upload_length=None, upload_concat=f"final;/files/{ID} {url}"),
            errors.NotFound,
            404,
        )
        for url in (
            f"https://evil.example/files/{ID}",
            f"//evil.example/files/{ID}",
            f"https://example.org.evil/files/{ID}",
            f"https://example.org@evil/files/{ID}",
            f"ftp://example.org/files/{ID}",
            f"/uploads/{ID}",
            f"/files/x/../{ID}",
            f"/{ID}",
            f"/files/{ID}/content",
            f"/files/{ID}?a=b",
            f"/files/{ID}/",
            "/files/short",
            "/files/",
            "http://[/files/",
        )
    ),
]

NO_COMMAND: Sequence[Refused] = [
    *(
        Refused(f"T-PATCH-01 {kind!r}", patch(content_type=kind), errors.UnsupportedMedia, 415)
        for kind in (None, "", "text/plain", "application/octet-stream", f"{OFFSET_TYPE}; charset=utf-8", ";")
    ),
    Refused("T-PATCH-03 no offset", patch(upload_offset=None), errors.BadField, 400),
    *(
        Refused(f"T-PATCH-03 {text!r} is no offset", patch(upload_offset=text), errors.BadField, 400)
        for text in ("", "+5", "-1", "1e3", "0x1", "00", "\u0660", "0, 0")
    ),
    Refused("T-PATCH-05 what cannot be an upload", head("HEAD", "f.txt"), errors.NotFound, 404),
    Refused("T-PATCH-05 what is below an upload", head("HEAD", f"{ID}/content"), errors.NotFound, 404),
    Refused("T-DEFER-05 a length that is too great", patch(upload_length="1001"), errors.UploadTooLarge, 413),
    Refused("T-DEFER-03 a length that is none", patch(upload_length="x"), errors.BadField, 400),
    Refused("R-16 an encoding", patch(content_encoding="gzip"), errors.UnsupportedEncoding, 415),
    *(
        Refused(f"T-CSUM-02 {name} is not computed", patch(upload_checksum=f"{name} AAAA"), kind, 400)
        for name, kind in {
            "crc32": errors.DigestUnsupported,
            "SHA1": errors.DigestUnsupported,
            "sha-256": errors.DigestUnsupported,
        }.items()
    ),
    *(
        Refused(f"T-CSUM-04 {text!r} is malformed", patch(upload_checksum=text), errors.DigestInvalid, 400)
        for text in ("", "sha1", "sha1 ", "sha1 !!!!", "sha1 AAAA", f"{SHA1} x", f"{SHA1}=", "sha1 \u00e4")
    ),
    Refused("D-01 a digest that cannot be read", patch(content_digest="sha-256=x"), errors.DigestInvalid, 400),
    Refused("no way to replace the collection", head("PUT"), errors.MethodNotAllowed, 405),
    Refused("nothing to append to the collection", head("PATCH"), errors.MethodNotAllowed, 405),
    Refused("no creation below an upload", head("POST", ID), errors.MethodNotAllowed, 405),
    Refused("T-VER-03 GET is no request of tus", head("GET", ID, tus_resumable=None), errors.MethodNotAllowed, 405),
]


@pytest.mark.parametrize("asked", [*CREATIONS, *OTHERS], ids=lambda asked: asked.row)
def test_a_request_is_a_command(asked: Asked) -> None:
    assert TUS.parse(asked.head) == asked.command


@pytest.mark.parametrize("refused", [*NO_VERSION, *NO_CREATION, *NO_COMMAND], ids=lambda refused: refused.row)
def test_a_request_is_refused(refused: Refused) -> None:
    with pytest.raises(refused.error) as caught:
        TUS.parse(refused.head)
    assert type(caught.value) is refused.error
    reply = TUS.refuse(caught.value, refused.head, HREFS)
    assert reply.status == refused.status
    assert reply.headers["Tus-Resumable"] == "1.0.0", "T-VER-01"
    assert reply.headers.get("Tus-Version") == ("1.0.0" if refused.status == 412 else None), "T-VER-02"


OVERRIDES: Sequence[tuple[str, str, dict[str, str], str]] = [
    ("T-MO-01 PATCH", "POST", {"x-http-method-override": "PATCH"}, "PATCH"),
    ("T-MO-01 DELETE", "POST", {"x-http-method-override": "DELETE"}, "DELETE"),
    ("T-MO-01 HEAD", "POST", {"x-http-method-override": "HEAD"}, "HEAD"),
    ("T-MO-01 itself", "POST", {"x-http-method-override": "POST"}, "POST"),
    ("none", "POST", {}, "POST"),
    ("A-16 only of POST", "GET", {"x-http-method-override": "DELETE"}, "GET"),
    ("A-16 never of OPTIONS", "OPTIONS", {"x-http-method-override": "PATCH"}, "OPTIONS"),
]


@pytest.mark.parametrize(("row", "method", "headers", "meant"), OVERRIDES, ids=[row[0] for row in OVERRIDES])
def test_the_method_that_is_meant(row: str, method: str, headers: dict[str, str], meant: str) -> None:
    assert method_of(method, headers) == meant


@pytest.mark.parametrize("override", ["", "GET", "PUT", "OPTIONS", "patch", "PATCH, DELETE"])
def test_another_override_is_refused(override: str) -> None:
    with pytest.raises(errors.BadField):
        method_of("POST", {"x-http-method-override": override})


WITHOUT: Sequence[tuple[str, Head, type[OnwardError]]] = [
    ("creation-defer-length", post(upload_length=None, upload_defer_length="1"), errors.BadField),
    ("creation-with-upload", post(content_type=OFFSET_TYPE, content_length="3"), errors.UnsupportedMedia),
    ("concatenation", post(upload_concat="partial"), errors.BadField),
    ("checksum", patch(upload_checksum=SHA1), errors.BadField),
    ("termination", head("DELETE", ID), errors.MethodNotAllowed),
]


@pytest.mark.parametrize(("extension", "asked", "error"), WITHOUT, ids=[row[0] for row in WITHOUT])
def test_what_belongs_to_an_extension_is_refused_without_it(
    extension: str, asked: Head, error: type[OnwardError]
) -> None:
    with pytest.raises(error):
        Tus1(LIMITS, extensions={name for name in EXTENSIONS if name.removesuffix("-unfinished") != extension}).parse(
            asked
        )
    assert isinstance(TUS.parse(asked), Cancel | Create | Store)


def test_without_creation_nothing_is_created() -> None:
    with pytest.raises(errors.MethodNotAllowed) as caught:
        Tus1(LIMITS, extensions=["termination"]).parse(post())
    assert caught.value.facts["allowed"] == ["OPTIONS"]


def test_other_places_may_be_chosen_for_the_uploads() -> None:
    asked = post(upload_length=None, upload_concat=f"final;/f/i/{ID}")
    command = Tus1(LIMITS, files="/f/i/").parse(asked)
    assert isinstance(command, Create)
    assert command.spec.sources == (ID,)
    with pytest.raises(errors.NotFound):
        TUS.parse(asked)


@pytest.mark.parametrize(
    "extensions",
    [
        ["creation", "checksum-trailer"],
        ["creation-with-upload"],
        ["concatenation"],
        ["expiration", "x"],
        ["creation", "concatenation-unfinished"],
    ],
)
def test_extensions_that_do_not_exist_or_fit_together(extensions: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no extensions|without creation|without concatenation"):
        Tus1(LIMITS, extensions=extensions)


_NAMES = st.sampled_from(
    [
        *("upload-length", "upload-offset", "upload-defer-length", "upload-metadata", "upload-concat"),
        *("upload-checksum", "content-type", "content-length", "content-digest", "repr-digest"),
        *("content-encoding", "transfer-encoding", "idempotency-key", "host"),
    ]
)
_WORDS = st.sampled_from(
    [*("1", "0", "10", OFFSET_TYPE, "partial", f"final;/files/{ID}", "final;http://[ /x", SHA1), "a YQ==", "sha1 \xff"]
)


@given(
    st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "GET", "OPTIONS", ""]),
    st.one_of(st.text(), st.just(ID), st.just("")),
    st.dictionaries(_NAMES, st.one_of(_WORDS, st.text())),
    st.one_of(st.just("https://example.org"), st.text()),
)
def test_whatever_comes_nothing_but_our_own_error_is_raised(
    method: str, segment: str, headers: dict[str, str], base: str
) -> None:
    asked = Head(method=method, segment=segment, headers={"tus-resumable": "1.0.0", **headers}, base=base)
    with contextlib.suppress(OnwardError):
        TUS.parse(asked)
