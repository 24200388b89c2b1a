"""Refusals as problem details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from onward import errors
from onward.errors import OnwardError
from onward.wire.message import Head, Reply
from onward.wire.problem import TYPE_PREFIX, problem


class Refusal(NamedTuple):
    row: str
    error: OnwardError
    status: int
    headers: dict[str, str]
    members: dict[str, Any]


REFUSALS: Sequence[Refusal] = [
    Refusal(
        "C-08 a conflict says where to go on",
        errors.OffsetMismatch(expected=12, provided=20),
        409,
        {"Upload-Offset": "12"},
        {"code": "offset-mismatch", "expected": 12, "provided": 20},
    ),
    Refusal(
        "what stalled says how far it came",
        errors.Stalled(seconds=30, offset=7),
        408,
        {"Upload-Offset": "7"},
        {"seconds": 30, "offset": 7},
    ),
    Refusal(
        "the place of a conflict is not where the upload stands",
        errors.PartConflict(offset=7),
        409,
        {},
        {"code": "part-conflict", "offset": 7},
    ),
    Refusal("what lacks", errors.Incomplete(missing=[[2, 3]]), 409, {}, {"missing": [[2, 3]]}),
    Refusal("when to come again", errors.WritersBusy(retry_after=2), 409, {"Retry-After": "2"}, {"retry_after": 2}),
    Refusal(
        "while it ends", errors.Draining(retry_after=1, offset=5), 503, {"Retry-After": "1", "Upload-Offset": "5"}, {}
    ),
    Refusal("a name almost right", errors.NotFound(did_you_mean="f"), 404, {}, {"did_you_mean": "f"}),
    Refusal("a failed upload", errors.UploadFailed(reason="damaged"), 409, {}, {"reason": "damaged"}),
    Refusal("no token", errors.Unauthorized(), 401, {"WWW-Authenticate": "Bearer"}, {}),
    Refusal("outside the file", errors.RangeUnsatisfiable(size=9), 416, {"Content-Range": "bytes */9"}, {"size": 9}),
    Refusal("an encoding", errors.UnsupportedEncoding(), 415, {"Accept-Encoding": "identity"}, {}),
    Refusal(
        "D-09 an algorithm",
        errors.DigestUnsupported(field="Repr-Digest", allowed=["sha-256"]),
        400,
        {"Want-Repr-Digest": "sha-256=10, sha-512=9"},
        {"allowed": ["sha-256"]},
    ),
    Refusal(
        "a fact may not take the place of a member",
        errors.BadField("no", status=1, type="x", code="y", title="t"),
        400,
        {},
        {"status": 400, "code": "bad-field", "detail": "no", "type": "urn:onward:problem:bad-field"},
    ),
    Refusal(
        "half a surrogate pair",
        errors.BadName("\ud800", name="a\ud800", allowed=["\ud800"]),
        400,
        {},
        {"detail": "?", "name": "a?", "allowed": ["?"]},
    ),
    Refusal(
        "a word between our own parts is not shown",
        errors.VersionConflict("journal of /srv", expected=1, found=2),
        500,
        {},
        {"code": "server-fault", "detail": "The server cannot carry this out"},
    ),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.row)
def test_an_error_is_a_problem(refusal: Refusal) -> None:
    reply = problem(refusal.error)
    assert reply.status == refusal.status
    assert reply.headers == {"Cache-Control": "no-store"} | refusal.headers
    assert reply.media_type == "application/problem+json"
    shown = msgspec.json.decode(reply.body)
    assert {name: shown[name] for name in refusal.members} == refusal.members
    assert {"type", "title", "status", "detail", "code"} <= set(shown)


def every(kind: type[OnwardError]) -> list[type[OnwardError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in every(below))]


@pytest.mark.parametrize("kind", every(errors.ClientFault) + every(errors.ServerFault), ids=lambda kind: kind.code)
def test_every_error_is_told_with_its_code_and_sentence(kind: type[OnwardError]) -> None:
    reply = problem(kind())
    shown = msgspec.json.decode(reply.body)
    assert (reply.status, shown["status"]) == (kind.status_hint, kind.status_hint)
    assert (shown["type"], shown["code"]) == (TYPE_PREFIX + kind.code, kind.code)
    assert (shown["title"], shown["detail"]) == (kind.title, kind.title)


def test_a_refused_head_has_no_body() -> None:
    reply = problem(errors.NotFound(), Head(method="HEAD", segment="f.txt"))
    assert reply == Reply(status=404, headers={"Cache-Control": "no-store"})
