"""Many messages at once: what a chunk takes in, what it gives back, and what one row may cost the others."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbox.delivery import atomic, chunks
from outbox.models import Message
from tests.harness.clock import let_pass, timed
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    state_of,
    states_of,
)
from tests.shop import consumers as shop
from tests.shop.models import Tag

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

DONE = MessageState("success", attempts=1, attempt_limit=3)
JAMMED = "ValueError: the till is jammed"


def test_one_failing_row_among_49_good_ones_takes_back_only_its_own_effects(listen):
    listen()
    before, bad, after = publish_messages(25), publish_message(do="fail"), publish_messages(24)
    good = [*before, *after]

    chunks.deliver("test.till", [*before, bad, *after])

    assert states_of(good) == [DONE] * 49
    assert state_of(bad) == MessageState("pending", attempts=1, attempt_limit=3, last_error=JAMMED)
    assert effects() == [(id, 1) for id in good]
    assert kept_attempts(bad) == [(1, "failed", JAMMED)]


def test_every_way_to_end_in_one_chunk(listen):
    listen()
    ways = ["", "fail", "reject", "snooze", "unavailable"]
    ids = [publish_message(do=way) for way in ways]

    chunks.deliver("test.till", ids)

    assert [(entry.status, entry.attempts, entry.attempt_limit) for entry in states_of(ids)] == [
        ("success", 1, 3),
        ("pending", 1, 3),
        ("failed", 1, 3),
        ("pending", 1, 4),
        ("pending", 1, 4),
    ]
    assert effects() == [(ids[0], 1)]


@pytest.fixture
def stopwatch(monkeypatch, configure):
    """The clock by which a chunk's time of 10 s is measured; it stands still unless moved."""
    configure(CHUNK_TIME=timedelta(seconds=10), CHUNK_TIME_SQLITE=timedelta(seconds=10))
    watch = Stopwatch()
    for module in (chunks, atomic):
        monkeypatch.setattr(module, "monotonic", lambda: watch.seconds)
    return watch


@dataclass
class Stopwatch:
    """Seconds that pass only when a test says so."""

    seconds: float = 0.0

    def slow(self, message: Message) -> None:
        """Leave an effect, which takes six seconds."""
        shop.book(message)
        self.seconds += 6


def test_when_the_time_is_up_the_rest_goes_back_without_having_spent_an_attempt(listen, stopwatch):
    listen(stopwatch.slow)
    ids = publish_messages(5)

    with timed() as span:
        chunks.deliver("test.till", ids)

    given_back = MessageState("pending", attempts=1, attempt_limit=4)
    assert states_of(ids) == [DONE, DONE, *[given_back] * 3]
    assert effects() == [(id, 1) for id in ids[:2]]
    assert [kept_attempts(id) for id in ids] == [[]] * 5
    assert all(
        span.contains(due_at) for due_at in Message.objects.filter(pk__in=ids[2:]).values_list("due_at", flat=True)
    )


def test_what_was_given_back_is_delivered_by_the_next_hint(listen, stopwatch, one_chunk):
    listen(stopwatch.slow)
    ids = publish_messages(6)

    for _ in range(3):
        chunks.deliver("test.till", ids)

    assert states_of(ids) == [MessageState("success", attempts=n, attempt_limit=n + 2) for n in (1, 1, 2, 2, 3, 3)]
    assert effects() == list(zip(ids, (1, 1, 2, 2, 3, 3), strict=True))


def test_a_chunk_that_has_waited_for_its_turn_still_does_at_least_one_row(listen, configure):
    configure(CHUNK_TIME=timedelta(microseconds=1), CHUNK_TIME_SQLITE=timedelta(microseconds=1))
    listen()
    ids = publish_messages(3)

    chunks.deliver("test.till", ids)

    assert sorted(entry.status for entry in states_of(ids)) == ["pending", "pending", "success"]


