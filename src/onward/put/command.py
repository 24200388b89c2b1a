"""The command `onward put`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

import click
import httpx
import msgspec

from onward.core import names
from onward.errors import BadName
from onward.put.plan import MIB, parse_size
from onward.put.progress import Board
from onward.put.run import PROTOCOLS, STALL, Job, Plan, Told, run

PATHS: Final = {"chunk": "/upload", "tus": "/files", "ietf": "/files"}
"""Where a protocol is if the URL has no path."""
INTERRUPTED: Final = 130
REDRAW: Final = 0.2
"""Seconds between two looks at the progress on a terminal."""
LINE_EVERY: Final = 5.0
"""Seconds between two lines of progress where there is no terminal."""


class Size(click.ParamType[int]):
    """Bytes, as ``8MiB`` or a plain number."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes; a usage error for anything that is not at least one."""
        try:
            size = value if isinstance(value, int) else parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < 1:
            self.fail("a chunk has at least one byte", param, ctx)
        return size


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.argument("url")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="chunk",
    show_default=True,
    help="Chunks in any order, tus 1.0, or the IETF draft of resumable uploads.",
)
@click.option("--name", help="Name of the file on the server; only with one FILE. Default: its own name.")
@click.option("--chunk-size", type=Size(), default=8 * MIB, help="Most bytes of a request, as 8MiB. Default: 8MiB.")
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests on their way at a time."
)
@click.option("--token", help="Sent as `Authorization: Bearer TOKEN`; @PATH reads it from a file.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Sent with every request; repeatable.")
@click.option("--retries", type=click.IntRange(0), help="Most new tries of one request. Default: as long as it takes.")
@click.option(
    "--give-up-after",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when nothing went forward for so long.",
)
@click.option(
    "--stall",
    type=click.FloatRange(0.1),
    default=STALL,
    show_default=True,
    metavar="SECONDS",
    help="Try a request anew when no byte of it moved for so long.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until the server has verified the file.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file, and no progress.")
