"""The IETF draft through the whole application, over memory backends. Rows are named by their requirement."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

import pytest

from onward.web.plugin import OnwardPlugin
from onward.wire.draft import Draft
from onward.wire.draft_versions import VERSIONS
from tests.protocol.files_rows import (
    CHUNKED,
    Room,
    Row,
    Step,
    append,
    begin,
    digest,
    draft,
    patch,
    post,
    room,
    sha1,
    told,
    with_settings,
)

pytestmark = pytest.mark.anyio

NOBODY = f"/files/{'0' * 32}"
TEN = {"Upload-Length": "10"}
FROM_6 = [number for number in VERSIONS if number >= 6]
MD5_OF_ABD = base64.b64encode(hashlib.md5(b"abd", usedforsecurity=False).digest()).decode()
LIMITS = "max-size=1000, min-size=0, max-append-size=1000, min-append-size=0"


@pytest.fixture
async def files() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


ROWS: Sequence[Row] = [
    Row(
        "R-20 R-21 R-22 R-13 discovery beside that of tus, the same limits as after creation",
        [
            draft("OPTIONS", "/files", 200, has={
                "Upload-Limit": f"{LIMITS}, max-age=604800", "Accept-Patch": "application/partial-upload",
                "Tus-Version": "1.0.0",
            }),
            begin(),
            draft("OPTIONS", "@", 200, has={"Accept-Patch": "application/partial-upload"}),
        ],
    ),
    Row(
        "R-31 R-50 a creation that goes on",
        [
            begin(b"abc", headers=TEN, has={"Upload-Offset": "3", "Upload-Complete": "?0"}),
            told(3, has={"Upload-Length": "10", "Cache-Control": "no-store"}),
            draft("GET", "@", 204, has={"Upload-Offset": "3", "Upload-Complete": "?0"}),
        ],
    ),
    Row(
        "R-32 R-34 the whole at once",
        [
            begin(b"abc", complete="?1", status=202, has={"Upload-Complete": "?1", "Upload-Offset": "3"}),
            draft("POST", "/files", 400, body=b"abc", headers={"Upload-Complete": "?1", **TEN}, has={
                "Upload-Complete": "?0"
            }),
        ],
    ),
    Row(
        "R-11 a completeness that cannot be read: an ordinary upload",
        [draft("POST", "/files", 202, body=b"abc", headers={"Upload-Complete": "true"})],
    ),
    Row(
        "R-10 an offset that cannot be read, R-61 none",
        [
            begin(),
            *(append(0, b"a", 400, headers={"Upload-Offset": text}) for text in ("abc", "-1", '"5"', "5.0", "0, 1")),
            append(0, b"a", 204, headers={"Upload-Offset": "0;a=1"}),
            told(1),
        ],
    ),
    Row("R-12 a length that cannot be read", [
        begin(headers={"Upload-Length": "-1"}), told(0, lacks=["Upload-Length"])
    ]),
    Row("R-16 a coding is not taken off", [
        begin(b"abc", status=415, headers={"Content-Encoding": "gzip"}, lacks=["Location"]),
        begin(),
        append(0, b"abc", 415, headers={"Content-Encoding": "gzip"}),
        told(0),
    ]),
    Row("R-40 begun at 0, or not at all", [
        begin(headers={"Upload-Offset": "0"}), begin(status=400, headers={"Upload-Offset": "1"})
    ]),
    Row("R-36 larger than is taken", [
        begin(status=413, headers={"Upload-Length": "1001"}, has={"Upload-Limit": f"{LIMITS}, max-age=604800"})
    ]),
    Row("R-37 R-63 what came before the client left stays, and is not all", [
        begin(),
        append(0, [b"abc", b"de"], 0, complete="?1", gone=True),
        told(5),
        append(5, b"f", 202, complete="?1"),
        told(6, complete="?1", has={"Upload-Length": "6"}),
    ]),
    Row("R-53 fields that are for bytes alone", [
        begin(), *(draft(method, "@", 400, headers={"Upload-Offset": "0"}) for method in ("HEAD", "DELETE")), told(0)
    ]),
    Row("R-60 another media type", [
        begin(), *(append(0, b"a", 415, version=n, headers={"Content-Type": "text/plain"}) for n in FROM_6), told(0)
    ]),
    Row("R-61 R-15 another offset", [
        begin(b"abc"),
        append(2, b"x", 409, has={"Upload-Offset": "3", "Upload-Complete": "?0"}),
        append(4, b"x", 409, has={"Upload-Offset": "3", "Upload-Complete": "?0"}),
        told(3),
    ]),
    Row("R-62 no completeness", [
        begin(b"a"), append(1, b"b", 400, complete=None), told(1),
        append(1, b"b", 201, complete=None, version=3),
        told(2, complete="?1"),
        begin(version=5), append(0, b"a", 201, complete=None, version=5), told(1),
    ]),
    Row("R-64 R-63 bytes that go on", [
        begin(),
        append(0, b"abc", 204, has={"Upload-Offset": "3", "Upload-Complete": "?0"}),
        append(3, [b"d", b"ef"], 204, headers=CHUNKED, has={"Upload-Offset": "6"}),
        told(6),
    ]),
    Row("R-65 R-55 R-51 the last bytes; then it is there still", [
        begin(b"abc"),
        append(3, b"de", 202, complete="?1", has={"Upload-Complete": "?1", "Upload-Offset": "5"}),
        told(5, complete="?1", lacks=["Location"]),
    ]),
    Row("R-66 the end without a byte; its offset alone never ends it", [
        begin(b"abcdefghij", headers=TEN), told(10), append(10, b"", 202, complete="?1"), told(10, complete="?1")
    ]),
    Row("R-67 another length", [
        begin(b"abc", headers=TEN),
        append(3, b"de", 400, headers={"Upload-Length": "11"}, has={"Upload-Complete": "?0"}),
        append(3, b"de", 400, complete="?1", has={"Upload-Complete": "?0"}),
        append(3, [b"d", b"e"], 400, complete="?1", headers=CHUNKED, has={"Upload-Complete": "?0"}),
    ]),
    Row("R-68 bytes beyond the length are the end of it", [
        begin(b"abc", headers=TEN),
        append(3, [b"defgh", b"ijklm"], 400, headers=CHUNKED),
        draft("HEAD", "@", 410, lacks=["Upload-Offset"]),
        append(10, b"", 410, complete="?1"),
        begin(b"abc", headers={"Upload-Length": "2"}, status=400),
    ]),
    Row("R-69 the last request again", [
        begin(b"abc", complete="?1", status=202),
        append(3, b"", 202, complete="?1", has={"Upload-Complete": "?1"}),
        append(3, b"x", 400, complete="?1"),
        told(3, complete="?1"),
    ]),
    Row("R-80 an upload is taken away", [
        begin(b"abc"), draft("DELETE", "@", 204), draft("HEAD", "@", 410), append(3, b"d", 410),
        draft("DELETE", NOBODY, 404), draft("HEAD", NOBODY, 404, lacks=["Upload-Offset"]),
    ]),
    Row("D-04 a body with another digest is not appended", [
        begin(),
        append(0, b"abc", 400, headers={"Content-Digest": digest(b"abd")}),
        told(0),
        append(0, [b"a", b"bc"], 0, headers={"Content-Digest": digest(b"abc")}, gone=True),
        told(0),
        append(0, b"abc", 204, headers={"Content-Digest": digest(b"abc")}),
        told(3),
        append(3, b"abc", 400, headers={"Content-Digest": "sha-256=abc"}),
        told(3),
    ]),
    Row("D-05 a whole with another digest is the end of it", [
        begin(b"abc", headers={"Repr-Digest": digest(b"abcde")}),
        append(3, b"dx", 400, complete="?1", has={"Upload-Complete": "?1"}),
        draft("HEAD", "@", 410),
        begin(b"abc", complete="?1", status=400, headers={"Repr-Digest": digest(b"abd")}, has={
            "Upload-Complete": "?1"
        }),
        begin(b"abc", complete="?1", status=202, headers={"Repr-Digest": digest(b"abc")}),
    ]),
    Row("D-03 D-02 digests of old, and one that is not computed", [
        begin(),
        append(0, b"abc", 400, headers={"Content-Digest": f"md5=:{MD5_OF_ABD}:"}),
        append(0, b"abd", 204, headers={"Content-Digest": f"crc32c=:AAAA:, md5=:{MD5_OF_ABD}:"}),
        append(3, b"e", 400, headers={"Content-Digest": "crc32c=:AAAA:"}),
        told(3),
    ]),
    Row("R-42 an empty file of a client that sends no more", [
        begin(version=5, headers={"Upload-Length": "0"}), told(0, complete="?1", version=5)
    ]),
    Row("D-06 the digest that is wanted", [
        begin(b"abc", complete="?1", status=202, headers={"Want-Repr-Digest": "sha-256=10"}, has={
            "Repr-Digest": digest(b"abc")
        }),
        begin(b"abc", complete="?1", status=202, lacks=["Repr-Digest"]),
    ]),
]  # fmt: skip


async def test_the_digest_that_is_wanted_comes_as_soon_as_it_is_known(files: Room) -> None:
    """D-06: several parts are hashed as a whole only when they are verified; then whoever asks is told."""
    wants = {"Want-Repr-Digest": "sha-512=3, sha-256=10"}
    await files.play([
        begin(b"abc", headers=wants),
        append(3, b"def", 202, complete="?1", lacks=["Repr-Digest"]),
        told(6, complete="?1", lacks=["Repr-Digest"]),
    ])  # fmt: skip
    await files.engine.finish(files.id)
    whole = {"Repr-Digest": digest(b"abcdef")}
    await files.play([
        told(6, complete="?1", has=whole),
        draft("GET", "@", 204, has=whole),
        append(6, b"", 200, complete="?1", has=whole),
        # What a request says goes before what was said at first.
        told(6, complete="?1", headers={"Want-Repr-Digest": "sha-256=0"}, lacks=["Repr-Digest"]),
    ])  # fmt: skip
    await files.play([begin(b"abc"), append(3, b"def", 202, complete="?1")])
    await files.engine.finish(files.id)
    await files.play([
        told(6, complete="?1", lacks=["Repr-Digest"]),
        told(6, complete="?1", headers={"Want-Repr-Digest": "sha-256=1"}, has=whole),
    ])  # fmt: skip


async def test_a_body_with_a_digest_may_be_as_large_as_any() -> None:
    """R-71 D-04: what Upload-Limit says is what is taken, with Content-Digest too."""
    body = bytes(range(250))
    async with room(with_settings(max_chunk=100)) as files:
        limit = (await files.ask(draft("OPTIONS", "/files", 200))).headers["upload-limit"]
        assert "max-append-size=1000" in limit
        await files.play([
            begin(),
            append(0, body, 204, headers={"Content-Digest": digest(body)}),
            append(250, [body[:125], body[125:]], 204, headers={"Content-Digest": digest(body)}),
            append(500, body, 400, headers={"Content-Digest": digest(b"other bytes")}),
            told(500),
            append(500, bytes(501), 413, has={"Upload-Offset": "500"}),
            told(500),
            post(headers={"Upload-Length": "250"}),
            patch(0, body, headers={"Upload-Checksum": sha1(body)}),
        ])  # fmt: skip


async def test_d_05_which_digest_the_whole_does_not_have(files: Room) -> None:
    """Announced when it began, seen with the last byte of another request."""
    await files.play([begin(b"abc", headers={"Repr-Digest": digest(b"abcde")})])
    answer = await files.ask(append(3, b"dx", 400, complete="?1"))
    assert answer.json()["mismatched_digests"] == [
        {"algorithm": "sha-256", "provided_digest": digest(b"abcde").partition("=")[2], "header": "Repr-Digest"}
    ]
    assert "expected" not in answer.json()


async def test_r_71_a_body_of_unsaid_length_is_held_to_the_limits_of_one_append() -> None:
    """What it brought within them is kept, and told."""
    async with room() as files:
        site = next(plugin for plugin in files.app.plugins if isinstance(plugin, OnwardPlugin)).site
        site.draft = Draft(site.settings.limits, min_append=4, max_append=8)
        sizes = "min-size=0, max-append-size=8, min-append-size=4"
        limit = {"Upload-Limit": f"max-size=1000, {sizes}"}
        await files.play([
            begin(),
            append(0, [b"abcde", b"fghi"], 413, headers=CHUNKED, has={**limit, "Upload-Offset": "5"}),
            append(5, [b"fg", b"h"], 400, headers=CHUNKED, code="append-too-small", has=limit),
            append(8, [b"ijkl", b"mnop"], 204, headers=CHUNKED),
            append(16, [b"q"], 202, complete="?1", headers=CHUNKED),
            begin([b"abcdefgh", b"i"], status=413, headers=CHUNKED, has=limit),
            begin([b"ab"], status=400, headers=CHUNKED, code="append-too-small"),
            begin([b"ab"], status=202, complete="?1", headers=CHUNKED),
            begin(headers=CHUNKED),
        ])  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_draft(files: Room, row: Row) -> None:
    await files.play(row.steps)


async def test_the_answer_is_about_the_upload_and_the_content_lies_elsewhere(files: Room) -> None:
    """R-54 R-51: neither HEAD nor GET of a client of the draft leads away."""
    await files.play([begin(b"abc", complete="?1", status=202)])
    assert await files.stored() == b"abc"
    for method in ("HEAD", "GET"):
        answer = await files.ask(draft(method, "@", 204))
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["upload-complete"] == "?1"
    assert (await files.driver.send("GET", files.begun[-1])).status == 303


async def test_limits_stay_as_they_were_told(files: Room) -> None:
    """R-14: from discovery to the last byte; the remaining time alone counts down."""
    steps = (draft("OPTIONS", "/files", 200), begin(headers=TEN), told(0), append(0, b"abc", 204), told(3))
    told_limits = [(await files.ask(step)).headers["upload-limit"].partition(", max-age=") for step in steps]
    assert {sizes for sizes, _, _ in told_limits} == {LIMITS}
    ages = [int(age) for _, _, age in told_limits[:3]]  # a byte that comes sets it back to the start
    assert ages == sorted(ages, reverse=True)


class Said(NamedTuple):
    status: int
    headers: dict[str, str]


class Interims:
    """What a server that can is asked to send before the response."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    async def __call__(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.said.append(Said(status, {name.decode(): value.decode() for name, value in headers}))

    @property
    def offered(self) -> dict[str, Any]:
        return {"extensions": {"http.response.informational": self}}


