"""The commands of the README and the tutorial, run as they stand against a real server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = ROOT / "docs/examples/first-upload.sh"
SHOWN_IN: Final = ("README.md", "docs/tutorial/first-upload.md")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server with its worker on a free port, and the address it says."""
    command = [sys.executable, "-m", "onward", "serve", "--host", "127.0.0.1", "--port", "0", "--data", "var"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ONWARD_")} | {"PYTHONUNBUFFERED": "1"}
    with (
        (tmp_path / "log").open("w+b") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        address = next((m[0] for line in process.stdout if (m := re.search(r"http://127\.0\.0\.1:\d+", line))), None)
        try:
            assert address is not None, (tmp_path / "log").read_text()
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        assert process.returncode == 0, (tmp_path / "log").read_text()


def test_the_first_upload_works_as_written(server: str, tmp_path: Path) -> None:
    run = subprocess.run(
        ["bash", "-eu", str(SCRIPT)],
        cwd=tmp_path,
        env=os.environ | {"URL": server},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert '"state":"done"' in run.stdout
    assert (tmp_path / "var/files/big.bin").read_bytes() == (tmp_path / "big.bin").read_bytes()


@pytest.mark.parametrize("page", SHOWN_IN)
def test_the_pages_show_the_commands_that_are_run(page: str) -> None:
    assert f"```sh\n{SCRIPT.read_text(encoding='utf-8')}```" in (ROOT / page).read_text(encoding="utf-8")
