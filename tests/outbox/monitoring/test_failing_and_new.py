"""Told neither too late nor too soon: that every attempt fails, and that a maintenance job has never run."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from outbox.maintenance.rollup import roll_up
from outbox.models import Heartbeat, MinuteStat
from outbox.monitoring import health
from outbox.monitoring.findings import What
from outbox.monitoring.measurements import ConsumerMeasurements, Measurements
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time
from tests.harness.rows import BOOK, TAKE, attempt, rescanned, sales
from tests.outbox.monitoring.measured import FINE, of, of_consumer


@pytest.mark.parametrize(
    ("known_for", "level", "sentence"),
    [
        (
            9 * MINUTE,
            "ok",
            "The chore “rollup” has not succeeded yet; it is expected within 10 min of the first rescan.",
        ),
        (
            11 * MINUTE,
            "warning",
            "The chore “rollup” has never succeeded: is its entry in celery-beat there and enabled?",
        ),
    ],
)
def test_a_maintenance_job_has_its_time_from_the_first_rescan_on(known_for, level, sentence):
    measurements = replace(FINE, known_for=known_for, maintenance_jobs={"rollup": None})

    assert of(What.MAINTENANCE, measurements) == [(level, sentence)]


@pytest.mark.parametrize(
    ("measurements", "told"),
    [
        ({"failed_attempts": 5}, True),
        ({"failed_attempts": 4}, False),
        ({"failed_attempts": 500, "succeeded": 1}, False),
        ({}, False),
    ],
)
def test_a_consumer_of_which_every_attempt_fails_is_told_of(measurements, told):
    assert bool(of_consumer(What.FAILING, **measurements)) is told


def test_how_many_attempts_failed_and_what_to_look_at_is_said():
    assert of_consumer(What.FAILING, failed_attempts=12) == [
        (
            "warning",
            "coupon: every attempt of the last 10 min failed, 12 of 12 (limit 5). Look at the failure groups: is it "
            "the newest release, or what the consumer talks to?",
        )
    ]


def figures_of(name: str) -> ConsumerMeasurements:
    (found,) = [consumer for consumer in health.measure().consumers if consumer.name == name]
    return found


@pytest.mark.django_db
def test_the_attempts_of_the_last_ten_minutes_are_read_from_the_figures_per_minute():
    now = database_time()
    for outcome, ago in [
        *[(outcome, MINUTE) for outcome in ("failed", "rejected", "lost", "unavailable", "snoozed")],
        ("failed", 12 * MINUTE),
    ]:
        attempt(sales.failed(at=now - HOUR), outcome=outcome, at=now - ago)
    sales.success(at=now - MINUTE, consumer=TAKE)

    roll_up()

    book, take = figures_of(BOOK), figures_of(TAKE)
    assert (book.succeeded, book.failed_attempts) == (0, 3)
    assert (take.succeeded, take.failed_attempts) == (1, 0)


@pytest.mark.django_db
def test_a_consumer_that_only_fails_is_found_a_minute_later():
    now = database_time()
    for _ in range(5):
        attempt(sales.failed(at=now - HOUR), outcome="failed", at=now - MINUTE)
    rescanned()
    before = [finding.subject for finding in health.health().findings if finding.what is What.FAILING]

    roll_up()

    after = [finding.subject for finding in health.health().findings if finding.what is What.FAILING]
    assert (before, after) == ([], [BOOK])
    assert MinuteStat.objects.exists()


@pytest.mark.django_db
def test_the_maintenance_jobs_are_expected_from_the_first_rescan_on():
    before = health.measure()
    rescanned()
    Heartbeat.objects.filter(name="rescan").update(since=Now() - HOUR)
    rescanned()

    after = health.measure()

    assert (before.rescan, before.known_for) == (None, timedelta(0))
    assert after.rescan is not None
    assert after.rescan < SECOND
    assert after.known_for >= HOUR


def test_without_a_rescan_no_maintenance_job_is_blamed():
    assert [level for level, _sentence in of(What.MAINTENANCE, Measurements(maintenance_jobs={"prune": None}))] == [
        "ok"
    ]
