"""The command ``onward``."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import anyio
import click
import msgspec

from onward import config, worker
from onward.app import create_app
from onward.config import Settings, SettingsError
from onward.core import manifest, names
from onward.core.summary import Summary
from onward.core.types import Cancel, ClientName, State, Status, Target, UploadId, is_id
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.engine.finish import final_name, template_for
from onward.engine.sweep import sweep as sweep_once
from onward.errors import NotFound, OnwardError, ServerFault
from onward.ports import Caller
from onward.put.command import put
from onward.server.child import set_up_logging, watch_parent
from onward.server.supervise import run_server
from onward.wire import views

OPERATOR: Final = Caller(operator=True)
WORDS: Final = ("receiving", "verifying", "done", "failed", "expired", "cancelled")

F = TypeVar("F", bound=Callable[..., Any])


def settings_options(*only: str) -> Callable[[F], F]:
    """Give a command one option for each setting, or for those named."""

    def decorate(command: F) -> F:
        for field in reversed(msgspec.structs.fields(Settings)):
            if only and field.name not in only:
                continue
            flag = "--" + field.name.replace("_", "-")
            meta = config.described(field.name)
            if isinstance(field.default, bool):
                command = click.option(f"{flag}/--no-{flag[2:]}", field.name, default=None, help=meta)(command)
            else:
                command = click.option(flag, field.name, default=None, help=meta, metavar="VALUE")(command)
        return command

    return decorate


class Commands(click.Group):
    """Turns what Onward raises into one plain sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except OnwardError as error:
            raise click.ClickException(_sentence(error, ctx.obj)) from error


def _sentence(error: OnwardError, settings: Settings | None) -> str:
    """What an operator is told, who may know where things are; a client is told the detail alone."""
    cause = error.__cause__
    if settings is None or not isinstance(error, ServerFault):
        return error.detail
    data = settings.data.resolve()
    if isinstance(cause, OSError):
        place = os.path.relpath(cause.filename, data) if isinstance(cause.filename, str) else "."
        why = cause.strerror or str(cause)
        why = why if place == "." else f"{place}: {why}"
    elif isinstance(cause, sqlite3.Error):
        why = f"{config.JOURNAL}: {cause}"
    else:
        return error.detail
    return f"{data} cannot be used: {why}. Name another with --data (ONWARD_DATA)."


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="onward")
def main() -> None:
    """Uploads that carry on: a resumable-upload server that proves every byte."""


@main.command()
@settings_options()
def serve(**flags: Any) -> None:
    """Serve uploads, with one worker beside the server."""
    settings = _load(flags)
    anyio.run(_try, settings)
    # uvicorn's types and Litestar's describe the same protocol in two ways.
    app: Any = create_app(settings) if settings.workers == 1 else "onward.app:app"
    sys.exit(run_server(settings, app=app))


@main.command("worker")
@settings_options()
@click.option("--parent-fd", type=int, default=None, hidden=True)
def run_worker(parent_fd: int | None, **flags: Any) -> None:
    """Verify and publish what is sealed, until SIGTERM."""
    settings = _load(flags)
    if parent_fd is not None:
        watch_parent(parent_fd)  # the server has said where everything is
    set_up_logging(settings.log_level)

    def announce() -> None:
        click.echo(f"Onward verifies and publishes uploads in {settings.data.resolve()}")
        click.echo(f"The queue is {worker.queue_of(settings)}")

    anyio.run(partial(worker.main, settings, started=announce if parent_fd is None else None))


@main.command()
@settings_options("data", "queue_url", "queue_insecure", "expire_after", "forget_after", "hooks")
def sweep(**flags: Any) -> None:
    """Remove what has expired, queue again what was lost, free what nobody owns: once, now."""
    settings = _load(flags)

    async def once() -> None:
        async with _engine(settings) as engine:
            swept = await sweep_once(engine, started=True)
        if swept is None:
            click.echo("another process is sweeping")
            return
        click.echo(
            f"expired {swept.expired}, forgotten {swept.forgotten}, "
            f"orphans {swept.orphans}, queued {swept.queued}, hooks told {swept.told}"
        )

    anyio.run(once)