async def ask(files: Room, step: Step, interims: Interims) -> Any:
    headers = {name: files.told(value) for name, value in step.headers.items()}
    answer = await files.driver.send(
        step.method, files.told(step.path), step.body, headers, gone=step.gone, **interims.offered
    )
    assert answer.status == step.status or not step.status, answer
    return answer


@pytest.mark.parametrize("number", VERSIONS)
async def test_the_url_is_told_before_the_body_has_come(files: Room, number: int) -> None:
    """R-30 R-33 R-02 R-37 R-41: a client that is cut off goes on from the 104, and the body is still asked for."""
    said = {"Upload-Incomplete": "?0"} if number == 3 else {"Upload-Complete": "?1"}
    interims = Interims()
    step = Step("POST", "/files", 0, {
        "Upload-Draft-Interop-Version": str(number), "Content-Length": "9", "Expect": "100-continue", **said
    }, [b"ab", b"cd"], gone=True)  # fmt: skip
    answer = await ask(files, step, interims)
    assert answer.taken == 4
    (first,) = interims.said
    assert first.status == 104
    assert first.headers["upload-draft-interop-version"] == str(number)
    assert ("upload-limit" in first.headers) == (number >= 6)
    files.begun.append(first.headers["location"].removeprefix("http://up.test"))
    await files.play([told(4), append(4, b"efghi", 202, complete="?1")])
    assert await files.stored() == b"abcdefghi"


