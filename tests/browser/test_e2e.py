"""What befalls people who upload, played in Chromium against a real server: `client_js/e2e` has the cases."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CLIENT: Final = ROOT / "client_js"
CHROMIUM: Final = os.environ.get("ONWARD_E2E_CHROMIUM", "chromium")

CASES: Final = (
    "plain",
    "offline",
    "server killed",
    "reload",
    "sleeping laptop",
    "file edited",
    "two tabs",
    "limit of a proxy",
    "signed out",
    "damaged on the way",
    "many files",
    "huge file",
    "refused",
    "blocked parts",
    "keyboard",
    "fault bench",
    "reloaded",
    "still known",
    "chosen again",
    "dropped again",
    "from a stream",
    "another site",
    "no workers",
    "signed in",
    "insight",
    "operator",
)
DEEP: Final = ("offline", "many files", "huge file", "blocked parts", "dead connections")
"""Cases that are longer, larger or more in life than they are by default."""


class Stage:
    """One Chromium and one server, in which cases are played one after the other."""

    def __init__(self, *options: str) -> None:
        assert shutil.which("node"), "node is missing; `make test` installs it"
        chromium = shutil.which(CHROMIUM)
        assert chromium, "chromium is missing; `make test` installs it"
        assert (CLIENT / "node_modules").is_dir(), "the client's tools are missing; `make test` fetches them"
        environ = {
            **os.environ,
            "ONWARD_E2E_PYTHON": sys.executable,
            "ONWARD_E2E_CHROMIUM": str(shutil.which(CHROMIUM)),
        }
        self._process = subprocess.Popen(
            ["node", "e2e/run.mjs", "--listen", *options],
            cwd=CLIENT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == {"ready": True}

    def play(self, name: str) -> dict[str, Any]:
        """How a case went, with its figures."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """The browser, the servers and their files go."""
        with self._process:  # closes the pipes
            assert self._process.stdin is not None
            self._process.stdin.close()
            assert self._process.wait(60) == 0

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the browser's driver has ended"
        told: dict[str, Any] = json.loads(line)
        return told


@pytest.fixture(scope="module")
def stage() -> Iterator[Callable[[str], dict[str, Any]]]:
    opened = Stage()
    try:
        yield opened.play
    finally:
        opened.close()


def judged(told: dict[str, Any]) -> None:
    pages = "\n---\n".join(told.get("pages", []))
    assert told["ok"], f"{told['error']}\n--- the page\n{pages}\n--- the server\n{told.get('log', '')}"
    print({name: value for name, value in told.items() if name != "ok"})


@pytest.mark.parametrize("case", CASES)
def test_an_upload_survives(stage: Callable[[str], dict[str, Any]], case: str) -> None:
    judged(stage(case))


@pytest.mark.deep
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("case", DEEP)
def test_an_upload_survives_at_full_length(case: str) -> None:
    deep = Stage("--deep")
    try:
        judged(deep.play(case))
    finally:
        deep.close()


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["firefox", "webkit"])
def test_other_engines_carry_on_too(engine: str) -> None:
    programs = {"firefox": ["firefox-esr"], "webkit": ["WebKitWebDriver", "Xvfb"]}[engine]
    missing = [name for name in programs if shutil.which(name) is None]
    assert not missing, f"missing: {missing}; on Debian: apt-get install firefox-esr webkit2gtk-driver xvfb"
    environ = {**os.environ, "ONWARD_E2E_PYTHON": sys.executable}
    command = ["node", "e2e/other-engines.mjs", engine]
    done = subprocess.run(command, cwd=CLIENT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    judged(json.loads(done.stdout))


def test_every_case_is_played() -> None:
    listed: list[str] = []
    for path in sorted((CLIENT / "e2e").glob("scenarios*.mjs"), key=lambda path: path.stem):
        _, _, table = path.read_text(encoding="utf-8").partition("\nexport const ")
        listed += [quoted or bare for quoted, bare in re.findall(r"^  (?:'([^']+)': \w+|(\w+)),$", table, re.MULTILINE)]
    assert sorted(listed) == sorted({*CASES, *DEEP})
