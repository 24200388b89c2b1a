"""Refusals of the real server: before a byte of the body has come, over a real socket."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.real_server import RealServer, real_server
from tests.integration.serving import ROOT, Client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'src'}")
        data = tmp_path_factory.mktemp("denied") / "data"
        with real_server(data, hooks="tests.integration.deny_hooks:Deny", max_chunk=1000, worker=False) as server:
            yield server


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: up.test", *fields, "", ""]).encode()


@pytest.mark.parametrize(
    ("request_line", "fields", "status", "code"),
    [
        ("POST /upload/f-1", ["Content-Length: 1000"], 403, "refused"),
        ("PUT /upload/f-1", ["Transfer-Encoding: chunked"], 403, "refused"),
        ("PUT /upload/f", ["Upload-Offset: 0", "Content-Length: 1000"], 403, "refused"),
        ("POST /upload/f-1", ["Content-Type: multipart/form-data; boundary=b", "Content-Length: 1000"], 403, "refused"),
        ("POST /upload/f", ["Content-Length: 1000"], 400, "bad-name"),
        ("POST /upload/f-1", ["Content-Length: 1000", "Content-Encoding: gzip"], 415, "unsupported-content-encoding"),
        ("POST /upload/f-1", ["Content-Length: 1000", "Content-Digest: sha-256=:x:"], 400, "digest-invalid"),
        ("POST /upload", ["Content-Length: 3000000"], 413, "body-too-large"),
        ("POST /upload/complete", ["Content-Length: 3000000"], 413, "body-too-large"),
        ("POST /upload", ["Content-Length: 10", "Content-Encoding: gzip"], 415, "unsupported-content-encoding"),
        ("PATCH /upload/f", ["Content-Length: 1000"], 405, "method-not-allowed"),
        ("POST /nothing", ["Content-Length: 1000"], 404, "not-found"),
        ("POST /uploads", ["Content-Length: 1000"], 405, "method-not-allowed"),
    ],
)
def test_a_body_that_is_not_wanted_is_not_waited_for(
    server: RealServer, request_line: str, fields: list[str], status: int, code: str
) -> None:
    with Client(server.port, head(request_line, *fields)) as client:
        got, headers, body = client.response()
        assert (got, body["code"]) == (status, code)
        assert headers["connection"] == "close"
        assert client.ended()


def test_a_client_that_asks_first_is_told_before_it_sends(server: RealServer) -> None:
    with Client(server.port, head("POST /upload/f-1", "Content-Length: 1000", "Expect: 100-continue")) as client:
        got, headers, _ = client.response()  # no "100 Continue" before it
        assert (got, headers["connection"]) == (403, "close")
        assert client.ended()


def test_a_refusal_without_a_body_keeps_the_connection(server: RealServer) -> None:
    with Client(server.port, head("GET /upload/f")) as client:
        assert client.response()[0] == 404
        client.send(head("GET /health"))
        assert client.response()[0] == 200


def test_nothing_was_begun_by_what_was_refused(server: RealServer) -> None:
    with Client(server.port, head("GET /uploads")) as client:
        page = client.response()[2]
        assert (page["uploads"], page["next"], page["server"]["promised"]) == ([], None, 0)