@main.command("ls")
@settings_options("data")
@click.option("--state", type=click.Choice(WORDS), multiple=True, help="Only uploads in this state.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_uploads(state: tuple[str, ...], *, as_json: bool, **flags: Any) -> None:
    """List uploads, newest first: state, size, name, and where the name leads."""
    settings = _load(flags)

    async def rows() -> None:
        async with _engine(settings) as engine:
            cursor: str | None = None
            while True:
                page, cursor = await engine.catalog.page(
                    owner=None, everyone=True, states=_states(state), after=cursor, limit=200
                )
                for row in page:
                    if not state or row.word in state:
                        click.echo(await _line(settings, engine, row, as_json=as_json))
                if cursor is None:
                    return

    anyio.run(rows)


@main.command()
@settings_options("data")
@click.argument("upload")
def show(upload: str, **flags: Any) -> None:
    """Show all that is known of UPLOAD (an id or a name) as JSON."""
    settings = _load(flags)

    async def one() -> None:
        async with _engine(settings) as engine:
            outcome = await engine.run(Status(target=await _target(engine, upload)), OPERATOR)
            found = outcome.upload
            row = await engine.catalog.summary(found.id)
            click.echo(
                msgspec.json.format(
                    msgspec.json.encode(
                        {
                            "summary": row,
                            "failure": views.failure_of(found),
                            "leads_to": _leads_to(settings, found),
                            "metadata": found.spec.metadata,
                            "declared": found.declared,
                            "holes": list(found.missing() if found.part_size or found.spec.name else found.holes()),
                            "parts": found.parts(),
                        }
                    )
                ).decode()
            )

    anyio.run(one)


@main.command()
@settings_options("data", "delete_finished")
@click.argument("uploads", nargs=-1, required=True)
def cancel(uploads: tuple[str, ...], **flags: Any) -> None:
    """Cancel UPLOADS (ids or names) and free their bytes."""
    settings = _load(flags)

    async def all_of_them() -> None:
        async with _engine(settings) as engine:
            for upload in uploads:
                await engine.run(Cancel(target=await _target(engine, upload)), OPERATOR)
                click.echo(f"cancelled {upload}")

    anyio.run(all_of_them)


@main.command()
@settings_options("data")
@click.argument("uploads", nargs=-1)
def verify(uploads: tuple[str, ...], **flags: Any) -> None:
    """Read published files again and compare every part with the manifest. Without UPLOADS: all of them.

    Exits with 1 if any byte is not what was published.
    """
    settings = _load(flags)

    async def check_all() -> int:
        bad = 0
        async with _engine(settings) as engine:
            async for id in _chosen(engine, uploads):
                complaint = await _verify(engine, id)
                click.echo(f"{'ok' if complaint is None else 'BAD'}  {id}  {complaint or ''}".rstrip())
                bad += complaint is not None
        return bad

    if anyio.run(check_all):
        sys.exit(1)


main.add_command(put)


# -- what the commands share --------------------------------------------------------------------------


def _load(flags: Mapping[str, Any]) -> Settings:
    settings = config.load(flags)
    click.get_current_context().find_root().obj = settings
    return settings


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
    # Opening would make it one, wherever a slip points to.
    if not (settings.data / config.JOURNAL).is_file():
        raise SettingsError(f"{settings.data} is no data directory of Onward", field="data")
    async with worker.open_jobs(settings) as jobs, config.open_engine(settings, jobs=jobs) as engine:
        yield engine


async def _try(settings: Settings) -> None:
    """Open and close what the server will: what cannot be used is then said in a sentence, not in its log."""
    ours, silent = logging.getLogger("onward"), logging.NullHandler()
    ours.addHandler(silent)
    try:
        async with worker.open_jobs(settings) as jobs, config.open_engine(settings, jobs=jobs):
            pass
    finally:
        ours.removeHandler(silent)


async def _target(engine: Engine, text: str) -> Target:
    if is_id(text) and await engine.catalog.summary(UploadId(text)) is not None:
        return UploadId(text)
    return ClientName(None, names.clean(text))


def _states(words: tuple[str, ...]) -> list[State]:
    chosen = {State.GONE if word in {"expired", "cancelled"} else State(word) for word in words}
    return sorted(chosen or set(State))


async def _line(settings: Settings, engine: Engine, row: Summary, *, as_json: bool) -> str:
    leads_to = _leads_to(settings, await engine.ledger.load(row.id))
    if as_json:
        return msgspec.json.encode({"summary": row, "word": row.word, "leads_to": leads_to}).decode()
    when = datetime.fromtimestamp(row.active_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    size = f"{row.kept}" if row.length is None else f"{row.kept}/{row.length}"
    arrow = f" -> {leads_to}" if leads_to else ""
    return f"{row.id}  {when}  {row.word:10}  {size:>25}  {row.name or '-'}{arrow}"


def _leads_to(settings: Settings, upload: Upload) -> str | None:
    """Where the file is, or will be if nothing else takes the name; ``None`` if there will be none."""
    if upload.state in {State.FAILED, State.GONE}:
        return None
    if upload.published is not None:
        return str(settings.data / "files" / upload.published.ref)
    return str(settings.data / "files" / final_name(template_for(upload, settings.name_template), upload))


async def _chosen(engine: Engine, uploads: tuple[str, ...]) -> AsyncIterator[UploadId]:
    if uploads:
        for text in uploads:
            yield (await engine.run(Status(target=await _target(engine, text)), OPERATOR)).upload.id
        return
    cursor: str | None = None
    while True:
        page, cursor = await engine.catalog.page(
            owner=None, everyone=True, states=[State.DONE], after=cursor, limit=200
        )
        for row in page:
            yield row.id
        if cursor is None:
            return


async def _verify(engine: Engine, id: UploadId) -> str | None:
    """What is wrong with a published file, or ``None``."""
    upload = await engine.ledger.load(id)
    if upload.published is None:
        return f"not published; it is {upload.word}"
    try:
        described = manifest.decode(await engine.storage.manifest(id))
        size = await engine.storage.stat(upload.published.ref)
    except (NotFound, manifest.ManifestInvalid) as error:
        return error.detail
    if size != described.length or described.sha256 != upload.published.digest.value.hex():
        return f"the file has {size} bytes, the manifest {described.length}"
    whole = hashlib.sha256()
    for part in described.parts:
        piece = hashlib.sha256()
        async with aclosing(engine.storage.read(upload.published.ref, part.start, part.size)) as blocks:
            async for block in blocks:
                piece.update(block)
                whole.update(block)
        if piece.hexdigest() != part.sha256:
            return f"bytes {part.start}-{part.start + part.size - 1} are not what was published"
    if whole.hexdigest() != described.sha256:
        return "the whole file is not what was published"
    return None
