"""What people are told of what comes from other systems."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db.models.functions import Now

from outbox import receive, sources
from outbox.external.ingest import tallies
from outbox.models import Quarantined, SourceHold, SourceState
from outbox.monitoring.findings import What
from outbox.monitoring.health import measure
from outbox.monitoring.measurements import SourceMeasurements
from outbox.monitoring.metrics import exposition
from tests.harness.clock import HOUR, MINUTE, SECOND
from tests.outbox.monitoring.measured import FINE, LIMITS, of

RUNS = SourceMeasurements(name="partner", queue="partner.events", said_ago=SECOND, taken_ago=2 * MINUTE)


def of_source(what: What = What.SOURCE, *, quarantine_bytes: int = 0, **measured: object) -> list[tuple[str, str]]:
    source = replace(RUNS, **measured)  # type: ignore[arg-type]
    return of(what, replace(FINE, sources=(source,), quarantine_bytes=quarantine_bytes))


def test_a_source_that_is_received_is_in_order():
    assert of_source() == [("ok", "partner: a receiver runs; the last message was taken in 2 min ago.")]
    assert of_source(taken_ago=None) == [("ok", "partner: a receiver runs, nothing has come yet.")]


@pytest.mark.parametrize(
    ("measured", "level", "said"),
    [
        ({"said_ago": None}, "critical", "no receiver has ever run"),
        ({"said_ago": MINUTE}, "ok", "a receiver runs"),
        ({"said_ago": 2 * MINUTE}, "critical", "no receiver was heard of for 2 min, limit 60 s"),
        ({"hold": SourceHold.HIGH_WATER, "held_for": SECOND}, "warning", "too many of its messages are unfinished"),
        ({"hold": SourceHold.HIGH_WATER, "held_for": HOUR}, "critical", "consumers have caught up"),
        ({"hold": SourceHold.QUARANTINE, "held_for": SECOND}, "critical", "the quarantine is full"),
        ({"hold": SourceHold.REFUSED, "held_for": SECOND, "said": "no rights"}, "critical", "no rights"),
        ({"hold": SourceHold.BROKER, "held_for": SECOND, "said": "no route"}, "warning", "no route"),
        ({"said": "5"}, "critical", "drops for good what was delivered 5 times"),
        ({"hold": SourceHold.STOPPED, "held_for": SECOND}, "warning", "its receiver was stopped"),
        ({"hold": SourceHold.DATABASE, "held_for": SECOND, "said": "full"}, "warning", "refused what came"),
    ],
)
def test_what_keeps_a_source_from_being_received_is_said(measured, level, said):
    [(found, sentence)] = of_source(**measured)

    assert found == level
    assert said in sentence


def test_what_is_quarantined_is_work_for_a_person_and_a_full_quarantine_an_alarm():
    assert of_source(What.QUARANTINE) == []
    assert of_source(What.QUARANTINE, waiting=1) == [
        ("warning", "partner: 1 message could not be taken in and waits in quarantine for a person.")
    ]
    [(level, sentence)] = of_source(What.QUARANTINE, waiting=20, quarantine_bytes=LIMITS.quarantine_limit)
    assert level == "critical"
    assert "20 messages" in sentence


@pytest.fixture
def partner() -> Iterator[str]:
    receive("partner.events", topic="shop.sold", source="partner")
    yield "partner"
    sources.forget_source("partner")


@pytest.mark.django_db(transaction=True)
def test_what_receivers_say_is_measured_by_the_database_s_clock(partner):
    assert measure().sources == (SourceMeasurements(name="partner", queue="partner.events"),)

    tallies.count("partner", taken=5, known=2, quarantined=1)
    tallies.say("partner", SourceHold.HIGH_WATER, "full")
    SourceState.objects.update(hold_since=Now() - 3 * MINUTE)
    tallies.say("partner", SourceHold.HIGH_WATER, "full")
    Quarantined.objects.create(
        source="partner", queue="q", reason="no_json", body=b"?", size=100, digest="0" * 32, delivery={}
    )
    measured = measure()

    [found] = measured.sources
    assert (found.taken, found.known, found.quarantined, found.waiting) == (5, 2, 1, 1)
    assert (found.hold, found.said) == ("high_water", "full")
    assert found.said_ago is not None
    assert found.said_ago < MINUTE
    assert 3 * MINUTE <= found.held_for < 4 * MINUTE
    assert measured.quarantine_bytes == 100

    tallies.say("partner", SourceHold.NONE)
    assert measure().sources[0].held_for == 0 * SECOND


@pytest.mark.django_db(transaction=True)
def test_metrics_have_what_was_received_where_there_is_a_source(partner):
    tallies.count("partner", taken=5, known=2, quarantined=1)
    tallies.say("partner", SourceHold.BROKER)

    text = exposition().decode()

    assert 'outbox_received_total{outcome="taken",source="partner"} 5.0' in text
    assert 'outbox_receiver_held{hold="broker",source="partner"} 1.0' in text
    assert "outbox_quarantine_bytes 0.0" in text


@pytest.mark.django_db(transaction=True)
def test_without_a_source_nothing_of_it_is_measured_or_shown():
    assert measure().sources == ()
    assert "outbox_received" not in exposition().decode()