async def test_progress_has_no_location() -> None:
    """R-70 R-33: the offset alone, and the final response repeats where."""
    async with room(with_settings(segment=4)) as files:
        await files.play([begin()])
        interims = Interims()
        answer = await ask(files, append(0, [b"abcd", b"ef"], 204), interims)
        assert [one.headers for one in interims.said] == [{"upload-offset": "4", "upload-draft-interop-version": "8"}]
        assert answer.headers["upload-offset"] == "6"


EIGHT = {"Upload-Complete": "?0", "Upload-Draft-Interop-Version": "8"}
SILENT: Sequence[tuple[str, dict[str, str], dict[str, str], dict[str, Any]]] = [
    ("R-01 no version", {"Upload-Complete": "?0"}, {}, {}),
    ("R-01 R-03 an unknown version", {"Upload-Complete": "?0", "Upload-Draft-Interop-Version": "99"}, {}, {}),
    ("R-30 the operator says never", EIGHT, {"send_104": "never"}, {}),
    ("R-30 through a proxy", {**EIGHT, "Via": "1.1 p"}, {}, {}),
    ("R-30 through a proxy that says for whom", {**EIGHT, "X-Forwarded-For": "192.0.2.1"}, {}, {}),
    ("R-30 through a proxy of RFC 7239", {**EIGHT, "Forwarded": "for=192.0.2.1"}, {}, {}),
    ("R-30 HTTP/1.0", EIGHT, {}, {"http_version": "1.0"}),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "settings", "scope"), [row[1:] for row in SILENT], ids=[row[0] for row in SILENT])
async def test_nothing_is_said_early(headers: dict[str, str], settings: dict[str, Any], scope: dict[str, Any]) -> None:
    async with room(with_settings(**settings)) as files:
        interims = Interims()
        answer = await files.driver.send("POST", "/files", b"abc", headers, **{**interims.offered, **scope})
        assert (answer.status, interims.said) == (201, [])
        assert answer.headers["upload-offset"] == "3"
