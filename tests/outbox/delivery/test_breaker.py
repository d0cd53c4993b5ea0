"""The breaker: three rows open it, one canary at a time asks again, and nothing of it is written while all is well."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from outbox import registry
from outbox.declared import Consumer
from outbox.delivery import breaker
from outbox.delivery.breaker import LONGEST_PROBE, Circuit, record_outcomes, take_turn
from outbox.delivery.execution import Report
from outbox.models import ConsumerState, Message
from outbox.models.state import Breaker
from outbox.policy import Failed, FoundUnavailable, GivenBack, Outcome, Rejected, Snoozed, Succeeded
from tests.harness.clock import database_time
from tests.harness.rows import BOOK, attempt, sales
from tests.harness.threads import at_once

SECOND = timedelta(seconds=1)
FIRST = 5 * SECOND
OPEN = Circuit(open=True, unavailable=(1, 2, 3), probe_after=FIRST)


def after(circuit: Circuit, *ends: tuple[int, bool]) -> Circuit:
    """Return the circuit after rows have ended, each down or not."""
    for row, down in ends:
        circuit = circuit.after(row, down=down, first_probe=FIRST)
    return circuit


def test_three_different_rows_in_a_row_open_it():
    assert after(Circuit(), (1, True), (2, True)) == Circuit(unavailable=(1, 2))
    assert after(Circuit(), (1, True), (2, True), (3, True)) == OPEN


def test_one_row_alone_never_opens_it_however_often_it_says_unavailable():
    assert after(Circuit(), *[(1, True)] * 20) == Circuit(unavailable=(1,))


def test_any_other_outcome_in_between_begins_the_count_anew():
    assert after(Circuit(), (1, True), (2, True), (3, False), (4, True)) == Circuit(unavailable=(4,))


def test_rows_that_were_under_way_when_it_opened_change_nothing():
    waiting = replace(OPEN, canary=9)

    assert after(waiting, (4, True), (5, False)) == waiting
    assert after(OPEN, (4, False)) == OPEN


def test_any_other_outcome_of_the_canary_closes_it():
    assert after(replace(OPEN, canary=9), (9, False)) == Circuit()


def test_a_canary_that_finds_the_world_still_down_doubles_the_wait_up_to_half_a_minute():
    waits = []
    circuit = OPEN
    for row in range(10, 15):
        circuit = after(replace(circuit, canary=row), (row, True))
        waits.append(circuit.probe_after)
        assert (circuit.open, circuit.canary) == (True, None)

    assert waits == [10 * SECOND, 20 * SECOND, LONGEST_PROBE, LONGEST_PROBE, LONGEST_PROBE]


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=40))
def test_it_opens_exactly_when_the_last_three_different_rows_all_said_unavailable(ends):
    circuit, said_down = Circuit(), set()
    for row, down in ends:
        if circuit.open:
            break
        said_down = said_down | {row} if down else set()
        circuit = after(circuit, (row, down))
        assert circuit.open == (len(said_down) >= 3)
        assert set(circuit.unavailable) == said_down


def book() -> Consumer:
    consumer = registry.get(BOOK)
    assert consumer is not None
    return consumer


def reports(outcome: Outcome, many: int = 1) -> list[Report]:
    return [Report(sales.pending(), outcome) for _ in range(many)]


DOWN = FoundUnavailable(FIRST)


def open_it() -> None:
    record_outcomes(book(), reports(DOWN, 3))


def state() -> ConsumerState:
    return ConsumerState.objects.get(consumer=BOOK)


def probe_in() -> timedelta:
    """Read how long it is until the next probe, on the database's clock."""
    probe = ConsumerState.objects.filter(consumer=BOOK).annotate(now=Now()).values_list("probe_at", "now")
    probe_at, now = probe.get()
    assert probe_at is not None
    return probe_at - now


def make_probe_due() -> None:
    ConsumerState.objects.update(probe_at=F("probe_at") - timedelta(minutes=1))


@pytest.mark.django_db
def test_while_all_is_well_it_writes_nothing_and_asks_once_a_second_at_most():
    ended = reports(Succeeded(), 50)
    record_outcomes(book(), ended)

    with CaptureQueriesContext(connection) as captured:
        for _ in range(10):
            record_outcomes(book(), ended)

    assert len(captured) == 0
    assert not ConsumerState.objects.exists()


@pytest.mark.django_db
def test_three_rows_of_one_chunk_open_it_and_set_the_first_probe():
    open_it()

    assert state().breaker == Breaker.OPEN
    assert timedelta(seconds=4) < probe_in() <= FIRST
    assert list(ConsumerState.objects.open().values_list("consumer", flat=True)) == [BOOK]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "other", [Succeeded(), Failed(), Rejected(), Snoozed(SECOND)], ids=lambda one: type(one).__name__
)
def test_any_other_outcome_says_that_the_world_is_there(other):
    record_outcomes(book(), reports(DOWN, 2))
    record_outcomes(book(), reports(other))
    record_outcomes(book(), reports(DOWN, 2))

    assert (state().breaker, len(state().unavailable)) == (Breaker.CLOSED, 2)


