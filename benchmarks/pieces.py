"""P-5 and P-6: a file in chunks and in parts, as fast as one stream; and how long it then is to the published file."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from benchmarks import load
from benchmarks.contest import OURS, TUS, Contestant, Setting, contestants, ratios
from benchmarks.figures import GIB, MIB, Figure
from benchmarks.source import check
from benchmarks.streams import send
from benchmarks.transfer import complete
from benchmarks.wire import Line

CONNECTIONS: Final = 8
PARTS: Final = 4
_EDGE: Final = "----------------------------onward"


def pieces(setting: Setting) -> Iterator[Figure]:
    """P-5: chunks of 8 MiB, eight at a time, in no order, raw and in forms, beside one stream in the same run."""
    ways = {"raw": 0.9, "multipart": 0.75}
    rates: dict[str, list[float]] = {"one stream": [], **{way: [] for way in ways}}
    cpu: dict[str, list[float]] = {name: [] for name in rates}
    with contestants([OURS], setting.folder, setting.peers) as (ours,):
        for number in range(setting.repeat):
            whole = send(setting, ours, 1)
            rates["one stream"].append(whole.rate)
            cpu["one stream"].append(whole.cpu)
            for way in ways:
                sent, used = store_chunks(setting, ours, f"{way}-{number}", way)
                rates[way].append(setting.source.size / MIB / sent.seconds)
                cpu[way].append(used * GIB / setting.source.size)
        memory = ours.started.peak_memory / MIB
    for name, of in rates.items():
        yield Figure(
            measure=name,
            value=median(of),
            least=min(of),
            most=max(of),
            unit="MiB/s",
            more_is_better=True,
            cpu=median(cpu[name]),
            memory=memory,
        )
    for way, goal in ways.items():
        each = ratios(rates[way], rates["one stream"])
        yield Figure(
            measure=f"{way} / one stream",
            value=median(each),
            least=min(each),
            most=max(each),
            unit="x",
            goal=goal,
            more_is_better=True,
        )


def _asks(setting: Setting, name: str, way: str) -> list[load.Ask]:
    asks = load.chunks(setting.source, name, flat=True)
    random.Random(name).shuffle(asks)
    if way == "raw":
        return asks
    form = {"Content-Type": f"multipart/form-data; boundary={_EDGE}"}
    before = (
        f'--{_EDGE}\r\nContent-Disposition: form-data; name="data"; filename="chunk"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return [
        replace(ask, headers=_without_digest(ask.headers) | form, before=before, after=f"\r\n--{_EDGE}--\r\n")
        for ask in asks
    ]


def _without_digest(headers: dict[str, str]) -> dict[str, str]:
    """A form's digest would be that of the whole form."""
    return {name: value for name, value in headers.items() if name != "Content-Digest"}


def store_chunks(setting: Setting, ours: Contestant, name: str, way: str) -> tuple[load.Sent, float]:
    """Have chunks stored, the file published and proven; what sending took, and the server's processor time."""
    asks = _asks(setting, name, way)
    cpu = ours.started.cpu
    sent = load.send(setting.source.path, asks, port=ours.started.port, connections=CONNECTIONS)
    used = ours.started.cpu - cpu
    _seal_and_prove(setting, ours, name)
    return sent, used


def publish(setting: Setting, ours: Contestant, name: str) -> None:
    """Have the source published twice: from a flat file and from one for each chunk."""
    for way in ("flat", "numbered"):
        asks = load.chunks(setting.source, f"{way}-{name}", flat=way == "flat")
        load.send(setting.source.path, asks, port=ours.started.port, connections=CONNECTIONS)
        _seal_and_prove(setting, ours, f"{way}-{name}")


def _seal_and_prove(setting: Setting, ours: Contestant, name: str) -> float:
    order = {"total_chunks": setting.source.chunks, "size": setting.source.size}
    with contextlib.closing(Line(ours.started.port)) as line:
        seconds = complete(line, name, order)
    path = ours.started.data / "files" / name
    check(path, setting.source)
    path.unlink()
    return seconds


# -- P-6 ----------------------------------------------------------------------------------------------


@dataclass
class _Round:
    """Seconds of one round, by what was done."""

    took: dict[str, float] = field(default_factory=dict)

    def of(self, name: str) -> float:
        """Seconds of one thing."""
        return self.took[name]


