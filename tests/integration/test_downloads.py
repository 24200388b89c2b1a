"""Downloads from the real server: whole, in ranges, under conditions, and by clients that vanish."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import socket
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from typing import Final, NamedTuple

import httpx
import pytest

from tests.integration.real_server import PATIENCE, RealServer, real_server
from tests.integration.serving import Client, until

SIZE: Final = 8 << 20
DATA: Final = random.Random(7).randbytes(SIZE)
TAG: Final = f'"{hashlib.sha256(DATA).hexdigest()}"'


class Place(NamedTuple):
    """A published file, and who asks for it."""

    server: RealServer
    client: httpx.Client
    path: str
    modified: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with (
        real_server(tmp_path_factory.mktemp("downloads") / "data") as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE) as client,
    ):
        id = client.post("/upload/film%20%C3%A9.mkv-1", content=DATA).json()["id"]
        sealed = client.post("/upload/complete", json={"file_unique_name": "film é.mkv", "size": SIZE})
        assert sealed.status_code == 202
        until(lambda: client.get(f"/uploads/{id}").json()["state"] == "done")
        path = f"/files/{id}/content"
        yield Place(server, client, path, client.head(path).headers["last-modified"])


def test_the_whole_file_proves_itself(place: Place) -> None:
    answer = place.client.get(place.path)
    assert (answer.status_code, answer.content == DATA) == (200, True)
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["etag"] == TAG
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert "filename*=UTF-8''film%20%C3%A9.mkv" in disposition


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-1023", 0, 1023),
        ("bytes=4194303-4194304", 4194303, 4194304),
        ("bytes=1000000-3000000", 1000000, 3000000),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes={SIZE - 10}-{SIZE + 10**9}", SIZE - 10, SIZE - 1),
        ("bytes=100-9999999999999999999", 100, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-1000", SIZE - 1000, SIZE - 1),
        (f"bytes=-{SIZE + 1}", 0, SIZE - 1),
        ("bytes=0-", 0, SIZE - 1),
    ],
)
def test_a_range(place: Place, asked: str, first: int, last: int) -> None:
    for method in ("GET", "HEAD"):
        answer = place.client.request(method, place.path, headers={"Range": asked})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.headers["content-length"] == str(last - first + 1)
        assert answer.headers["etag"] == TAG
        assert (answer.content == DATA[first : last + 1]) if method == "GET" else (answer.content == b"")


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
def test_a_range_outside(place: Place, asked: str) -> None:
    answer = place.client.get(place.path, headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "range-unsatisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=5-4",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "items=0-1",
        "bytes=",
        "bytes=0-1,",
        "bytes=+1-2",
    ],
)
def test_a_range_that_is_not_one_is_answered_with_all(place: Place, asked: str) -> None:
    answer = place.client.head(place.path, headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(SIZE))
    assert "content-range" not in answer.headers


def test_ten_thousand_ranges_cost_no_more_than_one(place: Place) -> None:
    few = place.client.head(place.path, headers={"Range": "bytes=" + ",".join(["0-1"] * 10_000)})
    assert (few.status_code, few.headers["content-length"]) == (200, str(SIZE))
    many = place.client.head(place.path, headers={"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000))})
    assert many.status_code == 431


def test_conditions(place: Place) -> None:
    later = formatdate(parsedate_to_datetime(place.modified).timestamp() + 60, usegmt=True)
    for condition, status in (
        (TAG, 206),
        (f"W/{TAG}", 200),
        ('"other"', 200),
        ("nonsense", 200),
        (place.modified, 206),
        (later, 200),
    ):
        answer = place.client.get(place.path, headers={"Range": "bytes=1-2", "If-Range": condition})
        assert (condition, answer.status_code) == (condition, status)
        assert answer.content == (DATA[1:3] if status == 206 else DATA)
    for condition, status in (
        (TAG, 304),
        (f"W/{TAG}", 304),
        (f'"other", {TAG}', 304),
        ("*", 304),
        ('"other"', 200),
        (TAG.strip('"'), 200),
    ):
        for method in ("GET", "HEAD"):
            answer = place.client.request(method, place.path, headers={"If-None-Match": condition})
            assert (condition, answer.status_code) == (condition, status)
            assert answer.headers["etag"] == TAG
            if status == 304:
                assert answer.content == b""
                assert "content-length" not in answer.headers
    unchanged = place.client.get(place.path, headers={"If-None-Match": TAG, "Range": f"bytes={SIZE}-"})
    assert unchanged.status_code == 304  # the condition is looked at before the range


def test_a_download_beside_an_upload(place: Place) -> None:
    begin = f"POST /upload/other-1 HTTP/1.1\r\nHost: up.test\r\nContent-Length: {SIZE}\r\n\r\n".encode()
    with Client(place.server.port, begin) as upload:
        upload.send(DATA[: SIZE // 2])
        assert place.client.get(place.path).content == DATA
        upload.send(DATA[SIZE // 2 :])
        status, _, body = upload.response()
    assert (status, body["size"]) == (201, SIZE)


def open_files(server: RealServer) -> list[str]:
    """Published files that the server holds open."""
    folder, found = f"/proc/{server.process.pid}/fd", []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            continue  # closed meanwhile
    return [path for path in found if path.startswith(str(server.data / "files") + "/") and not os.path.isdir(path)]


def test_clients_that_vanish_leave_no_file_open(place: Place) -> None:
    clients = []
    for number in range(10):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", place.server.port))
        client.sendall(f"GET {place.path} HTTP/1.1\r\nHost: up.test\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        clients.append((number, client))
    assert until(lambda: len(open_files(place.server)) == len(clients))
    for number, client in clients:
        if number % 2:  # cut, not closed
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.close()
    until(lambda: not open_files(place.server))
    assert place.client.get(place.path, headers={"Range": "bytes=0-0"}).status_code == 206
