"""What can go wrong, named by situation.

Every error that a caller may meet is here; a dialect turns it into a reply, nobody else does.
``code`` is public and stable, ``status_hint`` is a hint that a dialect may override, ``facts``
are the numbers and words a client needs in order to go on.

    OnwardError
    +-- ClientFault                     the request cannot be carried out as sent
    |   +-- BadName                     400 bad-name
    |   +-- BadField                    400 bad-field
    |   +-- BadBody                     400 bad-body
    |   +-- BodyIncomplete              400 body-incomplete
    |   +-- EmptyChunk                  400 empty-chunk
    |   +-- AppendTooSmall              400 append-too-small
    |   +-- DigestInvalid               400 digest-invalid
    |   +-- DigestUnsupported           400 digest-unsupported
    |   +-- Unauthorized                401 unauthorized
    |   +-- Refused                     403 refused
    |   +-- NotFound                    404 not-found
    |   +-- MethodNotAllowed            405 method-not-allowed
    |   +-- Stalled                     408 stalled
    |   +-- OffsetMismatch              409 offset-mismatch
    |   +-- PartConflict                409 part-conflict
    |   +-- LengthConflict              409 length-conflict
    |   +-- DigestConflict              409 digest-conflict
    |   +-- LayoutConflict              409 layout-conflict
    |   +-- NumberedLayout              409 numbered-layout
    |   +-- AlreadyComplete             409 already-complete
    |   +-- Incomplete                  409 incomplete
    |   +-- NameTaken                   409 name-taken
    |   +-- KeyReused                   409 idempotency-key-reused
    |   +-- UploadFailed                409 upload-failed
    |   +-- UploadOver                  409 upload-over
    |   +-- WritersBusy                 409 writers-busy
    |   +-- NotReady                    409 not-ready
    |   +-- VersionUnsupported          412 version-unsupported
    |   +-- UploadTooLarge              413 upload-too-large
    |   +-- ChunkTooLarge               413 chunk-too-large
    |   +-- TooManyChunks               413 too-many-chunks
    |   +-- BodyTooLarge                413 body-too-large
    |   +-- UnsupportedMedia            415 unsupported-media-type
    |   +-- UnsupportedEncoding         415 unsupported-content-encoding
    |   +-- RangeUnsatisfiable          416 range-unsatisfiable
    |   +-- DigestMismatch              422 digest-mismatch
    |   +-- Locked                      423 locked
    |   +-- HeadersTooLarge             431 headers-too-large
    +-- ServerFault                     the request is fine, we cannot carry it out
    |   +-- StorageFault                500 storage-fault
    |   +-- Unreadable                  500 unreadable-journal
    |   +-- Draining                    503 draining
    |   +-- NoSpace                     507 no-space
    +-- Signal                          never a reply; one part of Onward telling another
        +-- ClientGone                  the connection ended before the body did
        +-- Revoked                     a newcomer asked for what this request holds
        +-- VersionConflict             an append met a journal that had moved on
"""

from __future__ import annotations

from typing import ClassVar

Fact = int | str | list[int] | list[list[int]] | list[str]
"""What a fact may be: a number, a word, or a short list of them."""


class OnwardError(Exception):
    """Anything that Onward itself raises.

    ``str(error)`` is one plain sentence for a person; it names no path and no errno.
    """

    code: ClassVar[str] = "error"
    status_hint: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str = "", **facts: Fact) -> None:
        super().__init__(detail or self.title)
        self.facts: dict[str, Fact] = facts

    @property
    def detail(self) -> str:
        """The sentence for a person."""
        return str(self.args[0])


class ClientFault(OnwardError):
    """The request cannot be carried out as it was sent. Always a 4xx."""

    code = "bad-request"
    status_hint = 400
    title = "The request cannot be carried out"


class BadName(ClientFault):
    """A file name or chunk name that Onward does not take. Fact: ``name``."""

    code = "bad-name"
    title = "This name cannot be used"


class BadField(ClientFault):
    """A header, query or JSON field with a value outside its grammar. Facts: ``field``, ``allowed``."""

    code = "bad-field"
    title = "A field has a value that is not allowed"


class BadBody(ClientFault):
    """The body is not the multipart form or the JSON that it claims to be."""

    code = "bad-body"
    title = "The body cannot be read"


