"""SIGTERM with uploads running: each is cut by the server in time, what may be kept is, and the rest goes on after."""

from __future__ import annotations

import hashlib
import random
from functools import partial
from pathlib import Path
from typing import Final

from tests.integration.real_server import real_server
from tests.process.client import Client, Half, History, Source, check_file
from tests.process.processes import are_gone, children, until

CHUNK: Final = 1 << 20
FIRST: Final = 300_000
"""Bytes that come, and are recorded, before the signal."""
MORE: Final = 200_000
"""Bytes that are under way when the signal comes."""


def _put(port: int, name: str, data: bytes, offset: int) -> Half:
    headers = {"Upload-Offset": str(offset), "Upload-Length": str(len(data))}
    return Half(port, "PUT", f"/upload/{name}", len(data) - offset, headers)


def test_twenty_running_uploads_are_cut_in_time_and_go_on_after(tmp_path: Path) -> None:
    history = History()
    with real_server(tmp_path / "data", sweep_every=1, drain=5) as server:
        client = Client(server.port, history)
        files = {f"run-{n}.bin": random.Random(n).randbytes(CHUNK) for n in range(10)}
        sources = [Source(f"chunked-{n}.bin", 2 * CHUNK, chunk=CHUNK, flat=n % 2 == 0) for n in range(10)]
        runs = {name: _put(server.port, name, data, 0) for name, data in files.items()}
        for name, half in runs.items():
            half.send(files[name][:FIRST])
        halves = []
        for source in sources:
            assert client.chunk(source, 2).status == 201
            halves.append(Half(server.port, "POST", f"/upload/{source.name}-1", CHUNK, source.headers))
            halves[-1].send(source.chunks[0][:FIRST])
        for name in files:
            # The line is quiet, so what came is recorded while the request still runs.
            until(partial(_has, client, name, FIRST), "nothing is recorded")
        for name, half in runs.items():
            half.send(files[name][FIRST : FIRST + MORE])

        family = children(server)
        assert server.stop() == 0
        are_gone(family)
        for half in halves:
            assert half.answer().status in {0, 503}
            assert half.has_ended()
        told = {}
        for name, half in runs.items():
            answer = half.answer()
            assert answer.status in {0, 503}
            assert half.has_ended()
            told[name] = int(answer.body.get("offset", FIRST))
        for half in [*halves, *runs.values()]:
            half.close()
        assert "cutting" not in server.said(), "a request did not end by itself when the server asked it to"

        server.start()
        for name, data in files.items():
            offset = _offset(client, name)
            assert told[name] <= offset <= FIRST + MORE
            half = _put(server.port, name, data, offset)
            half.send(data[offset:])
            assert half.answer().status in {200, 201}
            half.close()
            sealed = client.ask("POST", "/upload/complete", b'{"file_unique_name": "%s"}' % name.encode(), _JSON)
            assert sealed.status == 202
        for source in sources:
            there = [chunk["number"] for chunk in client.manifest(source).body["chunks"]]
            assert there == [2], "a chunk that was cut is dropped whole, others stay"
            client.deliver(source)
            check_file(server, source)
        for name, data in files.items():
            until(server.file(name).exists, f"{name} is not published")
            assert hashlib.sha256(server.file(name).read_bytes()).digest() == hashlib.sha256(data).digest()
        assert server.stop() == 0


_JSON: Final = {"Content-Type": "application/json"}


def _has(client: Client, name: str, size: int) -> bool:
    return _offset(client, name) == size


def _offset(client: Client, name: str) -> int:
    return int(client.ask("HEAD", f"/upload/{name}").headers.get("upload-offset", -1))