def publication(setting: Setting) -> Iterator[Figure]:
    """P-6: from the last word of the client to the published file, beside `openssl` and `cp` of the same file."""
    with contestants([OURS], setting.folder, setting.peers) as (ours,):
        rounds = [_round(setting, ours, number) for number in range(setting.repeat)]
        memory = ours.served.worker.peak_memory / MIB
    for name in ("openssl", "cp", "flat", "last byte", "numbered", "concatenation"):
        of = [one.of(name) for one in rounds]
        yield Figure(
            measure=_SAID[name],
            value=median(of),
            least=min(of),
            most=max(of),
            unit="s",
            memory=memory if name not in {"openssl", "cp"} else None,
        )
    for name, goal in (("flat", 1.3), ("last byte", 1.3), ("numbered", 1.0), ("concatenation", 1.0)):
        with_copy = name in {"numbered", "concatenation"}
        floor = [one.of("openssl") + (one.of("cp") if with_copy else 0) for one in rounds]
        each = ratios([one.of(name) for one in rounds], floor)
        yield Figure(
            measure=f"{name} / {'cp + openssl' if with_copy else 'openssl'}",
            value=median(each),
            least=min(each),
            most=max(each),
            unit="x",
            goal=goal,
        )


_SAID: Final = {
    "openssl": "openssl dgst -sha256 of the file",
    "cp": "cp of the file",
    "flat": "flat chunks: `complete` to published",
    "last byte": "tus: last byte to published",
    "numbered": "numbered chunks: `complete` to published",
    "concatenation": "tus: final concatenation to published",
}


def _round(setting: Setting, ours: Contestant, number: int) -> _Round:
    source = setting.source
    found = _Round()
    found.took["openssl"] = timed(["openssl", "dgst", "-sha256", str(source.path)])
    copy = setting.folder / "copy.bin"
    found.took["cp"] = timed(["cp", str(source.path), str(copy)])
    copy.unlink()
    for way in ("flat", "numbered"):
        name = f"{way}-{number}"
        asks = load.chunks(source, name, flat=way == "flat")
        load.send(source.path, asks, port=ours.started.port, connections=CONNECTIONS)
        found.took[way] = _seal_and_prove(setting, ours, name)
    stored = ours.begin(0, source.size)
    sent = load.send(source.path, [stored.ask], port=ours.started.port, connections=1)
    found.took["last byte"] = _until_done(ours, stored.key, since=sent.began + sent.seconds)
    ours.prove(stored, source)
    found.took["concatenation"] = _concatenate(setting, ours)
    return found


def _concatenate(setting: Setting, ours: Contestant) -> float:
    size = setting.source.size // PARTS
    parts = [ours.begin(size * number, size, {"Upload-Concat": "partial"}) for number in range(PARTS)]
    load.send(setting.source.path, [part.ask for part in parts], port=ours.started.port, connections=PARTS)
    with contextlib.closing(Line(ours.started.port)) as line:
        began = time.perf_counter()
        listed = " ".join(part.ask.path for part in parts)
        line.send("POST", "/files", {"Tus-Resumable": TUS["Tus-Resumable"], "Upload-Concat": f"final;{listed}"})
        status, fields, body = line.whole_answer()
    if status != 201:
        raise RuntimeError(f"the parts are not joined: {status} {body[:200]!r}")
    key = fields["location"].rpartition("/")[2]
    took = _until_done(ours, key, since=began)
    path = ours.started.data / "files" / key / "file"
    check(path, setting.source)
    path.unlink()
    with contextlib.closing(Line(ours.started.port)) as line:
        for part in parts:
            line.send("DELETE", part.ask.path, {"Tus-Resumable": TUS["Tus-Resumable"]})
            line.answer()
    return took


def _until_done(ours: Contestant, key: str, *, since: float) -> float:
    """Seconds from ``since`` until the list says that the file is published."""
    with contextlib.closing(Line(ours.started.port)) as line:
        while True:
            row = json.loads(line.ask("GET", "/uploads?limit=1&state=done")[1])["uploads"]
            if row and row[0]["id"] == key:
                return time.perf_counter() - since
            time.sleep(0.005)


def timed(command: list[str]) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
