"""When `put` tries again, and how long it waits."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import errors
from onward.put.backoff import Backoff, Patience, Verdict, judge, retry_after

UNIT = st.floats(0, 1)


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (200, "", Verdict.TAKEN),
        (202, "", Verdict.TAKEN),
        (302, "", Verdict.FINAL),
        (400, "bad-name", Verdict.FINAL),
        (400, "body-incomplete", Verdict.AGAIN),
        (401, "unauthorized", Verdict.FINAL),
        (403, "refused", Verdict.FINAL),
        (404, "not-found", Verdict.FINAL),
        (408, "stalled", Verdict.AGAIN),
        (409, "part-conflict", Verdict.FINAL),
        (409, "name-taken", Verdict.FINAL),
        (409, "incomplete", Verdict.FINAL),
        (409, "writers-busy", Verdict.AGAIN),
        (409, "", Verdict.FINAL),
        (413, "upload-too-large", Verdict.FINAL),
        (415, "unsupported-media-type", Verdict.FINAL),
        (422, "digest-mismatch", Verdict.AGAIN),
        (423, "locked", Verdict.AGAIN),
        (425, "", Verdict.AGAIN),
        (429, "", Verdict.AGAIN),
        (460, "", Verdict.AGAIN),
        (431, "headers-too-large", Verdict.FINAL),
        (500, "storage-fault", Verdict.AGAIN),
        (502, "", Verdict.AGAIN),
        (503, "draining", Verdict.AGAIN),
        (504, "", Verdict.AGAIN),
        (507, "no-space", Verdict.LATER),
    ],
)
def test_what_an_answer_means(status: int, code: str, verdict: Verdict) -> None:
    assert judge(status, code) is verdict


def test_every_refusal_there_is_was_thought_of() -> None:
    again = {
        error.code
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.ClientFault) and judge(error.status_hint, error.code) is not Verdict.FINAL
    }
    assert again == {"body-incomplete", "stalled", "writers-busy", "digest-mismatch", "locked"}


@given(tries=st.integers(1, 10_000), later=st.booleans(), draw=UNIT)
def test_a_wait_is_anything_from_nothing_to_its_ceiling(tries: int, later: bool, draw: float) -> None:
    backoff = Backoff()
    ceiling = backoff.ceiling(tries, later=later)
    assert 0 <= backoff.wait(tries, lambda: draw, later=later) <= ceiling <= (60.0 if later else 20.0)
    assert backoff.wait(tries, lambda: 0.0, later=later) == 0
    assert backoff.wait(tries, lambda: 1.0, later=later) == ceiling
    assert ceiling <= backoff.ceiling(tries + 1, later=later) <= 2 * ceiling


def test_the_ceiling_doubles_and_no_room_waits_longer() -> None:
    backoff = Backoff()
    assert [backoff.ceiling(n) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 16, 20]
    assert [backoff.ceiling(n, later=True) for n in range(1, 6)] == [4, 8, 16, 32, 60]


@given(asked=st.floats(0, 10_000), tries=st.integers(1, 50), draw=UNIT)
def test_what_the_server_asks_for_is_waited_at_least(asked: float, tries: int, draw: float) -> None:
    assert asked <= Backoff().wait(tries, lambda: draw, asked=asked) <= asked + 0.5


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("99999999999999999999", 999_999_999.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("Wed, 99 Oct 2015 07:28:10 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(field: str, seconds: float | None) -> None:
    assert retry_after(field, 1_445_412_480.0) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_read_without_a_fault(field: str) -> None:
    seconds = retry_after(field, 0.0)
    assert seconds is None or seconds >= 0


def test_patience_ends_when_nothing_goes_forward() -> None:
    now = 100.0
    patience = Patience(30, lambda: now)
    now = 120.0
    assert patience.left(100.0) == 10
    assert patience.left(115.0) == 25, "what begins later has its own time"
    patience.renew()
    now = 149.0
    assert patience.left(100.0) == 1
    now = 151.0
    assert patience.left(100.0) == -1
