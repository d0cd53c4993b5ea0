"""Ordering keys that failed messages hold: which one for longest, and how many wait behind it."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command

from outbox import Message
from outbox.models.sql import held_keys
from outbox.monitoring.findings import What
from outbox.monitoring.health import measure
from outbox.monitoring.measurements import HeldKey
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.plans import pages_touched, query
from tests.harness.rows import BOOK, TAKE, all_is_well, sales
from tests.outbox.monitoring.measured import of_consumer

pytestmark = pytest.mark.django_db


def held(name: str = BOOK) -> tuple[HeldKey | None, int]:
    """Measure which key of a consumer is held for longest, and how many are."""
    (found,) = [consumer for consumer in measure().consumers if consumer.name == name]
    return found.held, found.held_keys


def wait_behind(many: int, key: str, **fields: object) -> None:
    for _ in range(many):
        sales.pending(ordering_key=key, **fields)


def test_the_key_that_is_held_for_longest_is_measured_with_what_waits_behind_it():
    now = database_time()
    sales.failed(ordering_key="till 1", at=now - HOUR)
    longest = sales.failed(ordering_key="till 2", at=now - 2 * HOUR)
    wait_behind(1, "till 1")
    wait_behind(3, "till 2")
    wait_behind(5, "till 2", consumer=TAKE)

    key, number = held()

    assert key is not None
    assert (key.key, key.message, round(key.held_for / HOUR), key.behind) == ("till 2", longest.pk, 2, 3)
    assert number == 2
    assert held(TAKE) == (None, 0)


def test_a_failed_message_holds_nothing_if_none_waits_or_another_comes_first():
    sales.failed(ordering_key="till 1")
    wait_behind(1, "till 2")
    sales.failed(ordering_key="till 2")
    sales.failed()
    wait_behind(1, "")

    assert held() == (None, 0)


def test_who_was_discarded_holds_nothing():
    sales.discarded(ordering_key="till 1")
    wait_behind(2, "till 1")

    assert held() == (None, 0)


@pytest.mark.parametrize(("age", "level"), [(20 * MINUTE, "warning"), (2 * HOUR, "critical")])
def test_health_says_which_message_holds_which_key_for_how_long(age, level):
    key = HeldKey("till 1", 17, age, 312)

    ((found, sentence),) = of_consumer(What.HELD, held=key, held_keys=3)

    assert found == level
    assert sentence.startswith("coupon: the ordering key “till 1” is held by message 17, which failed ")
    assert "waiting behind it: 312 messages." in sentence
    assert sentence.endswith("2 other keys are held as well.")


def test_the_status_in_a_terminal_names_the_key(capsys):
    all_is_well()
    sales.failed(ordering_key="till 1", at=database_time() - timedelta(minutes=1))
    wait_behind(2, "till 1")

    call_command("outbox_status")
    said = capsys.readouterr().out
    call_command("outbox_status", json=True)
    measured = json.loads(capsys.readouterr().out)["consumers"]

    assert "keys held: 1" in said
    assert "the ordering key “till 1” is held by message" in said
    assert [consumer["held"]["behind"] for consumer in measured if consumer["held"]] == [2]


@pytest.mark.services
def test_the_search_for_held_keys_reads_the_same_however_many_wait():
    costs = []
    for many in (1_000, 50_000):
        query("TRUNCATE outbox_message CASCADE")
        sales.failed(ordering_key="till 1")
        behind = sales.pending(ordering_key="till 1")
        names = [field.column for field in Message._meta.fields if field.name not in ("id", "key", "drawn_key")]
        columns = ", ".join(f'"{name}"' for name in names)
        query(
            f"INSERT INTO outbox_message (key, {columns}) SELECT 'copy ' || n, {columns}"
            " FROM outbox_message, generate_series(1, %s) n WHERE id = %s",
            many,
            behind.pk,
        )
        query("ANALYZE outbox_message")
        costs.append(pages_touched(lambda: held_keys.held_keys(cap=10)))

    assert costs[1] <= 2 * costs[0] + 20
