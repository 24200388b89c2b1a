"""All files of one `onward put`, side by side, and what became of each."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import httpx
import msgspec
from msgspec.structs import replace

from onward.put.asking import Asker
from onward.put.backoff import Backoff, Patience
from onward.put.chunked import Chunked
from onward.put.errand import Errand, Lanes, Sent, Way
from onward.put.faults import Ended, OutOfPatience
from onward.put.ietf import Draft
from onward.put.progress import Board, Track
from onward.put.sequential import Sequential
from onward.put.tus import Tus

PROTOCOLS: Final[Mapping[str, Callable[[Errand], Way]]] = {
    "chunk": Chunked,
    "tus": partial(Sequential, Tus),
    "ietf": partial(Sequential, Draft),
}
"""How a file can be sent, by the name that is given on the command line."""

STALL: Final = 30.0
"""Seconds in which no byte of a request moves after which it is tried on another connection."""

CONNECT: Final = 15.0
UNSENT: Final = 256 * 1024
"""Bytes that may wait in the kernel unsent, so that the stall clock runs on what moves, not on what is buffered."""


class Job(msgspec.Struct, frozen=True):
    """A file and the name it gets."""

    path: str
    name: str
    size: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    jobs: Sequence[Job]
    base: str
    headers: Mapping[str, str]
    chunk_size: int
    parallel: int
    give_up_after: float
    retries: int | None
    wait: bool
    protocol: str = "chunk"
    stall: float = STALL
    backoff: Backoff = Backoff()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file; the object that ``--json`` prints."""

    file: str
    name: str
    size: int
    outcome: str = "interrupted"
    """``done``, ``stored`` (with --no-wait), ``failed``, ``gave-up`` or ``interrupted``."""
    sha256: str | None = None
    id: str | None = None
    content: str | None = None
    chunk_size: int | None = None
    code: str | None = None
    status: int | None = None
    detail: str | None = None
    sent: int = 0
    """Bytes that went out, those sent more than once counted each time."""
    resumed: int = 0
    """Bytes that the server had before."""
    retries: int = 0
    seconds: float = 0.0
    exit_code: int = 130


async def run(plan: Plan, board: Board, tell: Callable[[Told], None]) -> None:
    """Send every file; ``tell`` is called for each at its end. One that fails does not stop the others."""
    connections = plan.parallel + 4
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    timeout = httpx.Timeout(plan.stall, connect=min(CONNECT, plan.stall), pool=None)
    headers = {"Accept-Encoding": "identity", "User-Agent": "onward-put", **plan.headers}
    # A mount, not the transport: proxies named in the environment then still come first.
    straight = {"all://": httpx.AsyncHTTPTransport(limits=limits, socket_options=_socket_options())}
    patience = Patience(plan.give_up_after, time.monotonic)
    lanes = Lanes(plan.parallel)
    turn = asyncio.Semaphore(plan.parallel)
    async with httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits, mounts=straight) as http:

        async def one(job: Job, track: Track) -> None:
            asker = Asker(http, track, patience=patience, most_tries=plan.retries, backoff=plan.backoff)
            errand = Errand(
                path=job.path,
                name=job.name,
                base=plan.base,
                chunk_size=plan.chunk_size,
                wait=plan.wait,
                asker=asker,
                lanes=lanes,
                track=track,
            )
            async with turn:
                tell(await _one(job, PROTOCOLS[plan.protocol], errand))

        async with asyncio.TaskGroup() as tasks:
            for job in plan.jobs:
                tasks.create_task(one(job, board.add(job.name, job.size)))


async def _one(job: Job, way: Callable[[Errand], Way], errand: Errand) -> Told:
    began, track = time.monotonic(), errand.track
    told = Told(file=job.path, name=job.name, size=job.size)
    try:
        sent = await way(errand).run()
        told = replace(
            told,
            outcome="done" if errand.wait else "stored",
            exit_code=0,
            **{name: getattr(sent, name) for name in Sent.__struct_fields__},
        )
    except Ended as ended:
        told = replace(
            told,
            outcome="gave-up" if isinstance(ended, OutOfPatience) else "failed",
            exit_code=ended.exit_code,
            code=ended.code or None,
            status=ended.status,
            detail=ended.detail,
        )
    finally:
        track.over = True
    return replace(
        told,
        sent=track.outgoing,
        resumed=track.resumed,
        retries=track.retries,
        seconds=round(time.monotonic() - began, 3),
    )


def _socket_options() -> list[tuple[int, int, int]]:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    unsent = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if unsent is not None:
        options.append((socket.IPPROTO_TCP, unsent, UNSENT))
    return options
