"""Evaluating: which measurements are in order, and what people are told to do about those that are not."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import translation

from outbox.monitoring.findings import Finding, Level, What, evaluate, in_words, many, worst
from outbox.monitoring.measurements import CAP, ConsumerMeasurements, Measurements, Session
from outbox.policy import Rate
from tests.harness.clock import HOUR, MINUTE, SECOND
from tests.outbox.monitoring.measured import FINE, LIMITS, of, of_consumer


def test_what_is_in_order_is_a_finding_that_says_what_proves_it():
    findings = evaluate(replace(FINE, consumers=(ConsumerMeasurements(name="coupon"),)), LIMITS)

    assert [(finding.level.word, finding.about, finding.sentence) for finding in findings] == [
        ("ok", "rescan", "The rescan last succeeded 1 s ago (limit 15 s)."),
        ("ok", "broker", "The last rescan had no trouble with the broker."),
        ("ok", "maintenance:prune", "The chore “prune” last succeeded 60 s ago (limit 10 min)."),
        ("ok", "snapshot", "The oldest open snapshot of the database is 0 s old (limit 2 min)."),
        ("ok", "idle_in_transaction", "No session has been idle in a transaction for more than 60 s."),
        ("ok", "oldest:coupon", "coupon: nothing waits."),
        ("ok", "exhausted:coupon", "coupon: failed and waiting for a person: 0 messages (limit 1)."),
    ]
    assert worst(findings) is Level.OK


def test_an_empty_table_is_not_green_when_no_rescan_has_proved_it():
    nothing_published = Measurements(consumers=(ConsumerMeasurements(name="coupon"),))

    assert worst(evaluate(nothing_published, LIMITS)) is Level.CRITICAL
    assert of(What.RESCAN, nothing_published) == [
        ("critical", "The rescan has never succeeded: start celery-beat and a worker on the queue mine.control.")
    ]


def test_nothing_looked_at_is_critical():
    assert worst([]) is Level.CRITICAL


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (15, "ok"), (15.1, "critical"), (3600, "critical")])
def test_the_rescan_must_have_succeeded_within_its_limit(seconds, level):
    ((found, _sentence),) = of(What.RESCAN, replace(FINE, rescan=timedelta(seconds=seconds)))

    assert found == level


def test_an_overdue_rescan_says_what_to_look_at_and_nothing_of_the_broker_is_believed():
    measurements = replace(FINE, rescan=90 * SECOND, broker_away=False)

    assert of(What.RESCAN, measurements) == [
        (
            "critical",
            "The rescan last succeeded 90 s ago, limit 15 s: what is unfinished is not sent again. Is celery-beat "
            "running, and a worker on the queue mine.control?",
        )
    ]
    assert of(What.BROKER, measurements) == []


def test_a_consumer_for_which_the_rescan_failed_is_named_and_what_was_said():
    measurements = replace(FINE, failing={"coupon": "OperationalError: lock timeout", "": "OperationalError: too long"})

    assert of(What.RESCAN, measurements) == [
        (
            "warning",
            "The search for lost leases and passed deadlines failed (OperationalError: too long); what is due was "
            "sent. Look at the traceback in the control worker's log.",
        ),
        (
            "warning",
            "coupon: the rescan failed for it (OperationalError: lock timeout); the other consumers were served. Look "
            "at the traceback in the control worker's log.",
        ),
        ("ok", "The rescan last succeeded 1 s ago (limit 15 s)."),
    ]


@pytest.mark.parametrize(
    ("age", "level"),
    [(None, "ok"), (5 * MINUTE, "ok"), (5 * MINUTE + SECOND, "warning"), (30 * MINUTE + SECOND, "critical")],
)
def test_the_oldest_message_must_not_be_too_old(age, level):
    ((found, _sentence),) = of_consumer(What.OLDEST, pending=3 if age else 0, oldest=age)

    assert found == level


def test_a_message_too_old_says_how_old_and_what_to_look_at():
    assert of_consumer(What.OLDEST, pending=2, started=1, oldest=6 * MINUTE) == [
        (
            "warning",
            "coupon: oldest pending 6 min, limit 5 min, waiting: 3 messages. Is a worker on the queue mine.coupon, "
            "does it keep up, do its attempts fail or is it not ready?",
        )
    ]


def test_behind_an_open_breaker_the_age_is_blamed_on_what_is_down():
    measurements = {"pending": 12, "oldest": 6 * MINUTE, "breaker_open": True, "probe_in": 20 * SECOND}

    assert of_consumer(What.OLDEST, **measurements) == [
        (
            "warning",
            "coupon: oldest pending 6 min, limit 5 min, waiting: 12 messages; what it needs is down or wants to be "
            "left alone.",
        )
    ]
    assert of_consumer(What.BREAKER, **measurements) == [
        (
            "warning",
            "coupon: what it needs is down or wants to be left alone, the breaker is open, waiting: 12 messages, next "
            "probe in 20 s. Look at the service behind it; the breaker closes by itself.",
        )
    ]


def test_with_a_rate_the_age_is_blamed_on_it_and_people_hear_how_long_the_rest_takes():
    assert of_consumer(What.OLDEST, pending=600, oldest=6 * MINUTE, rate=Rate.parse("100/min")) == [
        (
            "warning",
            "coupon: oldest pending 6 min, limit 5 min, waiting: 600 messages. It is called at most 100/min, so they "
            "take 6 min at least. Is a worker on the queue mine.coupon, and do its attempts fail?",
        )
    ]


def test_of_a_paused_consumer_people_hear_who_paused_it_and_why_and_not_that_it_waits():
    measurements = {
        "pending": 1,
        "oldest": 3 * HOUR,
        "paused_for": 3 * HOUR,
        "paused_by": "ada",
        "paused_reason": "the vendor moves",
    }

    assert of_consumer(What.OLDEST, **measurements) == []
    assert of_consumer(What.PAUSED, **measurements) == [
        (
            "warning",
            "coupon: paused 3 h ago by ada (“the vendor moves”), waiting: 1 message. "
            "Resume it when the reason is gone.",
        )
    ]


def test_a_pause_that_ends_by_itself_says_when():
    ((_level, sentence),) = of_consumer(What.PAUSED, paused_for=MINUTE, paused_by="ada", resumes_in=10 * MINUTE)

    assert sentence.endswith("It resumes by itself in 10 min.")


def test_a_consumer_gone_from_the_code_is_critical_while_messages_wait_for_it():
    gone = {"in_code": False, "pending": 4, "oldest": HOUR, "gone_for": HOUR}

    assert of_consumer(What.GONE, **gone) == [
        (
            "critical",
            "coupon: not in the running code, waiting: 4 messages, to fail in 23 h. Deploy the consumer again: in an "
            "app's consumers.py, under this name (name= keeps it where its function is renamed).",
        )
    ]
    ((level, sentence),) = of_consumer(What.GONE, **{**gone, "gone_for": 4 * MINUTE})
    assert (level, "If it is just being deployed" in sentence) == ("warning", True)
    assert of_consumer(What.OLDEST, **gone) == []
    assert of_consumer(What.GONE, in_code=False, exhausted=4) == []


@pytest.mark.parametrize(("failed", "level"), [(0, "ok"), (1, "warning"), (99, "warning"), (100, "critical")])
def test_what_failed_waits_for_a_person(failed, level):
    ((found, _sentence),) = of_consumer(What.EXHAUSTED, exhausted=failed)

    assert found == level


@pytest.mark.parametrize(("failed", "levels"), [(0, []), (19, []), (20, ["critical"])])
def test_many_failures_within_minutes_are_a_burst(failed, levels):
    assert [level for level, _sentence in of_consumer(What.BURST, exhausted=failed, new_exhausted=failed)] == levels


@pytest.mark.parametrize(("age", "level"), [(None, "warning"), (10 * MINUTE, "ok"), (11 * MINUTE, "warning")])
def test_every_maintenance_job_must_have_succeeded_lately(age, level):
    ((found, _sentence),) = of(What.MAINTENANCE, replace(FINE, maintenance_jobs={"prune": age}))

    assert found == level


def test_charts_that_lag_and_alerts_that_nobody_got_are_findings():
    measurements = replace(FINE, maintenance_jobs={}, behind=3 * HOUR, failed_channels=("mail", "webhook"))

    assert of(What.MAINTENANCE, measurements) == [
        ("warning", "The charts are 3 h behind; they catch up by themselves while the chore “rollup” runs."),
        ("warning", "The last alerts could not be sent by: mail, webhook. Look at the control worker's log."),
    ]


@pytest.mark.parametrize(
    ("age", "level"), [(2 * MINUTE, "ok"), (2 * MINUTE + SECOND, "warning"), (10 * MINUTE + SECOND, "critical")]
)
def test_a_snapshot_must_not_be_held_for_long(age, level):
    ((found, _sentence),) = of(What.SNAPSHOT, replace(FINE, snapshot=Session(7, "ada, psql", age, 100)))

    assert found == level


def test_who_holds_a_snapshot_is_named_with_what_ends_it():
    ((_level, sentence),) = of(What.SNAPSHOT, replace(FINE, snapshot=Session(7, "ada, psql", 12 * MINUTE, 100)))

    assert sentence == (
        "A transaction of ada, psql (process 7) has been open for 12 min, limit 10 min: vacuum cannot clean up, and "
        "everything slows down. End it, or have PostgreSQL do so: SELECT pg_terminate_backend(7)."
    )


def test_sessions_idle_in_a_transaction_are_a_warning():
    ((one, singular),) = of(What.IDLE, replace(FINE, idle=1))
    ((_two, plural),) = of(What.IDLE, replace(FINE, idle=2))

    assert one == "warning"
    assert singular.startswith("1 session has been idle")
    assert plural.startswith("2 sessions have been idle")


def test_where_there_are_no_sessions_to_look_at_nothing_is_claimed_of_them():
    measurements = replace(FINE, sessions_seen=False)

    assert of(What.SNAPSHOT, measurements) == of(What.IDLE, measurements) == []


def test_the_worst_comes_first():
    measurements = replace(FINE, rescan=HOUR, consumers=(ConsumerMeasurements(name="coupon", exhausted=1),))

    levels = [finding.level for finding in evaluate(measurements, LIMITS)]

    assert levels == sorted(levels, reverse=True)
    assert levels[0] is Level.CRITICAL


def test_counting_stops_and_says_so():
    assert many(0) == "0 messages"
    assert many(1) == "1 message"
    assert many(CAP - 1) == "200,000 messages"
    assert many(CAP) == "more than 200,000 messages"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "0 s"),
        (-SECOND, "0 s"),
        (119 * SECOND, "119 s"),
        (2 * MINUTE, "2 min"),
        (119 * MINUTE, "119 min"),
        (2 * HOUR, "2 h"),
        (47 * HOUR, "47 h"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_spans_are_told_as_people_say_them(span, words):
    assert in_words(span) == words


def test_every_sentence_can_be_told_in_every_language():
    everything = Measurements(
        rescan=HOUR,
        maintenance_jobs={"prune": None, "rollup": HOUR, "alerts": SECOND},
        behind=HOUR,
        failed_channels=("mail",),
        sessions_seen=True,
        snapshot=Session(7, "ada", HOUR, 1),
        idle=2,
        consumers=(
            ConsumerMeasurements(
                name="coupon",
                pending=CAP,
                oldest=HOUR,
                exhausted=CAP,
                new_exhausted=50,
                paused_for=HOUR,
                resumes_in=HOUR,
                breaker_open=True,
                in_code=False,
            ),
            ConsumerMeasurements(name="gift", pending=1, oldest=HOUR),
        ),
    )

    for language in ("en", "zh-hans"):
        with translation.override(language):
            findings = evaluate(everything, LIMITS)
        assert not [finding for finding in findings if re.search(r"%\(|%[sd]", finding.sentence)]


def test_findings_about_different_things_are_told_apart():
    one = Finding(Level.OK, What.OLDEST, "", "coupon")

    assert one.about == "oldest:coupon"
    assert replace(one, subject="").about == "oldest"
