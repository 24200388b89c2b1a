"""When an upload that is made of others is sealed, and when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from onward.core.admission import admit
from onward.core.completion import conclude, seal
from onward.core.digest import SHA256
from onward.core.joining import COPIES, check_source, check_spec, check_sum, is_whole, joined, lost
from onward.core.plan import plan
from onward.core.types import (
    AnyEvent,
    Append,
    Copy,
    Created,
    Declaration,
    Declared,
    Digest,
    Event,
    Failed,
    Layout,
    Limits,
    Number,
    Offset,
    Policy,
    Record,
    Seal,
    Sealed,
    Spec,
    State,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.errors import BadField, NotFound, OnwardError, Refused, TooManyChunks, UploadTooLarge
from tests.unit.folding import CANCELLED, FAILED, FLAT, LIMITS, NUMBERED, UNKNOWN, length, part, sealed

ONE, TWO, ALL = UploadId("1" * 32), UploadId("2" * 32), UploadId("f" * 32)


def upload(id: UploadId, spec: Spec, *events: AnyEvent, **policy: Any) -> Upload:
    begun = Created(id=id, spec=spec, policy=Policy(**policy))
    return Upload.fold(id, [Record(n, float(n), event) for n, event in enumerate([begun, *events], 1)])


def source(id: UploadId, *events: AnyEvent, **declared: Any) -> Upload:
    return upload(id, Spec(partial=True, declared=Declaration(**declared)), *events)


def final(*events: AnyEvent, sources: tuple[UploadId, ...] = (ONE, TWO), digest: Digest | None = None) -> Upload:
    return upload(ALL, Spec(sources=sources, declared=Declaration(digest=digest)), *events)


def by_id(*uploads: Upload) -> dict[UploadId, Upload]:
    return {one.id: one for one in uploads}


WHOLE_ONE = source(ONE, FLAT, part(0, 5), part(5, 2), length=7)
WHOLE_TWO = source(TWO, NUMBERED, part(2, 3), part(1, 5), length=8)
OPEN_TWO = source(TWO, FLAT, part(0, 5), length=8)
UNSAID_TWO = source(TWO, FLAT, part(0, 5))


@pytest.mark.parametrize(
    ("piece", "whole"),
    [
        (WHOLE_ONE, True),
        (WHOLE_TWO, True),
        (source(ONE, length=0), True),
        (source(ONE, length=1), False),
        (source(ONE), False),
        (OPEN_TWO, False),
        (UNSAID_TWO, False),
        (source(ONE, FLAT, part(4, 4), length=8), False),
        (source(ONE, FLAT, part(0, 5), CANCELLED, length=5), False),
    ],
)
def test_a_piece_is_whole_with_its_last_byte(piece: Upload, *, whole: bool) -> None:
    assert is_whole(piece) is whole


@pytest.mark.parametrize(
    ("upload", "sources", "events"),
    [
        (final(), (WHOLE_ONE, WHOLE_TWO), [length(15), Sealed(length=15, parts=4)]),
        (final(length(15)), (WHOLE_ONE, WHOLE_TWO), [Sealed(length=15, parts=4)]),
        (final(sources=(ONE, TWO, ONE)), (WHOLE_ONE, WHOLE_TWO), [length(22), Sealed(length=22, parts=6)]),
        (final(sources=(ONE,)), (source(ONE, length=0),), [length(0), Sealed(length=0, parts=0)]),
        (final(), (WHOLE_ONE, OPEN_TWO), [length(15)]),
        (final(length(15)), (WHOLE_ONE, OPEN_TWO), []),
        (final(), (WHOLE_ONE, UNSAID_TWO), []),
        (final(sealed(15, 4)), (WHOLE_ONE, WHOLE_TWO), []),
        (final(FAILED), (WHOLE_ONE,), []),
        (final(UNKNOWN), (WHOLE_ONE, WHOLE_TWO), []),
        (WHOLE_ONE, (), []),
    ],
)
def test_it_is_sealed_when_all_its_sources_are_whole(
    upload: Upload, sources: tuple[Upload, ...], events: list[Event]
) -> None:
    assert joined(upload, by_id(*sources), LIMITS) == events


def test_the_declared_digest_goes_with_the_seal() -> None:
    said = Digest("md5", bytes(16))
    events = joined(final(digest=said), by_id(WHOLE_ONE, WHOLE_TWO), LIMITS)
    assert events == [Declared(declared=Declaration(length=15)), Sealed(length=15, parts=4, digest=said)]
    done = final(*events, digest=said)
    assert plan(done, [WHOLE_ONE, WHOLE_TWO]).algorithms == (SHA256, "md5")
    assert (done.offset, final(length(15)).offset) == (15, 0)


@pytest.mark.parametrize(
    ("sources", "word"),
    [
        ((WHOLE_ONE,), "unknown"),
        ((WHOLE_ONE, source(TWO, FLAT, CANCELLED)), "cancelled"),
        ((WHOLE_ONE, source(TWO, FLAT, FAILED)), "failed"),
        ((source(ONE, CANCELLED), OPEN_TWO), "cancelled"),
    ],
)
def test_without_a_source_it_fails(sources: tuple[Upload, ...], word: str) -> None:
    (event,) = joined(final(), by_id(*sources), LIMITS)
    assert isinstance(event, Failed)
    assert event.code == "source-gone"
    assert event.detail.endswith(f"is {word}")


def test_what_grows_too_large_fails() -> None:
    large = source(TWO, length=58)
    assert joined(final(), by_id(WHOLE_ONE, large), LIMITS) == [
        Failed(code="upload-too-large", detail="a file may have 64 bytes, these uploads have 65")
    ]
    with pytest.raises(UploadTooLarge):
        check_sum([WHOLE_ONE, large], LIMITS)
    unsaid = source(TWO, FLAT, part(0, 58))
    with pytest.raises(UploadTooLarge):  # what has come already counts
        check_sum([WHOLE_ONE, unsaid], LIMITS)
    assert check_sum([WHOLE_ONE, UNSAID_TWO], LIMITS) == 12


def test_it_may_have_more_parts_than_one_upload_but_not_any_number() -> None:
    limits = Limits(max_size=1 << 30, max_chunks=1)
    assert check_sum([WHOLE_ONE] * (COPIES // 2), limits) == 7 * COPIES // 2
    with pytest.raises(TooManyChunks):
        check_sum([WHOLE_ONE] * (COPIES // 2 + 1), limits)
    many = final(sources=(ONE,) * (COPIES // 2 + 1))
    (event,) = joined(many, by_id(WHOLE_ONE), limits)
    assert isinstance(event, Failed)
    assert event.code == "too-many-chunks"


@pytest.mark.parametrize(
    ("spec", "body", "error"),
    [
        (Spec(partial=True, sources=(ONE,)), False, BadField),
        (Spec(sources=(ONE,), declared=Declaration(length=7)), False, BadField),
        (Spec(sources=(ONE,), declared=Declaration(part_size=7)), False, BadField),
        (Spec(sources=(ONE,)), True, Refused),
        # The digest of the whole may be declared; others are not meant at all.
        (Spec(sources=(ONE,), declared=Declaration(digest=Digest("md5", bytes(16)))), False, None),
        (Spec(partial=True, declared=Declaration(length=7)), True, None),
        (Spec(declared=Declaration(length=7)), True, None),
    ],
)
def test_what_is_made_of_others_has_only_a_digest_of_its_own(
    spec: Spec, error: type[OnwardError] | None, *, body: bool
) -> None:
    refused: OnwardError | None = None
    try:
        check_spec(spec, has_body=body)
    except OnwardError as found:
        refused = found
    assert (refused and type(refused)) is error


def test_only_pieces_that_are_there_can_be_joined() -> None:
    check_source(OPEN_TWO)
    with pytest.raises(BadField):
        check_source(upload(ONE, Spec()))
    with pytest.raises(BadField):
        check_source(final())
    with pytest.raises(NotFound):
        check_source(source(ONE, CANCELLED))


@pytest.mark.parametrize("at", [Append(0), Offset(0), Number(1)])
@pytest.mark.parametrize("state", [(), (sealed(15, 4),)])
def test_no_byte_is_sent_to_it(at: Append | Offset | Number, state: tuple[AnyEvent, ...]) -> None:
    with pytest.raises(Refused):
        admit(final(*state), Store(target=ALL, at=at, size=1), LIMITS)


@pytest.mark.parametrize("one", [final(), WHOLE_ONE])
@pytest.mark.parametrize("cmd", [Seal(target=ALL), Seal(target=ALL, parts=0), Seal(target=ALL, length=0)])
def test_nobody_seals_it_nor_a_piece(one: Upload, cmd: Seal) -> None:
    with pytest.raises(Refused):
        seal(one, cmd, LIMITS)


def test_the_copies_lie_end_to_end_each_where_its_source_has_it() -> None:
    made = plan(final(sealed(22, 6), sources=(ONE, TWO, ONE)), [WHOLE_ONE, WHOLE_TWO, WHOLE_ONE])
    assert (made.layout, made.size) == (Layout.NUMBERED, 22)
    flat, numbered = Layout.FLAT, Layout.NUMBERED
    assert [(c.source, c.layout, c.key, c.start, c.size) for c in made.copies] == [
        (ONE, flat, 0, 0, 5),
        (ONE, flat, 5, 5, 2),
        (TWO, numbered, 1, 7, 5),
        (TWO, numbered, 2, 12, 3),
        (ONE, flat, 0, 15, 5),
        (ONE, flat, 5, 20, 2),
    ]
    assert made.copies[2].digest == part(1, 5).digest


@pytest.mark.parametrize("sources", [(), (WHOLE_ONE,), (WHOLE_TWO, WHOLE_ONE)])
def test_a_plan_needs_the_very_sources(sources: tuple[Upload, ...]) -> None:
    with pytest.raises(ValueError, match="made of other"):
        plan(final(sealed(15, 4)), sources)


@pytest.mark.parametrize("reopens", [True, False])
def test_damage_is_its_end_since_nothing_can_be_sent_again(*, reopens: bool) -> None:
    one = upload(ALL, Spec(sources=(ONE,)), sealed(7, 2), reopens=reopens)
    assert one.state is State.SEALED
    (event,) = conclude(one, [5], {})
    assert isinstance(event, Failed)
    assert event.code == "damaged"


def test_what_lacks_because_its_source_is_gone_is_not_called_damaged() -> None:
    one = final(sealed(15, 4))
    gone = Failed(code="source-gone", detail=f"upload {TWO}, which it is made of, is no more")
    assert lost(one, [TWO], by_id(WHOLE_ONE, source(TWO, FLAT, CANCELLED))) == [gone]
    assert lost(one, [TWO], by_id(WHOLE_ONE)) == [gone]
    assert lost(one, [ONE], by_id(WHOLE_ONE)) == []
    assert lost(final(), [TWO], by_id(WHOLE_ONE)) == []


def test_a_copy_says_where_its_bytes_lie() -> None:
    copy = plan(upload(ONE, Spec(), FLAT, part(0, 5), sealed(5, 1))).copies[0]
    assert copy == Copy(source=ONE, layout=Layout.FLAT, key=0, start=0, size=5, digest=part(0, 5).digest)
