"""How an answer leaves: in one packet if it is short, whole however long it is."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.integration.serving import GET, Client, Serving, post

DATA_SEGMENTS_IN = 152
"""Where Linux counts them in ``struct tcp_info``."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    serving = Serving(tmp_path_factory.mktemp("answers"))
    try:
        yield serving.port()
    finally:
        serving.close()


def packets(client: Client) -> int:
    """How many packets with data have come."""
    told = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_IN + 4)
    (count,) = struct.unpack_from("=I", told, DATA_SEGMENTS_IN)
    return int(count)


def test_head_and_body_are_one_packet(port: int) -> None:
    with Client(port) as client:
        for asked in range(1, 4):
            client.send(GET)
            assert client.response()[0] == 200
            assert packets(client) == asked


def test_a_long_body_comes_whole_behind_its_head(port: int) -> None:
    sent = "x" * 300_000
    with Client(port) as client:
        for _ in range(2):
            client.send(post("read", f"Content-Length: {len(sent)}") + sent.encode())
            status, _, told = client.response()
            assert (status, told["body"]) == (200, sent)


def test_a_head_without_a_body_goes_out_by_itself(port: int) -> None:
    with Client(port) as client:
        client.send(GET.replace(b"GET", b"HEAD"))
        assert client.socket.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        client.send(GET)
        assert client.response()[0] == 200


def test_answers_that_were_asked_for_together_come_in_their_order(port: int) -> None:
    bodies = [json.dumps(number) for number in range(5)]
    with Client(port) as client:
        client.send(b"".join(post("read", f"Content-Length: {len(body)}") + body.encode() for body in bodies))
        assert [client.response()[2]["body"] for _ in bodies] == bodies
