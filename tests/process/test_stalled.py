"""Clients that fall silent in the middle of a body: others are served, and what they brought is kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import httpx

from tests.integration.real_server import real_server
from tests.process.client import Half
from tests.process.processes import until

CLIENTS: Final = 200
SENT: Final = 20_000
LENGTH: Final = 1_000_000
SAID: Final = {"Tus-Resumable": "1.0.0"}


def test_two_hundred_silent_clients(tmp_path: Path) -> None:
    # A body may rest for longer than this test lasts: nothing here is recorded because a wait is over.
    with real_server(tmp_path / "data", worker=False, body_idle=600, min_free=0) as server:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=60))
            paths = []
            for _ in range(CLIENTS):
                answer = client.post("/files", headers={**SAID, "Upload-Length": str(LENGTH)})
                paths.append(httpx.URL(answer.headers["location"]).path)
                headers = {**SAID, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
                half = stack.enter_context(contextlib.closing(Half(server.port, "PATCH", paths[-1], LENGTH, headers)))
                half.send(b"x" * SENT)
            assert client.post("/upload/other.bin-1", content=b"other").status_code == 201
            assert client.head("/upload/other.bin").status_code == 200
            for path in paths:  # a plain GET asks nobody to leave
                until(lambda path=path: client.get(path).headers["upload-offset"] == str(SENT), "it is not recorded")  # type: ignore[misc]  # bound at once
        server.kill()
        server.start()
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
            assert {client.head(path, headers=SAID).headers["upload-offset"] for path in paths} == {str(SENT)}
