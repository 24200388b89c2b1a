"""P-1 and P-2: whole files by one request each, beside what other servers do with the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import load
from benchmarks.contest import ACK, NGINX, NODE, OURS, Contestant, Setting, contestants, in_turn, ratios
from benchmarks.figures import GIB, MIB, Figure, percentile
from benchmarks.probe import probing

PARALLEL: Final = 64
SLOW_ROUNDS: Final = 2
"""Rounds that the Python servers take part in: some of them need a minute for five."""
HEAD_P99: Final = 50.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one server did with the bytes once."""

    rate: float
    """MiB in a second, from the first byte sent to the last answer."""
    cpu: float
    """Seconds of processor time for 1 GiB."""
    sender: float
    """The same of the sender."""
    heads: Sequence[float] = ()
    """Seconds that questions meanwhile took."""


def one_stream(setting: Setting) -> Iterator[Figure]:
    """P-1: the source in one request."""
    yield ceiling(setting, 1)
    python = [name for name in setting.peers.commands if name not in {NGINX, NODE}]
    goals = {NGINX: 1.6, NODE: 1.8} | dict.fromkeys(python, 1.0)
    for place, folder in setting.places.items():
        yield from _measured(setting, folder, place, 1, goals)


def parallel(setting: Setting) -> Iterator[Figure]:
    """P-2: the source in 64 requests at the same time, each a file of its own."""
    yield ceiling(setting, PARALLEL)
    goals = {NODE: 2.2, NGINX: 1.5}
    for place, folder in setting.places.items():
        yield from _measured(setting, folder, place, PARALLEL, goals)


def ceiling(setting: Setting, connections: int) -> Figure:
    """What the sender itself is able to do, against a process that drops everything."""
    size = setting.source.size // connections
    asks = [load.Ask(method="PUT", path="/x", start=size * n, size=size) for n in range(connections)]
    with load.discarding() as port:
        sent = [load.send(setting.source.path, asks, port=port, connections=connections) for _ in range(3)]
    best = min(sent, key=lambda one: one.seconds)
    return Figure(
        measure=f"the sender alone, {connections} connections, bytes dropped",
        value=setting.source.size / MIB / best.seconds,
        unit="MiB/s",
        more_is_better=True,
        note=f"sender's CPU {best.cpu * GIB / setting.source.size:.2f} s/GiB",
    )


def send(setting: Setting, one: Contestant, files: int) -> Run:
    """Hand over the source as so many files, prove each, and remove them."""
    size = setting.source.size // files
    stored = [one.begin(size * number, size) for number in range(files)]
    cpu = one.started.cpu
    if one.ours and files > 1:
        waiting = one.begin(0, MIB)
        with probing(one.started.port, waiting.ask.path, {"Tus-Resumable": "1.0.0"}) as asked:
            sent = load.send(setting.source.path, [s.ask for s in stored], port=one.started.port, connections=files)
        heads = [took for began, took in asked if 0 <= began - sent.began <= sent.seconds]
    else:
        sent = load.send(setting.source.path, [s.ask for s in stored], port=one.started.port, connections=files)
        heads = []
    gib = size * files / GIB
    run = Run(
        rate=size * files / MIB / sent.seconds,
        cpu=(one.started.cpu - cpu) / gib,
        sender=sent.cpu / gib,
        heads=heads,
    )
    for one_stored in stored:
        one.prove(one_stored, setting.source)
    return run


def _measured(setting: Setting, folder: Path, place: str, files: int, goals: dict[str, float]) -> Iterator[Figure]:
    names = [OURS, ACK, *goals]
    with contestants(names, folder, setting.peers) as who:
        quick = [one for one in who if one.name in {OURS, ACK, NGINX, NODE}]
        slow = [one for one in who if one not in quick]
        runs = in_turn(min(SLOW_ROUNDS, setting.repeat), [*quick, *slow], lambda one: send(setting, one, files))
        more = in_turn(setting.repeat - SLOW_ROUNDS, quick, lambda one: send(setting, one, files))
        runs = {name: of + more.get(name, []) for name, of in runs.items()}
        memory = {one.name: one.started.peak_memory / MIB for one in who}
    rates = {name: [run.rate for run in of] for name, of in runs.items()}
    for name, of in runs.items():
        yield Figure(
            measure=f"{name}, {place}",
            value=median(rates[name]),
            least=min(rates[name]),
            most=max(rates[name]),
            unit="MiB/s",
            more_is_better=True,
            cpu=median(run.cpu for run in of),
            memory=memory[name],
            note=f"sender's CPU {median(run.sender for run in of):.2f} s/GiB",
        )
    for name, goal in goals.items():
        if name in rates:
            yield from _compared(f"{OURS} / {name}, {place}", rates[OURS], rates[name], goal)
    for name in (OURS, ACK):
        heads = [took for run in runs[name] for took in run.heads]
        if heads:
            yield Figure(
                measure=f"HEAD p99 meanwhile, {name}, {place}",
                value=percentile(heads, 0.99) * 1000,
                unit="ms",
                goal=HEAD_P99 if name == OURS else None,
                note=f"median {percentile(heads, 0.5) * 1000:.1f}, longest {max(heads) * 1000:.0f}, {len(heads)} asked",
            )


def _compared(measure: str, mine: Sequence[float], theirs: Sequence[float], goal: float) -> Iterator[Figure]:
    each = ratios(mine, theirs)
    yield Figure(
        measure=measure,
        value=median(each),
        least=min(each),
        most=max(each),
        unit="x",
        goal=goal,
        more_is_better=True,
    )
