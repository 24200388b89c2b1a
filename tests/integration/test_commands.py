"""The commands beside `serve`: what they say of uploads, and of what they cannot work with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx
import pytest

from onward.config import JOURNAL, Settings
from onward.worker import queue_of
from tests.integration.real_server import real_server

PATIENCE: Final = 60.0
"""Seconds after which a command is stuck; nothing is judged by it."""


def onward(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
    return subprocess.run(
        [sys.executable, "-m", "onward", *arguments],
        cwd=place,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("command", [["ls"], ["show", "x"], ["verify"], ["cancel", "x"], ["sweep"]], ids=lambda c: c[0])
def test_a_directory_that_is_no_data_directory_is_not_made_one(tmp_path: Path, command: list[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    said = onward(tmp_path, *command, "--data", str(other))
    assert (said.returncode, said.stderr) == (1, f"Error: {other} is no data directory of Onward\n")
    assert list(other.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--hooks", "nowhere:Hooks"], "hooks cannot be loaded from 'nowhere:Hooks'"),
        (["--hooks", "json"], "as package.module:Class"),
        (["--queue-url", "redis://10.0.0.1:6379"], "ONWARD_QUEUE_URL names a Redis on another host without a password"),
        (["--data", "a-file"], "a-file cannot be used: File exists. Name another with --data (ONWARD_DATA)"),
        (["--data", "/proc/onward"], "/proc/onward cannot be used: No such file or directory"),
        (["--data", "damaged"], "damaged cannot be used: onward.db: file is not a database"),
        (["--cors-credentials"], "ONWARD_CORS_CREDENTIALS needs exact ONWARD_CORS_ORIGINS"),
    ],
    ids=["hooks", "class", "queue", "file", "nowhere", "damaged", "cors"],
)
def test_a_server_that_cannot_start_says_why_in_a_sentence(tmp_path: Path, flags: list[str], words: str) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / JOURNAL).write_text("not what it was")
    said = onward(tmp_path, "serve", "--port", "0", *flags)
    assert said.returncode == 1
    assert "listening" not in said.stdout
    assert said.stderr.startswith("Error: "), "nothing but the sentence"
    assert len(said.stderr.splitlines()) == 1
    assert words in said.stderr


def test_the_list_says_where_a_file_is_or_will_be_and_nothing_of_those_that_will_not(tmp_path: Path) -> None:
    with real_server(tmp_path / "data") as server, httpx.Client(base_url=server.base) as client:
        for name in ("coming", "gone"):
            assert client.post(f"/{name}-1", content=b"abc").status_code == 201
        assert client.delete("/gone").status_code == 204
        said = onward(tmp_path, "ls", "--data", str(server.data))
        assert "publishes" not in server.said(), "the worker beside a server leaves the talking to it"
    rows = {line.split()[3]: line for line in said.stdout.splitlines()}
    assert rows["receiving"].endswith(f"  coming -> {server.data}/files/coming")
    assert rows["cancelled"].endswith("  gone"), rows
    assert [rows[state].split()[4] for state in ("receiving", "cancelled")] == ["3", "0"], "its bytes are freed"


def test_an_upload_that_gave_way_to_a_later_one_says_so(tmp_path: Path) -> None:
    with real_server(tmp_path / "data", on_conflict="replace") as server, httpx.Client(base_url=server.base) as client:
        ids = []
        for data in (b"old", b"new"):
            ids.append(client.post("", json={"name": "f.bin"}).json()["id"])
            assert client.post("/f.bin-1", content=data).status_code == 201
            assert client.post("/complete", json={"file_unique_name": "f.bin", "total_chunks": 1}).status_code == 202
            deadline = time.monotonic() + PATIENCE
            while client.get("/f.bin").json()["state"] != "done":
                assert time.monotonic() < deadline, server.said()
                time.sleep(0.02)
        manifest = httpx.get(f"{server.url}/uploads/{ids[0]}").json()
        old, new = (json.loads(onward(tmp_path, "show", "--data", str(server.data), id).stdout) for id in ids)
    assert (manifest["state"], manifest["failure"]["code"]) == ("cancelled", "replaced")
    assert (old["summary"]["reason"], old["failure"]) == ("cancelled", manifest["failure"])
    assert (new["summary"]["state"], new["failure"]) == ("done", None)


def test_a_worker_says_what_it_works_on_once_it_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onward", "worker", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        try:
            said = [worker.stdout.readline(), worker.stdout.readline()]
            assert (tmp_path / "data" / JOURNAL).exists(), "by then the data directory is open"
            worker.terminate()
            assert (worker.wait(PATIENCE), worker.stdout.read()) == (0, "")
        finally:
            worker.kill()
    data = tmp_path / "data"
    assert said == [f"Onward verifies and publishes uploads in {data}\n", f"The queue is {data}/broker.db\n"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", "/data/broker.db"),
        ("redis://queue:6379/1", "redis://queue:6379/1"),
        ("rediss://user:p@ss@queue/1?ssl_cert_reqs=none&password=secret", "rediss://queue/1"),
        ("unix://:secret@/run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_where_the_queue_is_is_said_without_its_password(url: str, shown: str) -> None:
    assert queue_of(Settings(data=Path("/data"), queue_url=url)) == shown