def test_a_full_chunk_takes_a_handful_of_statements(listen):
    listen()
    ids = publish_messages(50)

    with CaptureQueriesContext(connection) as captured:
        chunks.deliver("test.till", ids)

    statements = [query["sql"] for query in captured.captured_queries]
    verbs = Counter(_verb(sql) for sql in statements)
    handlers = sum('INTO "shop_effect"' in sql for sql in statements)
    savepoints = sum("SAVEPOINT outbox_" in sql for sql in statements)
    transactions = verbs["BEGIN"] + verbs["COMMIT"]
    own = len(statements) - handlers - savepoints - transactions
    print(f"statements for 50 rows: {own} own, {transactions} BEGIN/COMMIT, {savepoints} for savepoints")
    assert states_of(ids) == [DONE] * 50
    assert handlers == 50
    # On PostgreSQL a savepoint begins with the same round trip that ends the one before.
    assert savepoints == (50 if connection.vendor == "postgresql" else 100)
    assert transactions in (2, 4)  # psycopg2 sends BEGIN with the first statement, out of Django's sight
    assert own <= 8


def _verb(sql: str) -> str:
    return sql.split(maxsplit=1)[0].upper()


def test_a_chunk_is_handled_in_the_order_that_the_consumer_sorts_by(listen):
    order = []
    listen(lambda message: order.append(message.payload["stock"]), sort=lambda message: message.payload["stock"])
    ids = [publish_message(stock=stock) for stock in (3, 1, 2)]

    chunks.deliver("test.till", ids)

    assert order == [1, 2, 3]


def test_a_chunk_whose_sort_fails_is_handled_in_the_order_of_publishing(listen):
    listen(sort=lambda message: message.payload["stock"])
    ids = [publish_message(stock=2), publish_message(), publish_message(stock=1)]

    chunks.deliver("test.till", ids)

    assert states_of(ids) == [DONE] * 3


def test_a_chunk_is_handled_in_the_order_of_publishing_otherwise(listen):
    order = []
    listen(lambda message: order.append(message.pk))
    ids = publish_messages(5)

    chunks.deliver("test.till", list(reversed(ids)))

    assert order == ids


@pytest.mark.services
def test_a_constraint_that_fails_only_at_commit_fails_only_its_own_row(listen):
    listen()
    Tag.objects.create(name="taken")
    good, bad, other = (
        publish_message(),
        publish_message(do="tag", name="taken"),
        publish_message(do="tag", name="free"),
    )

    chunks.deliver("test.till", [good, bad, other])

    error = state_of(bad).last_error
    assert error.startswith('IntegrityError: duplicate key value violates unique constraint "shop_tag_once"')
    assert states_of([good, bad, other]) == [
        DONE,
        MessageState("pending", attempts=1, attempt_limit=3, last_error=error),
        DONE,
    ]
    assert effects() == [(good, 1), (other, 1)]
    assert kept_attempts(bad) == [(1, "failed", error)]
    assert sorted(Tag.objects.values_list("name", flat=True)) == ["free", "taken"]


@pytest.mark.services
def test_a_constraint_that_fails_at_commit_again_and_again_is_exhausted(listen):
    listen()
    Tag.objects.create(name="taken")
    id = publish_message(do="tag", name="taken")

    for _ in range(3):
        chunks.deliver("test.till", [id])
        let_pass(timedelta(minutes=1))

    assert state_of(id)[:3] == ("failed", 3, 3)
    assert [(number, outcome) for number, outcome, _error in kept_attempts(id)] == [(n, "failed") for n in (1, 2, 3)]
    assert effects() == []


@pytest.mark.services
def test_the_lease_is_renewed_before_rows_are_redone_one_by_one(listen):
    leases = []

    def handler(message):
        leases.append(round((message.lease_until - message.started_at).total_seconds()))
        shop.book(message)

    listen(handler, timeout=timedelta(seconds=200), chunk=1)
    Tag.objects.create(name="taken")

    chunks.deliver("test.till", [publish_message(do="tag", name="taken")])

    assert leases == [10, 210]


@pytest.mark.services
def test_rows_redone_one_by_one_are_given_back_when_the_time_is_up(listen, stopwatch):
    listen(stopwatch.slow)
    Tag.objects.create(name="taken")
    ids = [publish_message(do="tag", name="taken"), *publish_messages(3)]

    chunks.deliver("test.till", ids)

    assert [entry[:3] for entry in states_of(ids)] == [
        ("pending", 1, 3),
        ("success", 1, 3),
        ("pending", 1, 4),
        ("pending", 1, 4),
    ]
    assert effects() == [(ids[1], 1)]
