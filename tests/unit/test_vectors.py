"""The vectors that the client in TypeScript is tested with, too: tests/vectors."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import pytest

from onward.core.names import clean
from onward.core.ranges import ByteRanges
from onward.core.types import Phase, State
from onward.put.backoff import Backoff, judge, retry_after
from onward.wire.metadata import decode, encode

VECTORS: Final = Path(__file__).parents[1] / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", load("ranges.json"), ids=lambda row: row["title"])
def test_ranges(row: dict[str, Any]) -> None:
    ranges = ByteRanges((start, end) for start, end in row["add"])
    for start, end in row.get("remove", []):
        ranges.remove(start, end)
    assert [list(one) for one in ranges] == row["then"]
    assert ranges.prefix() == row["prefix"]
    assert [list(one) for one in ranges.holes(0, 100)] == row["holes"]


def test_states() -> None:
    ours = {state.value for state in State if state is not State.GONE} | {phase.value for phase in Phase}
    assert set(load("states.json")) == ours | {"expired", "cancelled"}


@pytest.mark.parametrize("row", load("metadata.json"), ids=lambda row: row["field"] or "none")
def test_metadata(row: dict[str, Any]) -> None:
    assert encode(row["words"]) == row["field"]
    assert decode(row["field"]) == row["words"]


def test_verdicts() -> None:
    for status, code, verdict in load("backoff.json")["verdicts"]:
        assert judge(status, code).value == verdict, (status, code)


def test_waits() -> None:
    rules = load("backoff.json")
    backoff = Backoff()
    assert [backoff.first, backoff.most] == [rules["first"], rules["most"]]
    assert [backoff.first_later, backoff.most_later] == [rules["first_later"], rules["most_later"]]
    for row in rules["waits"]:
        draw: float = row["draw"]
        waited = backoff.wait(row["tries"], [draw].pop, later=row.get("later", False), asked=row.get("asked"))
        assert waited == pytest.approx(row["wait"]), row


def test_retry_after() -> None:
    for row in load("backoff.json")["retry_after"]:
        now = parsedate_to_datetime(row["now"]).timestamp() if "now" in row else 0.0
        assert retry_after(row["field"], now) == row["wait"], row


def test_names_that_the_client_gives_are_taken_as_they_are() -> None:
    for row in load("names.json"):
        assert clean(row["name"]) == row["name"]
