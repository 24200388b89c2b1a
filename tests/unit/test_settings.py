"""Settings: where they come from, what is refused, and that the pages tell the truth about them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.generate import settings
from onward.cli import main as command_line
from onward.config import PREFIX, Settings, SettingsError, environment, load, parse_size
from onward.core.types import Limits
from onward.ports import OnConflict

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = Settings.__struct_fields__


def read(
    environ: dict[str, str] | None = None, flags: dict[str, Any] | None = None, dotenv: Path | None = None
) -> Settings:
    """Settings of just these sources."""
    return load(flags, environ or {}, dotenv)


def test_without_a_word_the_defaults_hold() -> None:
    assert read() == Settings()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ONWARD_PORT=1001\nONWARD_HOST=::1\nONWARD_WORKERS=2\n")
    found = read({"ONWARD_PORT": "1002", "ONWARD_HOST": "127.0.0.2"}, {"port": 1003, "host": None}, dotenv)
    assert (found.port, found.host, found.workers) == (1003, "127.0.0.2", 2)


def test_the_file_may_have_comments_quotes_exports_and_the_names_of_others(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# a comment\n\nexport ONWARD_TOKEN='a b # c'\nONWARD_HOOKS=\"a.b:C\"\nREDIS_PASSWORD=x\n")
    found = read(dotenv=dotenv)
    assert (found.token, found.hooks) == ("a b # c", "a.b:C")


def test_a_comment_after_a_value_is_not_part_of_it(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "ONWARD_PORT=1001  # a port\nONWARD_DATA='x # y' # quoted\nONWARD_TOKEN=a#b\nONWARD_HOOKS= # none\n"
    )
    found = read(dotenv=dotenv)
    assert (found.port, found.data, found.token, found.hooks) == (1001, Path("x # y"), "a#b", "")


def test_a_line_of_the_file_that_assigns_nothing_is_named(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ONWARD_PORT=1\nONWARD_TOKEN\n")
    with pytest.raises(SettingsError, match="line 2"):
        read(dotenv=dotenv)


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read(dotenv=tmp_path / ".env") == Settings()


def test_texts_become_values() -> None:
    found = read(
        {
            "ONWARD_DATA": "/srv/onward",
            "ONWARD_MAX_CHUNK": "8MiB",
            "ONWARD_WORKER": "false",
            "ONWARD_OPEN": "1",
            "ONWARD_DRAIN": "2.5",
            "ONWARD_ON_CONFLICT": "rename",
            "ONWARD_CORS_ORIGINS": "https://a.example, https://b.example,",
            "ONWARD_TRUSTED_PROXIES": "",
        }
    )
    assert found.data == Path("/srv/onward")
    assert found.max_chunk == 8 << 20
    assert (found.worker, found.open, found.drain) == (False, True, 2.5)
    assert found.on_conflict is OnConflict.RENAME
    assert found.cors_origins == ("https://a.example", "https://b.example")
    assert found.trusted_proxies == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "eighty"),
        ("PORT", ""),
        ("WORKERS", "0"),
        ("WORKER", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("DURABILITY", "always"),
        ("ON_CONFLICT", "overwrite"),
        ("PUBLIC_URL", "example.org"),
        ("PUBLIC_URL", "https://example.org/path"),
        ("UPLOAD_PATH", "upload"),
        ("UPLOAD_PATH", "/upload/"),
        ("MAX_CHUNK", "64 parsecs"),
        ("MAX_HEADER", "10"),
        ("BODY_IDLE", "0"),
        ("QUEUE_URL", "http://localhost"),
        ("DATA", ""),
        ("CORS_CREDENTIALS", "true"),
        ("NAME_TEMPLATE", ""),
        ("NAME_TEMPLATE", "/{id}"),
        ("NAME_TEMPLATE", "{id}/"),
        ("NAME_TEMPLATE", "{id}/../{filename}"),
        ("NAME_TEMPLATE", "{date}/{filename}"),
        ("NAME_TEMPLATE", "{id"),
    ],
)
def test_a_value_that_is_not_allowed_names_its_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=PREFIX + name):
        read({PREFIX + name: value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "65536", "0 to 65535"),
        ("MAX_HEADER", "1GiBx", "1KiB to 1MiB"),
        ("BODY_IDLE", "0", "at least 0.1"),
        ("DURABILITY", "always", "ack, complete, none"),
        ("ON_CONFLICT", "overwrite", "refuse, rename, replace"),
        ("WORKER", "perhaps", "true, false"),
        ("UPLOAD_PATH", "upload/", "/path of a-z, 0-9, _ and -"),
        ("PUBLIC_URL", "up.example", "http://host or https://host"),
    ],
)
def test_a_value_that_is_not_allowed_is_answered_with_those_that_are(name: str, value: str, words: str) -> None:
    flag = "--" + name.lower().replace("_", "-")
    with pytest.raises(SettingsError) as caught:
        read({PREFIX + name: value})
    assert caught.value.detail.startswith(f"ONWARD_{name} ({flag}) may only be {words}, not '{value}'")


def test_an_address_that_may_hold_a_password_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"ONWARD_QUEUE_URL .* may only be redis://…") as caught:
        read({"ONWARD_QUEUE_URL": "http://user:s3cret@host/1"})
    assert "s3cret" not in str(caught.value.detail)


def test_a_template_of_names_may_have_what_it_documents() -> None:
    assert (
        read({"ONWARD_NAME_TEMPLATE": "{owner}/2026/{id}-{filename}"}).name_template == "{owner}/2026/{id}-{filename}"
    )


def test_a_name_that_is_no_setting_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="ONWARD_PROT"):
        read({"ONWARD_PROT": "1"})


def test_the_names_of_others_are_left_alone() -> None:
    assert read({"PATH": "/bin", "ONWARDS": "1"}) == Settings()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1k", 1024),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("1G", 1 << 30),
        ("2TiB", 2 << 40),
    ],
)
def test_sizes_are_understood(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5G", "1e3", "64MB", "1_000", "\uff11", "1 2", "0x10"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


def test_limits_are_those_of_the_settings() -> None:
    assert Settings(max_size=1, max_chunk=2, max_chunks=3).limits == Limits(max_size=1, max_chunk=2, max_chunks=3)


_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
_ITEM = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=20)


@given(
    found=st.builds(
        Settings,
        data=_TEXT.filter(bool).map(Path),
        port=st.integers(0, 65535),
        worker=st.booleans(),
        token=_TEXT,
        trusted_proxies=st.lists(_ITEM, max_size=3).map(tuple),
        segment=st.integers(1 << 18, 1 << 30),
        expire_after=st.floats(1, 1e12),
        on_conflict=st.sampled_from(OnConflict),
        hooks=_TEXT,
    )
)
def test_a_child_process_loads_what_its_parent_had(found: Settings) -> None:
    assert read(environment(found)) == found


def test_every_setting_says_what_it_does() -> None:
    for name, _, _, meta in settings():
        assert meta.description, name
        assert meta.description.endswith("."), name


def test_the_sample_with_every_line_in_force_is_the_defaults(tmp_path: Path) -> None:
    sample = (ROOT / "env.sample").read_text()
    dotenv = tmp_path / ".env"
    dotenv.write_text(re.sub(r"^# (ONWARD_[A-Z0-9_]+=)", r"\1", sample, flags=re.MULTILINE))
    assert re.findall(r"^(?:# )?ONWARD_([A-Z0-9_]+)=", sample, re.MULTILINE) == [name.upper() for name in NAMES]
    assert msgspec.structs.replace(read(dotenv=dotenv), token="") == Settings()


def test_the_sample_as_it_stands_can_be_used(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text((ROOT / "env.sample").read_text())
    assert read(dotenv=dotenv) == Settings(token="change-me")


def test_the_reference_has_every_setting_and_no_other() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert re.findall(r"^\| `ONWARD_([A-Z0-9_]+)`", page, re.MULTILINE) == [name.upper() for name in NAMES]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_every_setting_is_an_option_that_says_the_same(command: str) -> None:
    options = {p.name: p for p in command_line.commands[command].params if isinstance(p, click.Option)}
    assert {name for name, option in options.items() if not option.hidden} == set(NAMES)
    for name, _, _, meta in settings():
        option = options[name]
        assert option.help == meta.description
        assert f"--{name.replace('_', '-')}" in option.opts
        assert option.get_default(click.Context(command_line)) is None, "the settings have the default, not the flag"


def test_a_dotenv_that_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    loop = tmp_path / ".env"
    loop.mkdir()
    (tmp_path / "broken").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="broken cannot be read as settings"):
        load(environ={}, dotenv=tmp_path / "broken")
    with pytest.raises(SettingsError, match=r"cannot be read as settings: File name too long"):
        load(environ={}, dotenv=tmp_path / ("x" * 300))
    assert load(environ={}, dotenv=loop) == Settings(), "a directory is no file of settings"
