"""Settings, and the only place that picks backends by them."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import anyio.to_thread
import msgspec
from msgspec import Meta

from onward.core.types import Limits
from onward.engine.engine import Engine
from onward.engine.rules import Rules
from onward.errors import OnwardError
from onward.hooks.none import NoHooks
from onward.ports import Hooks, Jobs, OnConflict

PREFIX: Final = "ONWARD_"
MIB: Final = 1 << 20
DAY: Final = 86_400.0

JOURNAL: Final = "onward.db"
"""The file that makes a directory a data directory."""


class SettingsError(OnwardError):
    """A setting that cannot be used; the sentence names it and says what is allowed."""

    code = "bad-setting"
    title = "A setting cannot be used"


def _doc(text: str, *, words: str = "", **bounds: Any) -> Meta:
    """What a setting means; ``words`` say what its ``pattern`` allows."""
    return Meta(description=text, extra={"words": words}, **bounds)


_MAY_HOLD_SECRETS: Final = frozenset({"token", "queue_url"})
"""Settings whose values are never repeated."""
_PATH: Final[dict[str, Any]] = {"pattern": "^(/[a-z0-9_-]+)+$", "words": "/path of a-z, 0-9, _ and -"}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator can set, each with its default; see ``docs/reference/settings.md``.

    A flag wins over the environment, the environment over ``.env``. Sizes are bytes (``64MiB``
    is understood), durations are seconds.
    """

    data: Annotated[Path, _doc("Directory that holds uploads, published files and the journal.")] = Path("var")
    host: Annotated[str, _doc("Address that `onward serve` listens on.")] = "127.0.0.1"
    port: Annotated[int, _doc("Port that `onward serve` listens on; 0 picks a free one.", ge=0, le=65535)] = 8000
    workers: Annotated[int, _doc("Server processes on that port.", ge=1, le=64)] = 1
    worker: Annotated[
        bool, _doc("Run one worker process beside the server; turn off to run `onward worker` apart.")
    ] = True
    merges: Annotated[int, _doc("Uploads that one worker process verifies at the same time.", ge=1, le=64)] = 2
    verify_deaths: Annotated[
        int,
        _doc(
            "Worker processes that may die while they verify one upload; it then fails as `worker-died`. SIGKILL counts, whoever sent it; SIGTERM does not.",
            ge=1,
        ),
    ] = 5
    log_level: Annotated[str, _doc("One of debug, info, warning, error.", pattern="^(debug|info|warning|error)$")] = (
        "info"
    )
    token: Annotated[
        str,
        _doc(
            "Bearer token of the operator routes (all uploads, all events). Empty: they are open, and only loopback is served."
        ),
    ] = ""
    open: Annotated[bool, _doc("Serve beyond loopback without a token.")] = False
    demo: Annotated[
        bool,
        _doc(
            "Let the page at /ui make uploads fail on purpose, for shows and tests. Anybody who reaches the server may."
        ),
    ] = False
    public_url: Annotated[
        str,
        _doc(
            "Scheme and host that clients see, for `Location`; empty: what the request says.",
            pattern="^(https?://[^/?#]+)?$",
            words="http://host or https://host",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        _doc("Addresses or networks whose `X-Forwarded-*` or `Forwarded` is believed, separated by commas."),
    ] = ()
    upload_path: Annotated[str, _doc("Path of the chunk API.", **_PATH)] = "/upload"
    files_path: Annotated[str, _doc("Path of tus, of the IETF draft and of published files.", **_PATH)] = "/files"
    uploads_path: Annotated[str, _doc("Path of the status of uploads.", **_PATH)] = "/uploads"
    compat_path: Annotated[str, _doc("Path that front-ends of others use.", **_PATH)] = "/compat"
    events_path: Annotated[str, _doc("Path of the event stream over all uploads.", **_PATH)] = "/events"
    cors_origins: Annotated[
        tuple[str, ...], _doc("Origins that browsers may upload from, exact, separated by commas; `*` for any.")
    ] = ("*",)
    cors_credentials: Annotated[bool, _doc("Let browsers send cookies; needs exact origins.")] = False
    durability: Annotated[
        str,
        _doc(
            "When bytes must survive a power cut: `ack` (when acknowledged), `complete` (when sealed) or `none`.",
            pattern="^(ack|complete|none)$",
        ),
    ] = "ack"
    segment: Annotated[
        int,
        _doc("Bytes of a long body that are recorded at a time; a crash costs at most one.", ge=MIB // 4, le=1 << 30),
    ] = 64 * MIB
    max_size: Annotated[int, _doc("Largest file.", ge=1, le=2**62)] = 1 << 40
    max_chunk: Annotated[int, _doc("Largest chunk.", ge=1, le=1 << 34)] = 64 * MIB
    max_chunks: Annotated[int, _doc("Most chunks of one file.", ge=1, le=1_000_000)] = 10_000
    min_free: Annotated[int, _doc("Disk space that stays free; an upload that would take it gets 507.", ge=0)] = (
        256 * MIB
    )
    expire_after: Annotated[
        float, _doc("Seconds without a byte after which an unfinished upload is removed.", ge=1)
    ] = 7 * DAY
    forget_after: Annotated[
        float, _doc("Seconds that a failed, cancelled or expired upload is still answered for.", ge=1)
    ] = 7 * DAY
    sweep_every: Annotated[float, _doc("Seconds between two sweeps for expired uploads and lost work.", ge=0.1)] = 30.0
    body_idle: Annotated[
        float, _doc("Seconds without a byte of a body after which the request is ended with 408.", ge=0.1)
    ] = 30.0
    header_timeout: Annotated[float, _doc("Seconds in which the headers of a request must have come.", ge=0.1)] = 30.0
    max_header: Annotated[int, _doc("Most header bytes of a request; more gets 431.", ge=1024, le=MIB)] = 64 * 1024
    drain: Annotated[
        float, _doc("Seconds that running requests get to save what they have when the server stops.", ge=0.1)
    ] = 10.0
    lock_wait: Annotated[float, _doc("Seconds that a request waits for the place it writes to.", ge=0)] = 15.0
    on_conflict: Annotated[OnConflict, _doc("When a final name is taken: `refuse`, `rename` or `replace`.")] = (
        OnConflict.REFUSE
    )
    name_template: Annotated[
        str, _doc("Final name of uploads without a client's name, of `{id}`, `{filename}`, `{owner}`.")
    ] = "{id}/{filename}"
    delete_finished: Annotated[
        str, _doc("Whether `DELETE` may remove a published file: `refuse` or `allow`.", pattern="^(refuse|allow)$")
    ] = "refuse"
    send_104: Annotated[
        str,
        _doc(
            "Whether clients of the IETF draft get interim responses: `always`, `never`, or `auto` (not through proxies).",
            pattern="^(auto|always|never)$",
        ),
    ] = "auto"
    queue_url: Annotated[
        str,
        _doc(
            "Redis queue for the worker, as `redis://…`; empty: a queue in the data directory.",
            pattern="^((redis|rediss|unix)://.+)?$",
            words="redis://…, rediss://… or unix://…",
        ),
    ] = ""
    queue_insecure: Annotated[bool, _doc("Accept a Redis without password on another host.")] = False
    hooks: Annotated[str, _doc("Your hooks, as `package.module:Class`; see the how-to.")] = ""

    @property
    def limits(self) -> Limits:
        """The most that an upload may be."""
        return Limits(max_size=self.max_size, max_chunk=self.max_chunk, max_chunks=self.max_chunks)

    @property
    def rules(self) -> Rules:
        """How the engine behaves."""
        return Rules(
            durable_parts=self.durability == "ack",
            durable_seal=self.durability != "none",
            segment=self.segment,
            body_idle=self.body_idle,
            lock_wait=self.lock_wait,
            min_free=self.min_free,
            verify_deaths=self.verify_deaths,
            expire_after=self.expire_after,
            forget_after=self.forget_after,
            on_conflict=self.on_conflict,
            delete_finished=self.delete_finished == "allow",
            name_template=self.name_template,
        )


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Read settings: flags (``None`` values do not count) over ``ONWARD_*`` over ``.env``.

    Raises ``SettingsError`` for an unknown ``ONWARD_*`` name or a value that is not allowed.
    """
    texts: dict[str, Any] = {}
    if dotenv is not None:
        texts |= _named(_read_dotenv(dotenv))
    texts |= _named(os.environ if environ is None else environ)
    texts |= {name: value for name, value in (flags or {}).items() if value is not None}
    return _convert(texts)


@asynccontextmanager
async def open_engine(settings: Settings, *, jobs: Jobs, hooks: Hooks | None = None) -> AsyncIterator[Engine]:
    """The engine over the data directory, closed on exit.

    ``hooks`` win over the setting. Raises ``SettingsError`` or ``ServerFault`` if the directory
    or the hooks cannot be used.
    """
    # Imported here, so that choosing a backend is all that loads it.
    from onward.journal.sqlite import SqliteJournal  # noqa: PLC0415, as said above
    from onward.locks.file import FileLocks  # noqa: PLC0415, as above
    from onward.storage.local import LocalStorage  # noqa: PLC0415, as above

    storage = await anyio.to_thread.run_sync(LocalStorage, settings.data)
    journal = await anyio.to_thread.run_sync(SqliteJournal, settings.data / JOURNAL)
    engine = Engine(
        storage=storage,
        journal=journal,
        catalog=journal,
        locks=FileLocks(settings.data / "locks"),
        hooks=hooks or load_hooks(settings.hooks),
        jobs=jobs,
        limits=settings.limits,
        rules=settings.rules,
    )
    try:
        yield engine
    finally:
        await engine.close()


def load_hooks(path: str) -> Hooks:
    """The hooks at ``package.module:Class``, made without arguments; none for an empty path.

    Raises ``SettingsError`` if there is no such class.
    """
    if not path:
        return NoHooks()
    module, _, name = path.partition(":")
    if not name:
        raise SettingsError(f"hooks are named as package.module:Class, not {path!r}", field="hooks")
    try:
        hooks: Hooks = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise SettingsError(f"hooks cannot be loaded from {path!r}: {error}", field="hooks") from error
    return hooks


def environment(settings: Settings) -> dict[str, str]:
    """The ``ONWARD_*`` variables that make a child process load these settings."""
    plain = msgspec.to_builtins(settings, enc_hook=str)
    return {PREFIX + name.upper(): _as_text(value) for name, value in plain.items()}


def _named(environ: Mapping[str, str]) -> dict[str, str]:
    known = {PREFIX + f.upper(): f for f in Settings.__struct_fields__}
    found: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in known:
            raise SettingsError(f"{variable} is not a setting; `onward serve --help` lists them all", field=variable)
        found[known[variable]] = value
    return found


def _read_dotenv(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:  # a directory that this user may not look into is one, too
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsError(f"{path.absolute()} cannot be read as settings: {why}", field=str(path)) from None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals:
            raise SettingsError(f".env line {number} is not NAME=value", field=line)
        value = value.strip()
        found[name.strip()] = _bare(value)
    return found


def _bare(value: str) -> str:
    """A value without its quotes, or without the comment after it, as `docker compose` reads them."""
    quoted = _QUOTED.fullmatch(value)
    return quoted[2] if quoted else _COMMENT.sub("", value)


_QUOTED: Final = re.compile(r"""(['"])(.*)\1(?:\s+#.*)?""")
_COMMENT: Final = re.compile(r"(?:^|\s+)#.*")
_WORDS: Final = re.compile(r"\^\(([a-z|]+)\)\$")
_TEMPLATE: Final = re.compile(r"(?:[^{}]|\{(?:id|filename|owner)\})+")
_PLACE: Final = re.compile(r" - at `\$\.([a-z_]+)")
_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "kib": 1 << 10,
    "m": MIB,
    "mib": MIB,
    "g": 1 << 30,
    "gib": 1 << 30,
    "t": 1 << 40,
    "tib": 1 << 40,
}


@cache  # every option of every command asks, and to work it out takes a millisecond
def _annotated() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def described(name: str) -> str:
    """The sentence that documents a setting."""
    for note in get_args(_annotated()[name]):
        if isinstance(note, Meta) and note.description:
            return note.description
    raise KeyError(name)


def allowed(name: str) -> str:
    """The values that a setting may have, in words; empty if any will do."""
    kind = get_type_hints(Settings)[name]
    notes = (note for note in get_args(_annotated()[name]) if isinstance(note, Meta))
    meta = next(notes, Meta())
    if kind is bool:
        return "true, false"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(kind)
    if meta.ge is not None and meta.le is not None:
        return f"{_bound(meta.ge)} to {_bound(meta.le)}"
    if meta.ge is not None:
        return f"at least {_bound(meta.ge)}"
    words = _WORDS.fullmatch(meta.pattern or "")
    return words[1].replace("|", ", ") if words else str((meta.extra or {}).get("words", ""))


def called(name: str) -> str:
    """A setting as an operator knows it: its variable and its flag."""
    return f"{PREFIX}{name.upper()} (--{name.replace('_', '-')})"


def size_text(number: int) -> str:
    """``67108864`` as ``64MiB``, where it comes out even."""
    for name, unit in reversed(_UNITS.items()):
        if len(name) == 3 and number >= unit and number % unit == 0:
            return f"{number // unit}{name[:2].title()}B"
    return str(number)


def _bound(number: float) -> str:
    return size_text(number) if isinstance(number, int) else f"{number:g}"


def parse_size(text: str) -> int:
    """The bytes that ``64MiB``, ``1g`` or ``4096`` stand for. Raises ``ValueError``."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(digits) :].strip().lower()
    if not digits.isascii() or not digits.isdigit() or unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size")
    return int(digits) * _UNITS[unit]


def _convert(texts: Mapping[str, Any]) -> Settings:
    hints = get_type_hints(Settings, include_extras=False)
    values: dict[str, Any] = {}
    for name, value in texts.items():
        values[name] = _from_text(name, value, hints[name]) if isinstance(value, str) else value
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_decode_path)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        if place is None:
            raise SettingsError(f"a setting is not allowed: {error}") from None
        name = place[1]
        given = "" if name in _MAY_HOLD_SECRETS else f", not {texts[name]!r}"
        raise SettingsError(f"{called(name)} may only be {allowed(name)}{given}", field=name) from None
    _check_together(settings, texts)
    return settings


def _check_together(settings: Settings, texts: Mapping[str, Any]) -> None:
    """What a single value does not show. Raises ``SettingsError``."""
    if settings.cors_credentials and "*" in settings.cors_origins:
        raise SettingsError(
            "ONWARD_CORS_CREDENTIALS needs exact ONWARD_CORS_ORIGINS; '*' lets any site act in a visitor's name",
            field="cors_credentials",
        )
    if not _TEMPLATE.fullmatch(settings.name_template) or {"", ".", ".."} & set(settings.name_template.split("/")):
        raise SettingsError(
            "ONWARD_NAME_TEMPLATE must be a relative path, with no other braces than {id}, {filename} and {owner}",
            field="name_template",
        )
    if settings.demo and settings.workers > 1:
        raise SettingsError(
            "ONWARD_DEMO needs ONWARD_WORKERS=1: each process would make faults of its own", field="demo"
        )
    if settings.data == Path() and not texts.get("data", "."):
        raise SettingsError("ONWARD_DATA must name a directory", field="data")


def _from_text(name: str, text: str, kind: Any) -> Any:
    if get_origin(kind) is tuple and get_args(kind)[0] is str:
        return [piece.strip() for piece in text.split(",") if piece.strip()]
    if kind is bool and text == "":
        return False
    if kind is int:
        try:
            return parse_size(text)
        except ValueError:
            words = allowed(name)
            raise SettingsError(
                f"{called(name)} may only be {words}, not {text!r}; sizes may be written 64MiB", field=name
            ) from None
    return text


def _decode_path(kind: type[Path], value: Any) -> Path:
    return kind(value)  # paths are all that msgspec asks about: it knows the other types itself


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(piece) for piece in value)
    return str(value)
