"""What `put` says in tus and in the draft, what it reads of the answers, and where it lets itself be led."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time

import httpx
import pytest

from onward.put.asking import Asker, Watch, linked
from onward.put.backoff import Patience
from onward.put.faults import NotTaken
from onward.put.ietf import Draft
from onward.put.sequential import Limits
from onward.put.source import Chunk
from onward.put.tus import Tus
from onward.wire import disposition, metadata

DATA = b"some bytes"
CHUNK = Chunk(1, DATA, hashlib.sha256(DATA).digest())
SHA256 = base64.b64encode(CHUNK.sha256).decode()
TUS = {"Tus-Version": "1.0.0", "Tus-Extension": "creation, checksum", "Tus-Checksum-Algorithm": "md5,sha256"}


def answer(**headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, request=httpx.Request("POST", "http://host/files"))


@pytest.mark.parametrize("name", ["plain.bin", "ü 'quoted\".txt", "%41;filename=x"])
def test_the_name_arrives_as_it_is(name: str) -> None:
    assert metadata.decode(Tus().begin(name, 1)["Upload-Metadata"]) == {"filename": name}
    assert disposition.filename(Draft().begin(name, 1)["Content-Disposition"]) == name


@pytest.mark.parametrize(
    ("told", "limits"),
    [({}, Limits()), ({"Tus-Max-Size": "10"}, Limits(10)), ({"Tus-Max-Size": "ten"}, Limits())],
)
def test_tus_learns_what_a_server_can(told: dict[str, str], limits: Limits) -> None:
    assert Tus().discovered(answer(**TUS, **told)) == limits


@pytest.mark.parametrize(
    ("told", "code"),
    [({}, "not-tus-1.0"), ({"Tus-Version": "1.0.0", "Tus-Extension": "termination"}, "no-creation")],
)
def test_where_no_tus_upload_can_go_is_said(told: dict[str, str], code: str) -> None:
    with pytest.raises(NotTaken) as caught:
        Tus().discovered(answer(**told))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "told",
    [
        {"Tus-Version": "1.0.0", "Tus-Extension": "creation", "Tus-Checksum-Algorithm": "sha256"},
        {"Tus-Version": "1.0.0", "Tus-Extension": "creation,checksum", "Tus-Checksum-Algorithm": "sha1"},
    ],
)
def test_a_server_of_tus_that_checks_nothing_is_sent_no_checksum(told: dict[str, str]) -> None:
    words = Tus()
    words.discovered(answer(**told))
    assert "Upload-Checksum" not in words.append(0, CHUNK, None)


def test_the_bytes_go_with_their_digest_and_the_last_ones_with_that_of_the_whole() -> None:
    words, whole = Tus(), bytes(32)
    words.discovered(answer(**TUS))
    assert words.append(5, CHUNK, None) == {
        "Tus-Resumable": "1.0.0",
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": "5",
        "Upload-Checksum": f"sha256 {SHA256}",
    }
    assert words.append(5, CHUNK, whole)["Repr-Digest"] == f"sha-256=:{base64.b64encode(whole).decode()}:"
    draft = Draft()
    assert draft.append(5, CHUNK, None) == {
        "Upload-Draft-Interop-Version": "8",
        "Content-Type": "application/partial-upload",
        "Upload-Complete": "?0",
        "Upload-Offset": "5",
        "Content-Digest": f"sha-256=:{SHA256}:",
    }
    last = draft.append(5, Chunk(1, b"", b""), whole)
    assert (last["Upload-Complete"], "Content-Digest" in last) == ("?1", False)
    assert last["Repr-Digest"] == f"sha-256=:{base64.b64encode(whole).decode()}:"


def test_a_tus_upload_is_complete_when_it_is_full_and_one_of_the_draft_when_that_is_said() -> None:
    assert Tus().place(answer(Upload_Offset="10"), 10).complete
    assert not Tus().place(answer(Upload_Offset="9"), 10).complete
    assert not Draft().place(answer(Upload_Offset="10", Upload_Complete="?0"), 10).complete
    assert Draft().place(answer(Upload_Offset="10", Upload_Complete="?1"), 10).complete
    for words in (Tus(), Draft()):
        place = words.place(answer(Location="/files/1", Link='</uploads/1>; rel="monitor"'), 10)
        assert (place.offset, place.url, place.monitor) == (None, "/files/1", "/uploads/1")
        assert words.place(answer(Upload_Offset="-1"), 10).offset is None


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("max-size=100, min-size=0, max-append-size=10, min-append-size=5, max-age=60", Limits(100, 10, 5)),
        ("max-append-size=7;note=x,max-size=9", Limits(9, 7)),
        ("max-size=1.5, max-append-size=?1, min-append-size=-3", Limits()),
        ("", Limits()),
    ],
)
def test_the_limits_of_the_draft_are_read(text: str, limits: Limits) -> None:
    assert Draft().discovered(answer(Upload_Limit=text)) == limits
    assert Draft().place(answer(Upload_Limit=text), 10).limits == limits


def test_an_answer_without_limits_leaves_those_that_are_known() -> None:
    assert Draft().place(answer(Upload_Offset="0"), 10).limits is None


@pytest.mark.parametrize("link", ["http://host/files/1", "/files/1", "1", "http://HOST:80/files/1"])
def test_a_link_within_the_server_is_followed(link: str) -> None:
    assert linked("http://host/files/", link) == "http://host/files/1"


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("http://host/files", "http://other/files/1"),
        ("http://host/files", "//other/files/1"),
        ("http://host/files", "http://host:81/files/1"),
        ("https://host/files", "http://host/files/1"),
        ("http://host/files", "http://[broken"),
    ],
)
def test_a_link_to_elsewhere_is_not(base: str, link: str) -> None:
    with pytest.raises(NotTaken) as caught:
        linked(base, link)
    assert caught.value.code in {"elsewhere", "bad-link"}


@pytest.mark.anyio
async def test_interim_responses_are_passed_over_whenever_they_come() -> None:
    """Before the body was read, in the middle of it, several at once, of any number."""
    told = b"HTTP/1.1 104 Upload Resumption Supported\r\nLocation: /files/1\r\nUpload-Offset: 5\r\n\r\n"
    body = b"x" * 3_000_000
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(told + b"HTTP/1.1 103 Early Hints\r\n\r\n")
        for size in (1_000_000, 1_000_000, 1_000_000):
            got.extend(await reader.readexactly(size))
            writer.write(told * 2)
        writer.write(b"HTTP/1.1 201 Created\r\nUpload-Offset: 7\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, httpx.AsyncClient(trust_env=False) as http:
        asker = Asker(http, Watch(), patience=Patience(60, time.monotonic), most_tries=0)
        response = await asker.ask("PATCH", f"http://127.0.0.1:{port}/files/1", data=body)
    assert (response.status_code, response.headers["upload-offset"]) == (201, "7")
    assert bytes(got) == body