class BodyIncomplete(ClientFault):
    """The body ended before it was whole; nothing of this chunk was kept."""

    code = "body-incomplete"
    title = "The body ended early"


class EmptyChunk(ClientFault):
    """A chunk without a byte, in a place where only the sole chunk of an empty file may be."""

    code = "empty-chunk"
    title = "The chunk is empty"


class AppendTooSmall(ClientFault):
    """Fewer bytes than one append must have, unless it is the last. Facts: ``limit``, ``provided``."""

    code = "append-too-small"
    title = "The append is too small"


class DigestInvalid(ClientFault):
    """A digest field that cannot be parsed, or whose value has the wrong size. Facts: ``field``, ``reason``."""

    code = "digest-invalid"
    title = "The digest cannot be read"


class DigestUnsupported(ClientFault):
    """Only digest algorithms that Onward does not compute. Facts: ``field``, ``allowed``."""

    code = "digest-unsupported"
    title = "The digest algorithm is not supported"


class Unauthorized(ClientFault):
    """The route needs a token that was not sent or is wrong."""

    code = "unauthorized"
    status_hint = 401
    title = "A valid token is needed"


class Refused(ClientFault):
    """A hook or a policy says no. Raise it from a hook to refuse a command."""

    code = "refused"
    status_hint = 403
    title = "This is not allowed"


class NotFound(ClientFault):
    """No such upload for this caller. Fact, where it helps: ``did_you_mean``."""

    code = "not-found"
    status_hint = 404
    title = "There is no such upload"


class MethodNotAllowed(ClientFault):
    """A method that has no meaning at this place. Fact: ``allowed``."""

    code = "method-not-allowed"
    status_hint = 405
    title = "The method is not allowed here"


class Stalled(ClientFault):
    """No byte of the body came for longer than the idle limit. Facts: ``seconds``, ``offset``."""

    code = "stalled"
    status_hint = 408
    title = "The request stopped coming"


class OffsetMismatch(ClientFault):
    """The offset sent is not where the upload stands. Facts: ``expected``, ``provided``."""

    code = "offset-mismatch"
    status_hint = 409
    title = "The offset does not match"


class PartConflict(ClientFault):
    """Other bytes are stored for this place already. Facts: ``chunk`` or ``offset``, ``stored``."""

    code = "part-conflict"
    status_hint = 409
    title = "Other bytes are stored for this place"


class LengthConflict(ClientFault):
    """A length, size or total that contradicts what is known. Facts: ``expected``, ``provided``."""

    code = "length-conflict"
    status_hint = 409
    title = "The sizes contradict each other"


class DigestConflict(ClientFault):
    """A whole-file digest that contradicts the one declared before."""

    code = "digest-conflict"
    status_hint = 409
    title = "The digests contradict each other"


class LayoutConflict(ClientFault):
    """A chunk size other than the one this upload was begun with. Facts: ``expected``, ``provided``."""

    code = "layout-conflict"
    status_hint = 409
    title = "The chunk size contradicts the one in use"


class NumberedLayout(ClientFault):
    """Byte offsets mean nothing yet: the chunks of this upload came by number, without a chunk size."""

    code = "numbered-layout"
    status_hint = 409
    title = "This upload is stored by chunk number"


class AlreadyComplete(ClientFault):
    """The upload is sealed or done; the bytes sent were not stored."""

    code = "already-complete"
    status_hint = 409
    title = "The upload is already complete"


class Incomplete(ClientFault):
    """Bytes or chunks are missing. Facts: ``missing`` (chunk runs) or ``holes`` (byte ranges)."""

    code = "incomplete"
    status_hint = 409
    title = "Parts of the file are missing"


class NameTaken(ClientFault):
    """The name belongs to a finished file, or to another one, and may not be used for this. Fact: ``name``."""

    code = "name-taken"
    status_hint = 409
    title = "The name is taken"


class KeyReused(ClientFault):
    """An ``Idempotency-Key`` that was used for a different request."""

    code = "idempotency-key-reused"
    status_hint = 409
    title = "The idempotency key was used for another request"


class UploadFailed(ClientFault):
    """The upload failed and stays failed. Fact: ``reason``."""

    code = "upload-failed"
    status_hint = 409
    title = "The upload has failed"


