"""What follows an attempt: decided by a pure function, looked at as tables and by searching for counter-examples."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.errors import ConsumerError
from outbox.policy import (
    Again,
    Backoff,
    Counters,
    Done,
    Exhausted,
    Failed,
    FoundUnavailable,
    GivenBack,
    Interrupted,
    Outcome,
    Reason,
    Rejected,
    Snoozed,
    Succeeded,
    TimedOut,
    WorkerLost,
    decide,
    describe_decision,
)

THREE = Backoff(limit=3, first=timedelta(seconds=10), factor=2, cap=timedelta(seconds=60), jitter=0)
NOW = timedelta(0)
LATER = timedelta(seconds=7)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("outcome", "counters", "decision"),
    [
        (Succeeded(), Counters(1, 3, 0), Done()),
        (Succeeded(), Counters(3, 3, 2), Done()),
        (Failed(), Counters(1, 3, 0), Again(seconds(10), free=False)),
        (Failed(), Counters(2, 3, 0), Again(seconds(20), free=False)),
        (Failed(), Counters(2, 3, 2), Again(seconds(20), free=False, lost=0)),
        (Failed(), Counters(3, 3, 0), Exhausted(Reason.NO_TRIES_LEFT)),
        (Failed(), Counters(9, 9, 0), Exhausted(Reason.NO_TRIES_LEFT)),
        (Failed(), Counters(9, 11, 0), Again(seconds(10), free=False)),
        (TimedOut(), Counters(1, 3, 0), Again(seconds(10), free=False)),
        (TimedOut(), Counters(2, 3, 2), Again(seconds(20), free=False, lost=0)),
        (TimedOut(), Counters(3, 3, 0), Exhausted(Reason.TIMED_OUT)),
        (TimedOut(ended_its_worker=True), Counters(1, 3, 0), Again(seconds(10), free=False, lost=1)),
        (TimedOut(ended_its_worker=True), Counters(3, 3, 1), Exhausted(Reason.TIMED_OUT, lost=2)),
        (Rejected(), Counters(1, 3, 0), Exhausted(Reason.REJECTED)),
        (Rejected(), Counters(3, 3, 2), Exhausted(Reason.REJECTED)),
        (Snoozed(LATER), Counters(1, 3, 0), Again(LATER, free=True)),
        (Snoozed(LATER), Counters(3, 3, 2), Again(LATER, free=True)),
        (FoundUnavailable(LATER), Counters(3, 3, 0), Again(LATER, free=True)),
        (GivenBack(), Counters(3, 3, 0), Again(NOW, free=True)),
        (GivenBack(), Counters(3, 3, 2), Again(NOW, free=True, lost=2)),
        (WorkerLost(), Counters(1, 3, 0), Again(NOW, free=True, lost=1)),
        (WorkerLost(), Counters(3, 3, 0), Again(NOW, free=True, lost=1)),
        (WorkerLost(with_database=True), Counters(2, 2, 1), Again(NOW, free=True, lost=2)),
        (WorkerLost(with_database=True), Counters(5, 5, 4), Again(NOW, free=True, lost=5)),
        (WorkerLost(with_database=True), Counters(6, 6, 5), Exhausted(Reason.WORKER_LOST, lost=6)),
        (GivenBack(seconds(5)), Counters(1, 1, 0), Again(seconds(5), free=True)),
        (Interrupted(seconds(5)), Counters(1, 1, 2), Again(seconds(5), free=True, lost=2)),
        (WorkerLost(), Counters(2, 4, 1), Again(seconds(10), free=False, lost=2)),
        (WorkerLost(), Counters(3, 4, 2), Again(seconds(20), free=False, lost=3)),
        (WorkerLost(), Counters(4, 4, 3), Exhausted(Reason.WORKER_LOST, lost=4)),
    ],
    ids=str,
)
def test_what_follows_an_attempt(outcome, counters, decision):
    assert decide(outcome, counters, THREE, uniform=0.0) == decision


@pytest.mark.parametrize(
    ("backoff", "counted", "wait"),
    [
        (THREE, 1, seconds(10)),
        (THREE, 2, seconds(20)),
        (THREE, 3, seconds(40)),
        (THREE, 4, seconds(60)),
        (THREE, 10_000, seconds(60)),
        (THREE, 0, seconds(10)),
        (THREE, -5, seconds(10)),
        (Backoff(first=NOW), 5, NOW),
        (Backoff(first=NOW, factor=1e308), 100, NOW),
        (Backoff(first=seconds(1), factor=1, jitter=0), 100, seconds(1)),
        (Backoff(first=seconds(1), factor=1e308, jitter=0), 100, timedelta(hours=1)),
        (Backoff(first=timedelta(days=365), cap=timedelta(days=365), jitter=0), 9, timedelta(days=365)),
    ],
)
def test_how_long_to_wait(backoff, counted, wait):
    assert abs(backoff.wait(counted, uniform=0.5) - wait) < timedelta(seconds=1)


@pytest.mark.parametrize(("uniform", "wait"), [(0.0, 10.0), (0.5, 9.0), (0.999999, 8.0)])
def test_chance_shortens_a_wait_by_its_share_of_jitter(uniform, wait):
    assert Backoff(jitter=0.2).wait(1, uniform=uniform).total_seconds() == pytest.approx(wait, abs=0.001)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 1001},
        {"first": seconds(-1)},
        {"first": seconds(2), "cap": seconds(1)},
        {"cap": timedelta(days=366)},
        {"first": timedelta.max, "cap": timedelta.max},
        {"factor": 0.5},
        {"factor": float("nan")},
        {"factor": float("inf")},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": float("nan")},
        {"limit": "8"},
        {"limit": 8.0},
        {"first": 10},
        {"cap": None},
        {"factor": "2"},
        {"jitter": None},
    ],
    ids=str,
)
def test_a_backoff_that_makes_no_sense_is_refused_at_start_up(wrong):
    with pytest.raises(ConsumerError, match=r"^Backoff\("):
        Backoff(**wrong)


spans = st.timedeltas(NOW, timedelta(days=30))
chances = st.floats(0, 1, exclude_max=True)


@st.composite
def backoffs(draw) -> Backoff:
    first = draw(spans)
    return Backoff(
        limit=draw(st.integers(1, 20)),
        first=first,
        factor=draw(st.floats(1, 1e6)),
        cap=first + draw(spans),
        jitter=draw(st.floats(0, 1)),
    )


@given(backoff=backoffs(), counted=st.integers(-(10**6), 10**6), uniform=chances)
def test_every_wait_is_between_its_bounds(backoff, counted, uniform):
    wait = backoff.wait(counted, uniform=uniform)

    slack = timedelta(microseconds=1)
    assert backoff.first * (1 - backoff.jitter) - slack <= wait <= backoff.cap + slack


@given(backoff=backoffs(), counted=st.integers(1, 100), uniform=chances)
def test_waits_never_shrink(backoff, counted, uniform):
    slack = timedelta(microseconds=1)
    assert backoff.wait(counted, uniform=uniform) <= backoff.wait(counted + 1, uniform=uniform) + slack


outcomes = st.one_of(
    st.sampled_from([Failed(), GivenBack(), WorkerLost()]),
    st.builds(Snoozed, spans),
    st.builds(FoundUnavailable, spans),
)
FREE = (Snoozed, FoundUnavailable, GivenBack)


@given(backoff=backoffs(), history=st.lists(outcomes, min_size=1, max_size=80), uniform=chances)
def test_a_message_is_exhausted_after_exactly_its_limit_of_attempts_that_counted(backoff, history, uniform):
    counters = Counters(attempts=0, attempt_limit=backoff.limit, lost=0)
    spent = 0

    for outcome in history:
        counters = Counters(counters.attempts + 1, counters.attempt_limit, counters.lost)
        free = isinstance(outcome, FREE) or (isinstance(outcome, WorkerLost) and counters.lost == 0)
        spent += not free
        decision = decide(outcome, counters, backoff, uniform=uniform)
        if isinstance(decision, Exhausted):
            break
        assert isinstance(decision, Again)
        assert decision.free == free
        assert decision.wait >= NOW
        counters = Counters(counters.attempts, counters.attempt_limit + decision.free, decision.lost)
        assert counters.attempts < counters.attempt_limit
        assert counters.counted(backoff) == spent

    assert spent <= backoff.limit
    assert (spent == backoff.limit) == isinstance(decision, Exhausted)


@given(outcome=outcomes, attempts=st.integers(1, 50), left=st.integers(0, 50), lost=st.integers(0, 9), uniform=chances)
def test_no_outcome_but_success_ends_in_success(outcome: Outcome, attempts, left, lost, uniform):
    decision = decide(outcome, Counters(attempts, attempts + left, lost), THREE, uniform=uniform)

    assert not isinstance(decision, Done)


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Done(), "done"),
        (Again(seconds(10), free=False, lost=1), "again in 10 s"),
        (Again(seconds(0.05), free=True), "again in 0.05 s, no try is spent"),
        (Again(timedelta(days=200), free=True), "again in 17280000 s, no try is spent"),
        (Exhausted(Reason.NO_TRIES_LEFT), "given up: no tries left"),
    ],
)
def test_the_log_has_a_decision_in_plain_words(decision, said):
    assert describe_decision(decision) == said
