"""Writes the pages that are made from the code: `make docs`. A test fails while they differ from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, get_args, get_origin, get_type_hints

import click
import msgspec

from onward import errors
from onward.cli import main as command_line
from onward.config import PREFIX, Settings, allowed, size_text
from onward.core.types import State
from onward.core.upload import TRANSITIONS

ROOT: Final = Path(__file__).parents[1]
NOTE: Final = "Made from the code by `make docs`; change it there."
_AS_IT_STANDS: Final = "\b\n"
_FOR_COMPOSE: Final = """\
# Settings of Onward, each with its default. `cp env.sample .env`, then change what you need:
# `onward serve` and `docker compose` both read `.env` in the directory they are started in.
# The reference is docs/reference/settings.md. Sizes may be written 64MiB, durations are seconds.

# -- for docker compose alone --
# Where the server is reached; `0.0.0.0:8000` opens it to your network (change both secrets first).
PUBLISH=127.0.0.1:8000
# Letters and digits only: it becomes part of an address.
REDIS_PASSWORD=change-me-too

# -- Onward --
"""
_SET_IN_SAMPLE: Final = {"token": "change-me"}
_HIDDEN_ERRORS: Final = (errors.OnwardError, errors.ClientFault, errors.ServerFault)


def value_text(value: object) -> str:
    """A default, as it is written in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, int):
        return size_text(value)
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else str(int(value))
    return str(value.value if isinstance(value, StrEnum) else value)


def settings() -> Iterable[tuple[str, str, str, msgspec.Meta]]:
    """Each setting: name, default as text, allowed values in words, description and bounds."""
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        meta = _meta(hints[field.name])
        yield field.name, value_text(field.default), _cell(allowed(field.name)), meta


def _meta(hint: object) -> msgspec.Meta:
    if get_origin(hint) is not Annotated:
        raise TypeError("a setting has no description")
    meta: msgspec.Meta = get_args(hint)[1]
    return meta


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def env_sample() -> str:
    """``env.sample``: every setting with its default, commented out unless compose needs it."""
    lines = []
    for name, default, _, meta in settings():
        lines.append(f"# {meta.description}")
        if name in _SET_IN_SAMPLE:
            lines.append(f"{PREFIX}{name.upper()}={_SET_IN_SAMPLE[name]}\n")
        else:
            lines.append(f"# {PREFIX}{name.upper()}={default}\n")
    return _FOR_COMPOSE + "\n" + "\n".join(lines).rstrip() + "\n"


def settings_page() -> str:
    """``docs/reference/settings.md``."""
    rows = []
    for name, default, words, meta in settings():
        shown = f"`{default}`" if default else "empty"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {words} | {_cell(meta.description or '')} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "A flag of the command wins over the environment, the environment over the file `.env` in the directory",
            "where the command is started. An `ONWARD_…` name that is not in this table stops the start, so that a",
            "slip is not overlooked. Sizes are bytes (`64MiB`, `1g` are understood), durations are seconds, lists are",
            "separated by commas.",
            "",
            NOTE,
            "",
            "| variable | default | allowed | what it does |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def error_classes() -> list[type[errors.OnwardError]]:
    """The errors a client can meet, in the order of the source."""
    found = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.OnwardError) and not issubclass(value, errors.Signal)
    ]
    return [value for value in found if value not in _HIDDEN_ERRORS]


def errors_page() -> str:
    """``docs/reference/errors.md``."""
    rows = []
    for error in error_classes():
        sentence = " ".join((inspect.getdoc(error) or "").split()).replace("``", "`")
        rows.append(f"| `{error.code}` | {error.status_hint} | {_cell(sentence)} |")
    return "\n".join(
        [
            "# Errors",
            "",
            "The chunk API answers every error as `application/problem+json`: `type`, `title`, `status`, `detail`,",
            "`code` and the facts named here. Build on `code`; it stays. `detail` is a sentence for a person and may",
            "change. The status is that of the chunk API; another protocol may prescribe its own. What a guard of the",
            "application or the router refuses has the words of its status as code: 405 `method-not-allowed`.",
            "",
            NOTE,
            "",
            "| code | status | when |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def cli_page() -> str:
    """``docs/reference/cli.md``."""
    lines = ["# Commands", "", NOTE, ""]
    for name, command in sorted(command_line.commands.items()):
        lines += _command(name, command)
    return "\n".join(lines)


def _command(name: str, command: click.Command) -> list[str]:
    known = Settings.__struct_fields__
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = " ".join(p.make_metavar(click.Context(command)) for p in shown if isinstance(p, click.Argument))
    options = [p for p in shown if isinstance(p, click.Option)]
    of_settings = [p for p in options if p.name in known]
    lines = [f"## `onward {f'{name} {arguments}'.strip()}`", "", _prose(inspect.cleandoc(command.help or "")), ""]
    if len(of_settings) == len(known):
        lines += [
            "Every [setting](settings.md) is an option: `--max-size 10GiB` for `ONWARD_MAX_SIZE=10GiB`, and for those",
            "that are true or false `--worker` and `--no-worker`.",
            "",
        ]
        of_settings = []
    rows = [p for p in options if p in of_settings or p.name not in known]
    if rows:
        lines += ["| option | what it does |", "|---|---|"]
        lines += [f"| {_flags(p)} | {_cell(p.help or '')} |" for p in rows]
        lines.append("")
    return lines


def _prose(text: str) -> str:
    """Click's help as Markdown: a paragraph after its mark for `as it stands` becomes a block."""
    blocks = re.split(r"\n{2,}", text)
    return "\n\n".join(
        f"```\n{b.removeprefix(_AS_IT_STANDS)}\n```" if b.startswith(_AS_IT_STANDS) else b for b in blocks
    )


def _flags(option: click.Option) -> str:
    flags = ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])
    default = option.default
    if option.is_flag or not isinstance(default, int | float | str) or "Default:" in (option.help or ""):
        return flags
    return f"{flags} (default `{value_text(default)}`)"


def states_page() -> str:
    """``docs/reference/states.md``."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for state, row in TRANSITIONS.items():
        for event, to in row.items():
            arrows.setdefault((state, to), []).append(event.__name__)
    lines = [f"    {_state(a)} --> {_state(b)}: {', '.join(names)}" for (a, b), names in arrows.items()]
    return "\n".join(
        [
            "# States of an upload",
            "",
            "Drawn from the table in `onward/core/upload.py`. An event that a state does not show leaves it as it is.",
            "",
            NOTE,
            "",
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {_state(State.OPEN)}: Created",
            *lines,
            "```",
            "",
        ]
    )


def _state(state: State) -> str:
    return state.name.lower()


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "env.sample": env_sample,
    "docs/reference/settings.md": settings_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/states.md": states_page,
    "docs/reference/cli.md": cli_page,
}


def main() -> None:
    """Write every page whose text has changed."""
    for path, text in PAGES.items():
        page = ROOT / path
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.is_file() or page.read_text(encoding="utf-8") != text():
            page.write_text(text(), encoding="utf-8")
            print("wrote", path)


if __name__ == "__main__":
    main()
