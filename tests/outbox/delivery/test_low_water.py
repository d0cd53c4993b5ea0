"""A search for due rows begins where the last one found the oldest, and all is searched from time to time."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from outbox.delivery import chunks, starting
from outbox.memory import forget_all
from outbox.models.sql import low_water
from outbox.models.sql.backlog import unfinished_consumers
from tests.harness.messages import publish_message, publish_messages, set_message
from tests.harness.plans import pages_touched, query
from tests.harness.threads import beside

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]

LONG_AGO = "2026-01-01T00:00Z"
SETTLED = 2_000


class Time:
    """The clock that the marks go by."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Time:
    clock = Time()
    monkeypatch.setattr(low_water, "monotonic", clock)
    return clock


@contextmanager
def snapshot_held() -> Iterator[None]:
    """Hold a snapshot of the database, as a report does that runs for long; what was deleted before is cleaned up."""
    query("VACUUM outbox_message")
    session = connection.copy("report")
    try:
        with session.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 0")
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1")
            yield
            cursor.execute("ROLLBACK")
    finally:
        session.close()


def started_ids(consumer) -> list[int]:
    return sorted(row.id for row in starting.start_due(consumer))


def test_beside_a_held_snapshot_a_search_does_not_read_again_what_was_settled(listen, clock):
    listen()
    with snapshot_held():
        chunks.deliver("test.till", publish_messages(SETTLED))
        till = listen(chunk=2)
        publish_messages(4)
        forget_all()

        everything = pages_touched(lambda: starting.start_due(till))
        next_chunk = pages_touched(lambda: starting.start_due(till))

    assert everything > 200
    assert next_chunk < everything / 4


@pytest.mark.parametrize("chunk", [2, 50])
def test_what_is_due_before_the_oldest_that_was_found_is_started_by_the_next_search_of_everything(listen, clock, chunk):
    till = listen(chunk=chunk)
    publish_messages(2)
    starting.start_due(till)
    late = publish_message()
    set_message(late, due_at=LONG_AGO)

    clock.now += low_water.EVERYTHING_EVERY / 2
    passed_over = started_ids(till)
    clock.now += low_water.EVERYTHING_EVERY / 2
    found = started_ids(till)

    assert passed_over == []
    assert found == [late]


def test_a_message_of_a_transaction_that_commits_late_is_started_within_a_second(listen, clock):
    till = listen(chunk=2)

    def publish_and_start() -> list[int]:
        publish_messages(2)
        return started_ids(till)

    with transaction.atomic():
        late = publish_message()
        with beside(publish_and_start) as others:
            pass
    passed_over = started_ids(till)
    clock.now += low_water.EVERYTHING_EVERY
    found = started_ids(till)

    assert len(others.result()) == 2
    assert passed_over == []
    assert found == [late]


def test_what_is_published_behind_a_search_that_found_nothing_is_started_by_the_next(listen, clock):
    till = listen()
    starting.start_due(till)
    id = publish_message()

    assert started_ids(till) == [id]


def test_a_search_of_everything_that_takes_long_is_made_a_twentieth_of_the_time_but_every_half_minute(clock):
    marks = low_water.LowWater()

    rests = []
    for seconds in (0.001, 0.5, 60.0):
        search = marks.begin("test.till")
        clock.now += seconds
        marks.learn(search, [], full=False)
        ended = clock.now
        while marks.begin("test.till").since is not None:
            clock.now += 0.5
        rests.append(clock.now - ended)

    assert rests == [1.0, 10.0, 30.0]


def test_the_mark_goes_up_with_full_chunks_and_stays_where_less_was_found(listen, clock):
    till = listen(chunk=2)
    ids = publish_messages(5)
    due = [starting.start_due(till) for _ in range(3)]

    low = starting._low_water.value.begin("test.till").since

    assert [[row.id for row in rows] for rows in due] == [ids[:2], ids[2:4], ids[4:]]
    assert low == due[1][0].due_at


def test_beside_a_held_snapshot_the_names_of_what_waits_are_found_without_reading_what_was_settled(listen):
    listen()
    with snapshot_held():
        chunks.deliver("test.till", publish_messages(SETTLED))
        publish_message()

        pages = pages_touched(unfinished_consumers)

    assert pages < 50