def down_at(ended_at: datetime) -> Report:
    """A row whose end is in the table, as settling has written it."""
    message = sales.pending()
    attempt(message, outcome="unavailable", at=ended_at)
    return Report(message, DOWN)


@pytest.mark.django_db
@pytest.mark.parametrize("outcome", ["success", "failed"])
def test_an_end_that_another_worker_did_not_note_here_stands_between_as_well(outcome):
    """While it knows of no trouble, a worker notes nothing here, but the table has the order of ends."""
    now = database_time()
    record_outcomes(book(), [down_at(now - 9 * SECOND), down_at(now - 8 * SECOND)])
    if outcome == "success":
        sales.success(at=now - 5 * SECOND)
    else:
        attempt(sales.pending(), outcome=outcome, at=now - 5 * SECOND)
    third = down_at(now - 2 * SECOND)

    record_outcomes(book(), [third])

    assert (state().breaker, state().unavailable) == (Breaker.CLOSED, [third.message.pk])


@pytest.mark.django_db
def test_ends_before_the_three_and_losses_between_them_do_not_keep_it_closed():
    now = database_time()
    sales.success(at=now - 10 * SECOND)
    attempt(sales.pending(), outcome="lost", at=now - 6 * SECOND)

    record_outcomes(book(), [down_at(now - 9 * SECOND), down_at(now - 8 * SECOND), down_at(now - 2 * SECOND)])

    assert state().breaker == Breaker.OPEN


@pytest.mark.django_db
def test_a_row_that_was_given_back_says_nothing():
    record_outcomes(book(), reports(DOWN, 2))
    record_outcomes(book(), reports(GivenBack()))
    record_outcomes(book(), reports(DOWN))

    assert state().breaker == Breaker.OPEN


@pytest.mark.django_db
def test_only_one_row_becomes_the_canary_and_only_when_it_is_time():
    open_it()
    early = take_turn(book(), 7)
    make_probe_due()

    turns = [take_turn(book(), 7), take_turn(book(), 8)]

    assert (early, turns) == (False, [True, False])
    assert state().canary == 7


@pytest.mark.django_db
def test_a_lost_canary_is_followed_by_another_after_its_lease_and_ten_seconds(configure):
    configure(LEASE=20 * SECOND)
    open_it()
    make_probe_due()
    take_turn(book(), 7)

    wait = probe_in()
    make_probe_due()

    assert 29 * SECOND < wait <= 30 * SECOND
    assert take_turn(book(), 8)
    assert state().canary == 8


@pytest.mark.django_db
def test_no_row_becomes_the_canary_of_a_closed_breaker():
    record_outcomes(book(), reports(DOWN, 2))

    assert not take_turn(book(), 7)


@pytest.mark.django_db
def test_the_canary_closes_it_and_everything_flows_again():
    open_it()
    make_probe_due()
    (canary,) = reports(Succeeded())
    take_turn(book(), canary.message.pk)

    record_outcomes(book(), [canary])

    assert (state().breaker, state().canary, state().probe_at, state().unavailable) == (Breaker.CLOSED, None, None, [])


@pytest.mark.django_db
def test_behind_an_open_breaker_only_the_canary_is_admitted():
    canary, other = sales.pending(), sales.pending()
    open_it()
    ConsumerState.objects.update(canary=canary.pk)
    rows = Message.objects.filter(pk__in=[canary.pk, other.pk])

    admitted = [set(rows.admitted(BOOK, canary=asked).values_list("pk", flat=True)) for asked in (True, False)]

    assert admitted == [{canary.pk}, set()]


@pytest.mark.django_db
def test_a_process_that_had_not_heard_of_the_trouble_learns_of_it_within_a_second(monkeypatch):
    record_outcomes(book(), reports(Succeeded()))
    ConsumerState.objects.create(consumer=BOOK, unavailable=[1, 2])
    monkeypatch.setattr(breaker, "monotonic", lambda: breaker.last_seen.value.at + breaker.TRUSTED_SECONDS + 0.1)

    record_outcomes(book(), reports(Succeeded()))

    assert state().unavailable == []


@pytest.mark.services
@pytest.mark.usefixtures("transactional_db")
def test_of_two_workers_that_tell_at_once_none_is_forgotten():
    one, two = reports(DOWN, 2)
    ConsumerState.objects.create(consumer=BOOK)
    about_to_write, told = threading.Event(), threading.Event()

    def hold_up(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('UPDATE "outbox_consumerstate"'):
            about_to_write.set()
            told.wait(1)
        return execute(sql, params, many, context)

    def tell_the_other() -> None:
        assert about_to_write.wait(20)
        record_outcomes(book(), [two])
        told.set()
        connections.close_all()

    other = threading.Thread(target=tell_the_other)
    other.start()
    with connection.execute_wrapper(hold_up):
        record_outcomes(book(), [one])
    other.join()

    assert state().unavailable == [one.message.pk, two.message.pk]


@pytest.mark.services
@pytest.mark.usefixtures("transactional_db")
def test_of_many_rescans_at_once_one_sends_a_canary():
    open_it()
    make_probe_due()

    turns = at_once(*[lambda row=row: take_turn(book(), row) for row in range(6)])

    assert sorted(turns) == [*[False] * 5, True]
