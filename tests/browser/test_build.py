"""The checked-in page is what its sources build, and the client's own checks hold."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CLIENT: Final = ROOT / "client_js"
PAGE: Final = Path("src") / "onward" / "_ui" / "dist"

CHECKS: Final = ("typecheck", "lint", "unit", "browser", "size")
"""Scripts of the client's package, in which everything that it must keep is checked."""


def npm(script: str, folder: Path) -> str:
    """What a script of the package says; it must succeed."""
    assert shutil.which("npm"), "npm is missing; `make test` installs it"
    assert (CLIENT / "node_modules").is_dir(), "the client's tools are missing; `make test` fetches them"
    environ = {**os.environ, "CI": "true", "NO_COLOR": "1"}
    command = ["npm", "run", "--silent", script]
    done = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, with the SHA-256 of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the client, built anew."""
    home = tmp_path_factory.mktemp("built")
    shutil.copytree(CLIENT, home / "client_js", ignore=shutil.ignore_patterns("node_modules", "dist", "e2e"))
    (home / "client_js" / "node_modules").symlink_to(CLIENT / "node_modules")
    npm("build", home / "client_js")
    return home


def test_the_checked_in_page_is_what_its_sources_build(built: Path) -> None:
    assert files(built / PAGE) == files(ROOT / PAGE), "run `make client` and commit src/onward/_ui/dist"


def test_what_is_built_names_no_other_host(built: Path) -> None:
    for path in (built / PAGE).rglob("*.html"):
        assert "//" not in path.read_text(encoding="utf-8").replace("<!--", "").replace("http://www.w3.org/", "")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("check", CHECKS)
def test_the_client_keeps(check: str, built: Path) -> None:
    # Sizes are those of what was just built; everything else looks at the sources alone.
    print(npm(check, built / "client_js" if check == "size" else CLIENT))