def put(
    files: tuple[str, ...],
    url: str,
    *,
    protocol: str,
    name: str | None,
    chunk_size: int,
    parallel: int,
    token: str | None,
    headers: tuple[str, ...],
    retries: int | None,
    give_up_after: float,
    stall: float,
    no_wait: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Upload each FILE to the server at URL, and wait until it has proven every byte.

    URL is where uploads go, as http://127.0.0.1:8000/upload; a bare host gets /upload for chunks
    and /files for tus and ietf. Chunks of one file go side by side; with the others only files do.
    Every request goes with its SHA-256. Connections that break or stall are tried again. Whatever
    ends this command, the same command goes on where it stopped.

    \b
    Exit codes:
      0    the server has proven every file (with --no-wait: has every byte)
      1    a file was refused, failed, or changed while it was sent
      2    the command line is wrong
      3    given up for now; the same command goes on
      130  interrupted; the same command goes on
    """  # noqa: D301  # \b keeps click from filling the list of codes
    jobs = _jobs(files, name)
    plan = Plan(
        jobs=jobs,
        base=base_of(url, protocol),
        headers=_headers(headers, token),
        chunk_size=chunk_size,
        parallel=parallel,
        give_up_after=give_up_after,
        retries=retries,
        wait=not no_wait,
        protocol=protocol,
        stall=stall,
    )
    report = Report(jobs, as_json=as_json, quiet=quiet)
    try:
        asyncio.run(_run(plan, report))
    except KeyboardInterrupt:
        report.interrupted()
        sys.exit(INTERRUPTED)
    sys.exit(report.exit_code)


class Report:
    """What is printed of each file at its end: results to standard output, what went wrong to standard error."""

    def __init__(self, jobs: Sequence[Job], *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._waiting = list(jobs)
        self._codes: set[int] = set()
        self._drawn = False

    @property
    def exit_code(self) -> int:
        """The truth about all files in one number."""
        return next((code for code in (1, 3) if code in self._codes), 0)

    def tell(self, told: Told) -> None:
        """One file has come to its end."""
        self.wipe()
        self._codes.add(told.exit_code)
        self._waiting = [job for job in self._waiting if job.path != told.file]
        if self.as_json:
            click.echo(msgspec.json.encode(told))
        elif told.exit_code:
            hint = " The same command goes on from here." if told.exit_code == 3 else ""
            click.echo(f"onward put: {told.file}: {told.detail}{'' if not hint else '.' + hint}", err=True)
        elif not self.quiet:
            where = told.content or "stored, not verified yet"
            click.echo(f"{told.name}  {told.size} bytes  sha256 {told.sha256}  {where}")

    def interrupted(self) -> None:
        """Somebody pressed Ctrl-C."""
        self.wipe()
        if self.as_json:
            for job in self._waiting:
                click.echo(msgspec.json.encode(Told(file=job.path, name=job.name, size=job.size)))
        click.echo("onward put: interrupted; what is stored stays, the same command goes on from here.", err=True)

    def wipe(self) -> None:
        """Take the bar away, so that a line can be printed."""
        if self._drawn:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._drawn = False

    def draw(self, line: str) -> None:
        """Show the bar in place of the one before."""
        width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        click.echo(f"\r{line[:width]}\x1b[K", nl=False, err=True)
        self._drawn = True


async def _run(plan: Plan, report: Report) -> None:
    board = Board(time.monotonic)
    async with _showing(board, report):
        await run(plan, board, report.tell)


@contextlib.asynccontextmanager
async def _showing(board: Board, report: Report) -> AsyncIterator[None]:
    if report.quiet or report.as_json:
        yield
        return
    on_terminal = sys.stderr.isatty()

    async def show() -> None:
        while True:
            await asyncio.sleep(REDRAW if on_terminal else LINE_EVERY)
            view = board.view()
            if view is None:
                continue
            line = _printable(view.line(bar=on_terminal))
            if on_terminal:
                report.draw(line)
            else:
                click.echo(line, err=True)

    shower = asyncio.create_task(show())
    try:
        yield
    finally:
        shower.cancel()
        report.wipe()


def base_of(url: str, protocol: str = "chunk") -> str:
    """Where uploads by ``protocol`` go, for the URL given. Raises ``click.UsageError``."""
    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise click.UsageError(f"{url!r} is not a URL: {error}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
        raise click.UsageError(f"{url!r} must be http:// or https://, a host and a path")
    if parsed.path == "/":
        parsed = parsed.copy_with(path=PATHS[protocol])
    return str(parsed).rstrip("/")


def _jobs(files: Sequence[str], name: str | None) -> list[Job]:
    if name is not None and len(files) > 1:
        raise click.UsageError("--name is for one FILE only")
    jobs: dict[str, Job] = {}
    for path in files:
        try:
            found = os.stat(path)
        except OSError as error:
            raise click.UsageError(f"{path!r} cannot be read: {error.strerror}") from None
        try:
            chosen = names.clean(name if name is not None else os.path.basename(path))
        except BadName as error:
            raise click.UsageError(f"{path!r} needs a --name: {error.detail}") from None
        if chosen in jobs:
            raise click.UsageError(f"{jobs[chosen].path!r} and {path!r} would get the same name, {chosen!r}")
        jobs[chosen] = Job(path, chosen, found.st_size)
    return list(jobs.values())


def _headers(headers: Sequence[str], token: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"--header must be NAME:VALUE, not {header!r}")
        found[name.strip()] = value.strip()
    if token is not None and token.startswith("@"):
        try:
            with open(token[1:], encoding="utf-8") as file:
                token = file.read().strip()
        except OSError as error:
            raise click.UsageError(f"the token cannot be read from {token[1:]!r}: {error.strerror}") from None
    if token is not None:
        found["Authorization"] = f"Bearer {token}"
    return found


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in line)
