"""A file that ends every worker that reads it does not end the others."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.integration.real_server import real_server
from tests.process.client import Client, History, Source, check_file
from tests.process.processes import until

SIZE = 3 << 20
CHUNK = 1 << 20
DEATHS = 2

# Loaded by every Python process that finds it: where a worker hashes the marked bytes, it is gone.
_DEADLY = """
import os, signal, sys

if "worker" in sys.argv or "worker" in sys.orig_argv:
    from onward.core.digest import Hasher

    take = Hasher.update

    def update(self, data):
        if bytes(data[:6]) == b"deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        take(self, data)

    Hasher.update = update
"""


def test_it_fails_after_so_many_deaths_and_others_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_DEADLY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    with real_server(tmp_path / "data", sweep_every=1, verify_deaths=DEATHS, durability="none") as server:
        client = Client(server.port, History())
        deadly = Source("deadly.bin", SIZE, chunk=CHUNK, flat=True, begin=b"deadly")
        good = [Source(f"good-{number}.bin", SIZE, chunk=CHUNK, flat=True) for number in range(3)]
        for source in (deadly, *good):
            client.send(source, range(1, len(source.chunks) + 1))
        for source in (deadly, *good):
            assert client.complete(source).status == 202

        def ended() -> bool:
            return bool(client.manifest(deadly).body["state"] == "failed")

        for source in good:
            until(partial(Path.exists, server.file(source.name)), f"{source.name} is not published")
            check_file(server, source)
        until(ended, "the deadly file is tried for ever")
        assert client.manifest(deadly).body["failure"]["code"] == "worker-died"
        assert not server.file(deadly.name).exists()
        assert server.said().count("worker") >= DEATHS
        assert server.stop() == 0
