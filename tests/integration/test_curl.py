"""The how-to for curl: its script and its examples, run as they stand against a real server."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.real_server import RealServer, real_server

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = ROOT / "docs/examples/upload-with-curl.sh"
PAGE: Final = ROOT / "docs/how-to/curl.md"
MIB: Final = 1 << 20
PATIENCE: Final = 100.0
"""Seconds after which a test is stuck; nothing is judged by it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("curl") / "data") as running:
        yield running


def make(path: Path, size: int) -> bytes:
    data = random.Random(path.name).randbytes(size)
    path.write_bytes(data)
    return data


def begin(*arguments: str | Path) -> subprocess.Popen[str]:
    command = ["bash", SCRIPT, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out, err


def test_a_file_arrives_though_the_server_is_killed_in_between(tmp_path: Path) -> None:
    data = make(tmp_path / "sent ü.bin", 16 * MIB - 5)
    with real_server(tmp_path / "data") as server:
        process = begin(tmp_path / "sent ü.bin", server.base, "1")
        deadline = time.monotonic() + PATIENCE
        while not list((tmp_path / "data/uploads").glob("*/*/data")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.kill_all()
        server.start()
        code, out, err = end(process)
        assert code == 0, err
        assert out.startswith(f"sent ü.bin: {len(data)} bytes, sha256 ")
        assert server.file("sent ü.bin").read_bytes() == data


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 3 * MIB + 1])
def test_a_file_of_any_size_arrives_undeclared(server: RealServer, tmp_path: Path, size: int) -> None:
    data = make(tmp_path / f"undeclared-{size}", size)
    code, _, err = end(begin(tmp_path / f"undeclared-{size}", server.base, "1", "--undeclared"))
    assert code == 0, err
    assert server.file(f"undeclared-{size}").read_bytes() == data
    code, _, err = end(begin(tmp_path / f"undeclared-{size}", server.base, "1", "--undeclared"))
    assert code == 0, "the same file again is fine"


def test_another_file_of_the_name_is_refused_in_the_server_s_words(server: RealServer, tmp_path: Path) -> None:
    data = make(tmp_path / "twice.bin", 2 * MIB)
    assert end(begin(tmp_path / "twice.bin", server.base, "1"))[0] == 0
    (tmp_path / "twice.bin").write_bytes(data[:MIB] + bytes(MIB))
    code, out, err = end(begin(tmp_path / "twice.bin", server.base, "1"))
    assert (code, out) == (1, "")
    assert "part-conflict" in err
    assert server.file("twice.bin").read_bytes() == data


def test_a_wrong_command_line_is_told(tmp_path: Path) -> None:
    make(tmp_path / "a", 1)
    for arguments in ((), (tmp_path / "a",), (tmp_path / "absent", "http://x"), (tmp_path / "a", "http://x", "0")):
        code, _, err = end(begin(*arguments))
        assert code == 2
        assert "usage:" in err


def test_the_examples_of_the_page_work_one_after_the_other(server: RealServer, tmp_path: Path) -> None:
    examples = "".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    assert examples.count("curl") >= 6
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", examples],
        cwd=tmp_path,
        env=os.environ | {"URL": server.url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert '"missing":[]' in run.stdout
    assert "\n200\n" in run.stdout
    assert server.file("video.mp4").read_bytes() == (tmp_path / "video.mp4").read_bytes()
