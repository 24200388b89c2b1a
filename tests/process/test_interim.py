"""The 104 of the draft on the wire of a real server: to whom it goes, when, and to whom never."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import IO, Final

import pytest

from tests.integration.real_server import RealServer

PATIENCE: Final = 60.0
"""Seconds after which a test is stuck; nothing is judged by it."""
BODY: Final = b"the first bytes"


POLICIES: Final = ("auto", "always", "never")
PROXIED: Final = {
    "no proxy": "",
    "Via": "Via: 1.1 proxy\r\n",
    "X-Forwarded-For": "X-Forwarded-For: 192.0.2.1\r\n",
    "X-Forwarded-Proto": "X-Forwarded-Proto: https\r\n",
    "Forwarded": "Forwarded: for=192.0.2.1\r\n",
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RealServer]]:
    """One server for each answer to the question whether a 104 may be sent."""
    folder = tmp_path_factory.mktemp("interim")
    found = {policy: RealServer(folder / policy, worker=False, send_104=policy) for policy in POLICIES}
    try:
        for server in found.values():
            server.launch()
        for server in found.values():
            server.wait()
        yield found
    finally:
        for server in found.values():
            server.kill_all()


def begin(version: str = "HTTP/1.1", more: str = "", draft: str = "Upload-Draft-Interop-Version: 8\r\n") -> bytes:
    """The head of a creation; its body is for the test to send."""
    return (
        f"POST /files {version}\r\nHost: up.test\r\nUpload-Complete: ?1\r\nContent-Length: {len(BODY)}\r\n"
        f"Content-Type: application/octet-stream\r\nConnection: close\r\n{draft}{more}\r\n"
    ).encode()


def head_of(file: IO[bytes]) -> tuple[int, dict[str, str]]:
    """Status and headers of the next response, interim or not."""
    lines = []
    while line := file.readline().strip():
        lines.append(line.decode())
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), fields


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("proxied", PROXIED)
def test_who_gets_a_104(servers: dict[str, RealServer], policy: str, proxied: str) -> None:
    told = policy == "always" or (policy == "auto" and proxied == "no proxy")
    where = ""
    with socket.create_connection(("127.0.0.1", servers[policy].port), PATIENCE) as connection:
        connection.sendall(begin(more=PROXIED[proxied]))
        with connection.makefile("rb") as answers:
            if told:
                status, headers = head_of(answers)
                assert status == 104, "before a byte of the body was sent"
                where = headers["location"]
                assert re.fullmatch(r"http://up\.test/files/[0-9a-f]{32}", where)
                assert headers["upload-draft-interop-version"] == "8"
                assert "max-size=" in headers["upload-limit"]
            connection.sendall(BODY)
            last, final = head_of(answers)
    assert (last, final["upload-offset"], final["upload-complete"]) == (202, str(len(BODY)), "?1")
    assert not told or final["location"] == where


@pytest.mark.parametrize(("version", "draft"), [("HTTP/1.0", "8"), ("HTTP/1.1", ""), ("HTTP/1.1", "99")])
def test_nobody_else_gets_one_even_where_they_are_always_sent(
    servers: dict[str, RealServer], version: str, draft: str
) -> None:
    said = f"Upload-Draft-Interop-Version: {draft}\r\n" if draft else ""
    with socket.create_connection(("127.0.0.1", servers["always"].port), PATIENCE) as connection:
        connection.sendall(begin(version, draft=said) + BODY)
        with connection.makefile("rb") as answers:
            assert head_of(answers)[0] == 202


def test_curl_shows_where_the_upload_is_before_it_has_sent_a_byte(servers: dict[str, RealServer]) -> None:
    command = ["curl", "-sv", "--max-time", str(PATIENCE), "-X", "POST", "-T", "-", "-H", "Upload-Complete: ?1"]
    command += ["-H", "Upload-Draft-Interop-Version: 8", "--expect100-timeout", str(PATIENCE)]
    command.append(servers["auto"].url + "/files")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as curl:
        assert curl.stdin is not None
        assert curl.stderr is not None
        seen: list[bytes] = []
        while not (seen and seen[-1].lower().startswith(b"< location: ")):
            seen.append(curl.stderr.readline())
            assert seen[-1], seen
        assert b"< HTTP/1.1 104 Upload Resumption Supported\r\n" in seen
        out, rest = curl.communicate(BODY, timeout=PATIENCE)
    assert b"< HTTP/1.1 202 Accepted\r\n" in rest
    assert seen[-1].lower().rstrip() in rest.lower(), "the answer names the same place"
    assert b'"length":%d' % len(BODY) in out


@pytest.mark.parametrize("policy", POLICIES)
def test_a_client_that_knows_nothing_of_it_is_not_disturbed(servers: dict[str, RealServer], policy: str) -> None:
    """Python's own client takes any 1xx but 100 for the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", servers[policy].port, timeout=PATIENCE)
    try:
        connection.request("PUT", "/files", BODY, {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Upload-Complete")) == (202, "?1")
        assert answer.read()
        connection.request("PUT", f"/upload/{policy}-1", BODY)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Upload-Offset")) == (201, str(len(BODY)))
    finally:
        connection.close()
