"""What is installed has the page in it, and serves it without Node."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.integration.real_server import PATIENCE

ROOT: Final = Path(__file__).parents[2]
BUILT: Final = ROOT / "src" / "onward" / "_ui" / "dist"
MOST: Final = 160 * 1024
"""Bytes that the page and the client for other pages add to the wheel."""


def uv(*arguments: str | Path) -> None:
    command = [Path(sys.executable).with_name("uv"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source package, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("packages")
    uv("build", "--quiet", "--system-certs", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Path:
    (found,) = packages.glob("*.whl")
    return found


def page_files() -> dict[str, int]:
    return {str(path.relative_to(BUILT)): path.stat().st_size for path in BUILT.rglob("*") if path.is_file()}


def test_both_packages_have_the_whole_page_and_no_more(packages: Path, wheel: Path) -> None:
    expected = page_files()
    assert {"index.html", "onward.min.js"} <= set(expected)
    place = "onward/_ui/dist/"
    with zipfile.ZipFile(wheel) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
        packed = sum(one.compress_size for one in archive.infolist() if one.filename.startswith(place))
    in_wheel = {name.removeprefix(place): size for name, size in sizes.items() if name.startswith(place)}
    (source,) = packages.glob("*.tar.gz")
    with tarfile.open(source) as archive_of_source:
        names = {name.partition("/src/" + place)[2] for name in archive_of_source.getnames()} - {""}
    assert in_wheel == expected
    assert names == set(expected)
    assert [name for name in sizes if name.endswith(".map") or "node_modules" in name] == []
    assert packed < MOST
    whole = sum(in_wheel.values())
    print(f"the page: {len(in_wheel)} files, {whole} bytes; {packed} of the {wheel.stat().st_size} of the wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that runs from the wheel, in an environment of its own with no Node in reach."""
    home = tmp_path_factory.mktemp("installed")
    uv("venv", "--quiet", "--python", sys.executable, home / "venv")
    uv("pip", "install", "--quiet", "--no-deps", "--python", home / "venv/bin/python", wheel)
    # Only the dependencies are found here: what is installed to be edited hangs on a .pth file, which is not read.
    environ = {"PATH": str(home / "venv/bin"), "PYTHONPATH": sysconfig.get_path("purelib"), "HOME": str(home)}
    command = [str(home / "venv/bin/onward"), "serve", "--port", "0", "--no-worker"]
    server = subprocess.Popen(command, cwd=home, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found, "the server did not say where it listens"
        _wait_for(found[0])
        yield found[0]
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, httpx.HTTPError, http.client.HTTPException):
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


def test_the_page_is_served_from_the_wheel(installed: str) -> None:
    with httpx.Client(base_url=installed, trust_env=False, follow_redirects=True) as client:
        page = client.get("/")
        assert (page.status_code, page.url.path) == (200, "/ui/")
        assert "text/html" in page.headers["content-type"]
        linked = re.findall(r'(?:href|src)="(?!data:)([^"#]+)"', page.text)
        assert linked
        for link in linked:
            assert not link.startswith(("http:", "https:", "//")), link
            loaded = client.get(page.url.join(link))
            assert loaded.status_code == 200, link
        for name, size in page_files().items():
            loaded = client.get(f"/ui/{name}")
            assert (loaded.status_code, len(loaded.content)) == (200, size), name
            assert loaded.headers["x-content-type-options"] == "nosniff"
        script = client.get("/ui/onward.min.js")
    packed = len(gzip.compress(script.content))
    print(f"onward.min.js: {len(script.content)} bytes, {packed} with gzip")
