"""The immutable description that is published with a file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from onward.core.types import Plan, UploadId
from onward.core.upload import Upload
from onward.errors import OnwardError

FORMAT = "onward-manifest/1"


class ManifestInvalid(OnwardError):
    """A manifest that cannot be read, or that contradicts itself."""

    code = "manifest-invalid"
    title = "The manifest cannot be used"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A run of bytes with its digest, in order of ``start``."""

    start: int
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published file, so that anybody can prove it again: with ``onward verify``, or with ``sha256sum``."""

    format: str = FORMAT
    id: UploadId
    name: str | None
    owner: str | None = None
    length: int
    sha256: str
    parts: tuple[Piece, ...]
    metadata: Mapping[str, str] = {}
    created_at: float
    published_at: float


_decoder = msgspec.json.Decoder(Manifest)


def build(upload: Upload, plan: Plan, sha256: bytes, published_at: float) -> Manifest:
    """The manifest of a sealed upload whose whole was made by that plan and has that digest."""
    pieces = [Piece(start=copy.start, size=copy.size, sha256=copy.digest.value.hex()) for copy in plan.copies]
    return Manifest(
        id=upload.id,
        name=upload.called,
        owner=upload.spec.owner,
        length=plan.size,
        sha256=sha256.hex(),
        parts=tuple(pieces),
        metadata=upload.spec.metadata,
        created_at=upload.created_at,
        published_at=published_at,
    )


def encode(manifest: Manifest) -> bytes:
    """The published form: one line of JSON, with a line end."""
    return msgspec.json.encode(manifest) + b"\n"


def decode(data: bytes) -> Manifest:
    """Read and check a published manifest. Raises ``ManifestInvalid``."""
    try:
        manifest = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestInvalid(f"the manifest cannot be read: {error}") from None
    if manifest.format != FORMAT:
        raise ManifestInvalid(f"this manifest has the format {manifest.format!r}, not {FORMAT!r}")
    at = 0
    for piece in manifest.parts:
        if piece.start != at or piece.size < 0:
            raise ManifestInvalid(f"the parts do not join at byte {at}")
        at += piece.size
    if at != manifest.length:
        raise ManifestInvalid(f"the parts have {at} bytes, the file {manifest.length}")
    return manifest
