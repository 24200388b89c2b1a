"""What is told of the progress."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.put.plan import MIB
from onward.put.progress import Board, Speed, clock_time


@given(rate=st.integers(1, 1 << 30), every=st.floats(0.01, 5), times=st.integers(5, 200))
def test_a_steady_stream_has_its_speed_from_the_start(rate: int, every: float, times: int) -> None:
    speed, now = Speed(0.0), 0.0
    for _ in range(times):
        now += every
        speed.add(now, round(rate * every))
    assert speed.rate(now) == pytest.approx(rate, rel=0.6, abs=1 / every)


def test_the_speed_fades_when_nothing_comes_and_follows_what_comes() -> None:
    speed = Speed(0.0)
    for second in range(1, 61):
        speed.add(float(second), 1000)
    assert speed.rate(60.0) == pytest.approx(1000, rel=0.1)
    assert speed.rate(75.0) == pytest.approx(1000 / 2.718, rel=0.1)
    for second in range(61, 121):
        speed.add(float(second), 5000)
    assert speed.rate(120.0) == pytest.approx(5000, rel=0.1)


def test_before_anything_there_is_no_speed() -> None:
    assert Speed(5.0).rate(5.0) == 0.0
    assert Speed(5.0).rate(9.0) == 0.0


def board(now: list[float]) -> Board:
    return Board(lambda: now[0])


def shown(board: Board, *, bar: bool = True) -> str:
    view = board.view()
    assert view is not None
    return view.line(bar=bar)


def test_the_bar_shows_acknowledged_bytes_and_what_was_there_has_no_speed() -> None:
    now = [0.0]
    one = board(now)
    track = one.add("a.bin", 40 * MIB)
    track.found(10 * MIB)
    track.sent(7 * MIB)
    assert shown(one) == "a.bin  [######------------------]   25%  10.0 of 40.0 MiB  0.0 MiB/s"
    now[0] = 2.0
    track.stored(10 * MIB)
    line = shown(one)
    assert "[############------------]" in line
    assert "20.0 of 40.0 MiB" in line
    assert "5.3 MiB/s  0:04 left" in line
    assert "[" not in shown(one, bar=False)


def test_trouble_is_told_until_something_goes_forward() -> None:
    one = board([0.0])
    track = one.add("a.bin", 100)
    track.trouble("the connection broke", 1.0)
    assert shown(one).endswith("1 retry  (the connection broke)")
    track.trouble("the connection broke", 1.0)
    track.stored(10)
    assert shown(one).endswith("2 retries")


def test_verifying_is_told_when_nothing_is_left_to_send() -> None:
    one = board([0.0])
    first, second = one.add("a", 100), one.add("b", 100)
    first.verified = (50, 100)
    assert shown(one).startswith("b and 1 more  [")
    second.verified = (0, 100)
    assert shown(one) == "a and 1 more  verifying  25%"
    second.lost(10)
    assert shown(one).startswith("b and 1 more  [")
    first.over = second.over = True
    assert one.view() is None


def test_an_empty_file_is_all_there() -> None:
    one = board([0.0])
    one.add("empty", 0)
    assert "100%  0.0 of 0.0 MiB" in shown(one)
    one.tracks[0].verified = (0, 0)
    assert shown(one) == "empty  verifying   0%"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.2, "0:01"), (61, "1:01"), (3599.5, "1:00:00"), (86399, "23:59:59"), (864000, "10 days")],
)
def test_time_left_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
