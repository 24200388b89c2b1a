"""The command line of `put`: what is understood, and what is a mistake."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from onward.put.command import Report, base_of, put
from onward.put.run import Job, Told


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8000/upload", "http://127.0.0.1:8000/upload"),
        ("http://127.0.0.1:8000/upload/", "http://127.0.0.1:8000/upload"),
        ("http://host", "http://host/upload"),
        ("https://host/", "https://host/upload"),
        ("host:81", "http://host:81/upload"),
        ("127.0.0.1:8000/api/up", "http://127.0.0.1:8000/api/up"),
        ("http://[::1]:8000", "http://[::1]:8000/upload"),
    ],
)
def test_where_the_chunk_api_is(url: str, base: str) -> None:
    assert base_of(url) == base


@pytest.mark.parametrize("protocol", ["tus", "ietf"])
def test_where_the_upload_resources_are(protocol: str) -> None:
    assert base_of("http://host", protocol) == "http://host/files"
    assert base_of("host:81/api/files/", protocol) == "http://host:81/api/files"


@pytest.mark.parametrize(
    "url", ["ftp://host/", "http://", "http://host/?a=1", "http://host/#a", "http://h:x/", "http://ho\x00st/"]
)
def test_what_is_no_address_is_a_usage_error(url: str) -> None:
    with pytest.raises(click.UsageError):
        base_of(url)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["http://host"],
        ["absent", "http://host"],
        ["a", "b", "--name", "x", "http://host"],
        ["a", "sub/a", "http://host"],
        ["a", "--name", "x/y", "http://host"],
        ["a", "--name", "", "http://host"],
        ["complete", "http://host"],
        ["a", "--chunk-size", "0", "http://host"],
        ["a", "--chunk-size", "8q", "http://host"],
        ["a", "--parallel", "0", "http://host"],
        ["a", "--header", "no colon", "http://host"],
        ["a", "--token", "@absent", "http://host"],
        ["a", "ftp://host"],
        ["a", "--protocol", "ftp", "http://host"],
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("a", "b", "sub/a", "complete"):
        (tmp_path / name).touch()
    result = CliRunner().invoke(put, arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_the_exit_code_tells_the_worst_that_happened() -> None:
    def code(*codes: int) -> int:
        report = Report([], as_json=False, quiet=True)
        for number, one in enumerate(codes):
            report.tell(Told(file=str(number), name="a", size=1, outcome="x", detail="y", exit_code=one))
        return report.exit_code

    assert [code(), code(0, 0), code(0, 3, 0), code(3, 1, 0), code(1, 3)] == [0, 0, 3, 1, 1]


def test_what_was_interrupted_is_told_with_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report([Job("a", "a", 1), Job("b", "b", 2)], as_json=True, quiet=False)
    report.tell(Told(file="a", name="a", size=1, outcome="done", exit_code=0))
    report.interrupted()
    out, err = capsys.readouterr()
    assert '"file":"b"' in out.splitlines()[1]
    assert '"outcome":"interrupted"' in out.splitlines()[1]
    assert "goes on from here" in err
