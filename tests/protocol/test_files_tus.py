"""tus 1.0 through the whole application, over memory backends. Rows are named by the requirement they stand for."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence

import pytest

from onward.web.cors import EXPOSED
from onward.wire import tus1
from tests.protocol.files_rows import (
    BYTES,
    CHUNKED,
    TUS,
    Room,
    Row,
    Step,
    patch,
    post,
    room,
    sha1,
    stands,
    tus,
    with_settings,
)

pytestmark = pytest.mark.anyio

DEFERRED = {"Upload-Defer-Length": "1"}
ABC = {"Upload-Checksum": sha1(b"abc")}
BOGUS = {"Tus-Resumable": "0.2.2"}
ODD = base64.b64encode(b"../a\r\nX: y\0").decode()
AS_SENT = f"b ,filename {ODD}, a d29ybGQ="


@pytest.fixture
async def files() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


ROWS: Sequence[Row] = [
    Row(
        "T-CREATE-01 T-HEAD-01 T-HEAD-02 T-HEAD-03 T-HEAD-04 from creation to the last byte",
        [
            post(lacks=["Upload-Defer-Length"], has={"Upload-Offset": "0"}),
            stands(0, has={"Upload-Length": "10", "Cache-Control": "no-store"}),
            patch(0, b"abcde", has={"Upload-Offset": "5"}),
            patch(5, b"fghij", has={"Upload-Offset": "10"}),
            stands(10, has={"Upload-Length": "10", "Cache-Control": "no-store"}, lacks=["Upload-Expires"]),
        ],
    ),
    Row(
        "T-HEAD-06 T-PATCH-07 what came before the client left can be relied on",
        [post(), patch(0, [b"abc", b"def"], 0, gone=True), stands(6), patch(6, b"ghij", has={"Upload-Offset": "10"})],
    ),
    Row("T-HEAD-05 an unknown upload", [tus("HEAD", f"/files/{'0' * 32}", 404, lacks=["Upload-Offset"])]),
    Row(
        "T-PATCH-01 another media type",
        [post(), patch(0, b"abc", 415, headers={"Content-Type": "text/plain"}), stands(0)],
    ),
    Row(
        "T-PATCH-02 another offset",
        [
            post(),
            patch(0, b"abc"),
            patch(0, b"abc", 409, has={"Upload-Offset": "3"}, code="offset-mismatch"),
            patch(4, b"abc", 409, has={"Upload-Offset": "3"}, code="offset-mismatch"),
            stands(3),
        ],
    ),
    Row("T-PATCH-05 an unknown upload", [patch(0, b"abc", 404, path=f"/files/{'0' * 32}", lacks=["Upload-Offset"])]),
    Row("T-PATCH-06 no Content-Length", [post(), patch(0, [b"ab", b"c"], headers=CHUNKED), stands(3)]),
    Row("T-PATCH-08 Content-Length tells", [post(), patch(0, b"a" * 11, 413), stands(0), patch(0, b"a" * 10)]),
    Row(
        "T-PATCH-08 50 bytes in pieces for a file of 10",
        [post(), patch(0, [b"abcde"] * 10, 413, headers=CHUNKED), stands(10, has={"Upload-Length": "10"})],
    ),
    Row(
        "T-PATCH-09 the last answer was lost",
        [
            post(),
            patch(0, b"a" * 10),
            patch(10, b"", has={"Upload-Offset": "10"}),
            patch(10, b"b", 413),
            patch(10, [b"b"], 413, headers=CHUNKED),
            stands(10),
        ],
    ),
    Row(
        "T-PATCH-10 no byte",
        [post(), patch(0, b"", has={"Upload-Offset": "0"}), patch(0, b"abc"), patch(3, b""), stands(3)],
    ),
    Row("T-CREATE-04 larger than is taken", [post(413, headers={"Upload-Length": "1001"}, lacks=["Location"])]),
    Row(
        "T-META-02 T-META-04 metadata as it was sent",
        [post(headers={"Upload-Length": "1", "Upload-Metadata": AS_SENT}), stands(0, has={"Upload-Metadata": AS_SENT})],
    ),
    Row(
        "T-META-05 64 KiB of metadata",
        [post(400, headers={"Upload-Length": "1", "Upload-Metadata": f"a {'YWFh' * 16384}"}, lacks=["Location"])],
    ),
    Row(
        "T-DEFER-02 T-DEFER-03 the length comes with the last bytes",
        [
            post(headers=DEFERRED),
            stands(0, has=DEFERRED, lacks=["Upload-Length"]),
            patch(0, b"abc"),
            patch(3, b"de", headers={"Upload-Length": "5"}),
            stands(5, has={"Upload-Length": "5"}, lacks=["Upload-Defer-Length", "Upload-Expires"]),
        ],
    ),
    Row(
        "T-DEFER-03 the length comes with bytes before the last, or with none",
        [
            post(headers=DEFERRED),
            patch(0, b"abc", headers={"Upload-Length": "5"}),
            stands(3, has={"Upload-Length": "5"}, lacks=["Upload-Defer-Length"]),
            patch(3, b"de"),
            post(headers=DEFERRED),
            patch(0, b"abc"),
            patch(3, b"", headers={"Upload-Length": "3"}),
            stands(3, has={"Upload-Length": "3"}, lacks=["Upload-Expires"]),
        ],
    ),
    Row(
        "T-DEFER-04 a length stays, and may be said again",
        [
            post(headers=DEFERRED),
            patch(0, b"abc", headers={"Upload-Length": "5"}),
            patch(3, b"d", 400, headers={"Upload-Length": "6"}),
            stands(3, has={"Upload-Length": "5"}),
            patch(3, b"d", headers={"Upload-Length": "5"}),
        ],
    ),
    Row(
        "T-DEFER-05 a length below the offset, or beyond what is taken",
        [
            post(headers=DEFERRED),
            patch(0, b"abc"),
            patch(3, b"", 400, headers={"Upload-Length": "2"}),
            patch(3, b"", 413, headers={"Upload-Length": "1001"}),
            stands(3, has=DEFERRED),
        ],
    ),
    Row(
        "T-DEFER-06 no length, and no end",
        [post(headers=DEFERRED), patch(0, [b"a" * 100] * 11, 413, headers=CHUNKED), stands(1000, has=DEFERRED)],
    ),
    Row(
        "T-CWU-01 the first bytes come along",
        [
            post(headers={"Upload-Length": "10", "Content-Type": BYTES}, body=b"abc", has={"Upload-Offset": "3"}),
            stands(3),
        ],
    ),
    Row(
        "T-CWU-04 more bytes along than the file has",
        [post(413, headers={"Upload-Length": "2", "Content-Type": BYTES}, body=b"abc", lacks=["Location"])],
    ),
    Row(
        "T-CSUM-01 T-CSUM-03 the sum of one body",
        [post(), patch(0, [b"a", b"bc"], headers=ABC, has={"Upload-Offset": "3"}), stands(3)],
    ),
    Row(
        "T-CSUM-02 another sum, or none that is computed",
        [
            post(),
            patch(0, b"abd", 460, headers=ABC),
            stands(0),
            patch(0, b"abc", 400, headers={"Upload-Checksum": "crc32 AAAA"}),
            stands(0),
            patch(0, b"abc", headers=ABC),
        ],
    ),
    Row(
        "T-CSUM-05 what cannot be verified is not kept",
        [post(), patch(0, [b"ab", b"c"], 0, headers=ABC, gone=True), stands(0), patch(0, b"abc", headers=ABC)],
    ),
    Row(
        "T-CWU-06 the sum of the first bytes",
        [
            post(201, headers={"Upload-Length": "10", "Content-Type": BYTES, **ABC}, body=b"abc"),
            post(460, headers={"Upload-Length": "10", "Content-Type": BYTES, **ABC}, body=b"abd"),
        ],
    ),
    Row(
        "T-CSUM-06 a trailer that is announced: bytes like any",
        [post(), patch(0, [b"ab", b"c"], headers={**CHUNKED, "Trailer": "Upload-Checksum"}), stands(3)],
    ),
    Row(
        "T-TERM-01 T-TERM-02 an upload is taken away",
        [
            post(),
            patch(0, b"abc"),
            tus("DELETE", "@", 204),
            tus("HEAD", "@", 410, lacks=["Upload-Offset"]),
            patch(3, b"d", 410, lacks=["Upload-Offset"]),
        ],
    ),
    Row("T-TERM-03 an unknown upload is taken away", [tus("DELETE", f"/files/{'0' * 32}", 404)]),
    Row(
        "T-VER-01 answers of the framework",
        [
            tus("PUT", f"/files/{'0' * 32}", 405),
            tus("GET", f"/files/{'0' * 32}/no/such/path", 404),
            tus("DELETE", "/files", 405),
            Step("GET", f"/files/{'0' * 32}", 404, BOGUS, has=TUS),
            Step("GET", "/files/a/b/c", 404, BOGUS, has=TUS),
        ],
    ),
    Row(
        "T-VER-04 T-OPT-01 T-OPT-02 T-OPT-03 T-OPT-04 discovery, whatever the version",
        [
            Step(
                "OPTIONS",
                path,
                200,
                sent,
                has={
                    "Tus-Version": "1.0.0",
                    "Tus-Extension": ",".join(tus1.EXTENSIONS),
                    "Tus-Max-Size": "1000",
                    "Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5",
                },
            )
            for path in ("/files", f"/files/{'0' * 32}")
            for sent in (TUS, BOGUS, {"Tus-Resumable": "x"}, {})
        ],
    ),
    Row(
        "T-MO-01 POST for another method",
        [
            post(),
            tus("POST", "@", 204, headers={
                "X-HTTP-Method-Override": "PATCH", "Content-Type": BYTES, "Upload-Offset": "0"
            }, body=b"abc", has={"Upload-Offset": "3"}),
            tus("POST", "@", 200, headers={"X-HTTP-Method-Override": "HEAD"}, has={"Upload-Offset": "3"}),
            tus("POST", "@", 204, headers={"X-HTTP-Method-Override": "DELETE"}),
            tus("HEAD", "@", 410),
            tus("POST", "@", 400, headers={"X-HTTP-Method-Override": "GET"}),
        ],
    ),
    Row("T-EXP-01 T-EXP-02 T-EXP-04 a file that is whole expires no more", [
        post(headers={"Upload-Length": "3"}),
        patch(0, b"abc", lacks=["Upload-Expires"]),
        stands(3, lacks=["Upload-Expires"]),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_tus(files: Room, row: Row) -> None:
    await files.play(row.steps)


VERSIONS = [
    pytest.param({"Tus-Resumable": "0.2.2"}, id="T-VER-02 another"),
    pytest.param({"Tus-Resumable": "1.0.0, 1.0.0"}, id="T-VER-02 two of them"),
    pytest.param({}, id="T-VER-03 none"),
]


@pytest.mark.parametrize("sent", VERSIONS)
async def test_a_version_that_is_not_spoken_does_nothing(files: Room, sent: dict[str, str]) -> None:
    """T-VER-02 T-VER-03: nothing is created, stored or read."""
    await files.play([post(), patch(0, b"abc")])
    fresh = {**sent, "Upload-Length": "10", "Content-Type": BYTES}
    create = Step("POST", "/files", 412, fresh, b"abc", has={"Tus-Version": "1.0.0"}, lacks=["Location"])
    store = Step("PATCH", "@", 412, {**fresh, "Upload-Offset": "3"}, b"def", has={"Tus-Version": "1.0.0"})
    for step in (create, store):
        await files.play([step])
        assert (await files.ask(step)).taken == 0
    assert await files.count() == 1
    await files.play([stands(3)])


async def test_an_empty_file_is_complete_at_once(files: Room) -> None:
    """T-CREATE-06: no PATCH is needed, and it is queued exactly once."""
    await files.play([
        post(headers={"Upload-Length": "0"}, has={"Upload-Offset": "0"}, lacks=["Upload-Expires"]),
        stands(0, has={"Upload-Length": "0"}),
    ])  # fmt: skip
    assert files.engine.jobs.asked == [files.id]  # type: ignore[attr-defined]  # a queue that notes
    await files.play([patch(0, b"")])
    assert files.engine.jobs.asked == [files.id]  # type: ignore[attr-defined]  # a queue that notes
    assert await files.stored() == b""


async def test_refusals_by_the_headers_ask_for_no_byte(files: Room) -> None:
    """T-CWU-05: who waits for 100 is refused before the body is asked for."""
    await files.play([post()])
    waits = {"Expect": "100-continue"}
    for step in (
        post(413, headers={**waits, "Upload-Length": "2", "Content-Type": BYTES}, body=b"abc"),
        post(413, headers={**waits, "Upload-Length": "1001", "Content-Type": BYTES}, body=b"abc"),
        post(400, headers={**waits, "Upload-Length": "9", "Content-Type": BYTES, "Upload-Checksum": "x"}, body=b"abc"),
        patch(1, b"abc", 409, headers=waits),
        patch(0, b"abc", 415, headers={**waits, "Content-Type": "text/plain"}),
        patch(0, b"abc", 400, headers={**waits, "Upload-Checksum": "sha1 x"}),
        patch(0, b"abc", 404, headers=waits, path=f"/files/{'0' * 32}"),
    ):
        answer = await files.ask(step)
        assert (answer.status, answer.taken) == (step.status, 0)


async def test_a_creation_that_is_cut_keeps_what_came(files: Room) -> None:
    """T-CWU-02: the client has no URL then; the upload is listed, and expires."""
    await files.ask(post(headers={"Upload-Length": "10", "Content-Type": BYTES}, body=[b"abc", b"de"], gone=True))
    (row,) = (await files.driver.send("GET", "/uploads")).json()["uploads"]
    await files.play([stands(5, path=f"/files/{row['id']}", has={"Upload-Length": "10"})])


def test_scripts_of_other_origins_may_send_and_read_every_header() -> None:
    """T-OPT-05: what tus and the draft say is exposed."""
    assert set(tus1.EXPOSED) <= set(EXPOSED)


async def test_a_preflight_is_granted() -> None:
    """T-OPT-05: with the methods and the headers of tus."""
    async with room(with_settings(cors_origins=("https://app.test",))) as files:
        asked = {
            "Origin": "https://app.test",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "tus-resumable, upload-offset, upload-checksum, upload-concat",
        }
        answer = await files.driver.send("OPTIONS", f"/files/{'0' * 32}", headers=asked)
    assert answer.status == 200
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name.lower() in allowed for name in tus1.ACCEPTED)
    assert answer.headers["access-control-allow-origin"] == "https://app.test"
