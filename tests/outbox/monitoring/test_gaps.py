"""What people are told of numbers that are missing, and of streams in which nobody would notice."""

from dataclasses import replace

import pytest
from django.db.models.functions import Now

from outbox.models import Gap, SequenceStream, WatchedStream
from outbox.monitoring.findings import What
from outbox.monitoring.gaps import SequenceMeasurements
from outbox.monitoring.health import measure
from outbox.monitoring.metrics import exposition
from tests.harness.clock import MINUTE
from tests.outbox.monitoring.measured import FINE, of


def of_gaps(**measured: object) -> list[tuple[str, str]]:
    return of(What.GAPS, replace(FINE, sequences=SequenceMeasurements(**measured)))  # type: ignore[arg-type]


def test_what_was_lost_is_critical_and_what_has_failed_there_a_warning():
    assert of_gaps() == []
    assert of_gaps(gaps={"shop": {"sent": 2, "failed": 1}}) == [
        (
            "critical",
            "shop: 2 messages are missing that their sender has sent. See which at the desk, under Gaps, or by "
            "manage.py outbox_gaps list, and ask the sender for them.",
        )
    ]
    assert of_gaps(gaps={"shop": {"failed": 1}}) == [
        ("warning", "shop: 1 message has failed at its sender, and waits for a person there.")
    ]
    assert of_gaps(gaps={"shop": {"open": 1}}) == [("ok", "shop: what was missing is being sent again.")]


def test_where_nobody_would_notice_a_gap_is_said():
    [(level, silent)] = of_gaps(silent={"shop": 1})
    [(other, untold)] = of_gaps(untold={"shop.orders": "the broker does not answer"})

    assert (level, other) == ("warning", "warning")
    assert "no heartbeat has come for 5 min" in silent
    assert "the broker does not answer" in untold


@pytest.mark.django_db
def test_it_is_measured_with_the_other_notes_and_shown_in_metrics():
    watched = WatchedStream.objects.create(source="shop", stream="a/b", epoch="e1", since=Now() - 6 * MINUTE)
    WatchedStream.objects.create(source="shop", stream="a/c", epoch="e1", since=Now() - 6 * MINUTE, beat_at=Now())
    WatchedStream.objects.create(source="shop", stream="a/d", epoch="e1", since=Now() - 6 * MINUTE)
    WatchedStream.objects.create(source="shop", stream="a/d", epoch="e2", beat_at=Now())
    Gap.objects.create(watched=watched, first=3, last=5, said="sent")
    Gap.objects.create(watched=watched, first=9, last=9, said="sent", closed_at=Now(), end="came")
    SequenceStream.objects.create(forward="f", epoch="e", since=Now() - 6 * MINUTE, error="the broker is away")
    SequenceStream.objects.create(forward="g", epoch="e", since=Now() - 6 * MINUTE, said_at=Now(), error="just now")

    measured = measure()

    assert measured.sequences == SequenceMeasurements(
        gaps={"shop": {"sent": 3}}, silent={"shop": 1}, untold={"f": "the broker is away"}
    )
    shown = exposition().decode()
    assert 'outbox_gaps{said="sent",source="shop"} 3.0' in shown
    assert 'outbox_silent_streams{source="shop"} 1.0' in shown