class UploadOver(ClientFault):
    """The upload was cancelled or has expired; only a new start can follow. Fact: ``reason``."""

    code = "upload-over"
    status_hint = 409
    title = "The upload is over"


class WritersBusy(ClientFault):
    """Chunks are still being written; ask again shortly. Fact: ``retry_after``."""

    code = "writers-busy"
    status_hint = 409
    title = "Chunks are still being written"


class NotReady(ClientFault):
    """The file is not published yet. Fact: ``state``."""

    code = "not-ready"
    status_hint = 409
    title = "The file is not ready yet"


class VersionUnsupported(ClientFault):
    """A protocol version that is not spoken here, or none named where one must be. Facts: ``provided``, ``allowed``."""

    code = "version-unsupported"
    status_hint = 412
    title = "The protocol version is not supported"


class UploadTooLarge(ClientFault):
    """The file is larger than this server takes. Facts: ``limit``, ``provided``."""

    code = "upload-too-large"
    status_hint = 413
    title = "The file is too large"


class ChunkTooLarge(ClientFault):
    """The chunk is larger than a chunk may be. Facts: ``limit`` and, if known, ``provided``."""

    code = "chunk-too-large"
    status_hint = 413
    title = "The chunk is too large"


class TooManyChunks(ClientFault):
    """More chunks than an upload may have. Facts: ``limit``, ``provided``."""

    code = "too-many-chunks"
    status_hint = 413
    title = "There are too many chunks"


class BodyTooLarge(ClientFault):
    """A JSON body or a form that is larger than is read into memory. Facts: ``limit`` and, if known, ``provided``."""

    code = "body-too-large"
    status_hint = 413
    title = "The body is too large"


class UnsupportedMedia(ClientFault):
    """A body of a type that this route does not read. Facts: ``provided``, ``allowed``."""

    code = "unsupported-media-type"
    status_hint = 415
    title = "The type of the body is not supported"


class UnsupportedEncoding(ClientFault):
    """A ``Content-Encoding`` other than identity; bytes are stored as they are, never inflated."""

    code = "unsupported-content-encoding"
    status_hint = 415
    title = "The content encoding is not supported"


class RangeUnsatisfiable(ClientFault):
    """A ``Range`` that lies outside the file. Fact: ``size``."""

    code = "range-unsatisfiable"
    status_hint = 416
    title = "The range lies outside the file"


class DigestMismatch(ClientFault):
    """The bytes that came have another digest than announced. Facts: ``algorithm``, ``expected``, ``computed``."""

    code = "digest-mismatch"
    status_hint = 422
    title = "The bytes do not match their digest"


class Locked(ClientFault):
    """Somebody else holds what this request needs. Fact: ``retry_after``."""

    code = "locked"
    status_hint = 423
    title = "The upload is busy"


class HeadersTooLarge(ClientFault):
    """More header bytes than the server reads. Fact: ``limit``."""

    code = "headers-too-large"
    status_hint = 431
    title = "The headers are too large"


class ServerFault(OnwardError):
    """The request is fine, the server cannot carry it out. Always a 5xx; nothing recorded is lost."""

    code = "server-fault"
    status_hint = 500
    title = "The server cannot carry this out"


class StorageFault(ServerFault):
    """Reading or writing bytes failed; what was not acknowledged must be sent again."""

    code = "storage-fault"
    title = "The storage failed"


class Unreadable(ServerFault):
    """The upload's journal holds events of a newer version; it may be read, not changed."""

    code = "unreadable-journal"
    title = "This upload was written by a newer version"


class Draining(ServerFault):
    """The server is shutting down; what it acknowledged is safe. Fact: ``retry_after``."""

    code = "draining"
    status_hint = 503
    title = "The server is shutting down"


class NoSpace(ServerFault):
    """The disk has no room; what was acknowledged is safe, the rest may be sent when there is room."""

    code = "no-space"
    status_hint = 507
    title = "There is no space left"


class Signal(OnwardError):
    """One part of Onward telling another; never shown to a client."""

    code = "signal"


class ClientGone(Signal):
    """The connection ended before the body did."""

    code = "client-gone"


class Revoked(Signal):
    """A newcomer asked for what this request holds."""

    code = "revoked"


class VersionConflict(Signal):
    """An append expected a journal version that is no longer the newest. Facts: ``expected``, ``found``."""

    code = "version-conflict"
