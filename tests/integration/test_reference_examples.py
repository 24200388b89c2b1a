"""The examples in the reference of tus and of the draft, run as they stand against a real server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.integration.real_server import RealServer

REFERENCE: Final = Path(__file__).parents[2] / "docs/reference"


@pytest.mark.parametrize("page", ["http-tus.md", "http-ietf.md"])
def test_the_examples_work(page: str, tmp_path: Path) -> None:
    examples = "".join(re.findall(r"```sh\n(.*?)```", (REFERENCE / page).read_text(encoding="utf-8"), re.DOTALL))
    assert examples.count("curl") >= 4
    work = tmp_path / "work"
    work.mkdir()
    server = RealServer(tmp_path / "data")
    server.start()
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", examples],
            cwd=work,
            env={**os.environ, "URL": server.url},
            timeout=100,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    finally:
        server.stop()
    assert (work / "file.bin").read_bytes() == (work / "back.bin").read_bytes()
