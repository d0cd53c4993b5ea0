"""Telling people: once, again after hours, once when it is over; whatever channel is broken."""

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail

from outbox import tasks
from outbox.maintenance import rescan
from outbox.models import Alert, Heartbeat
from outbox.monitoring import alerts
from outbox.monitoring.alerts import Notification, NotificationKind
from outbox.monitoring.findings import Level
from outbox.monitoring.health import measure
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time, set_back
from tests.harness.rows import BOOK, all_is_well, rescanned, sales

pytestmark = pytest.mark.django_db

NOTIFIED: list[Notification] = []


def hook(notifications: list[Notification]) -> None:
    """The host's own function, as ``ALERT_HOOK`` names it."""
    NOTIFIED.extend(notifications)


def broken_hook(notifications: list[Notification]) -> None:
    raise RuntimeError("no reception")


class Killed(BaseException):
    """As if the process died."""


def deadly_hook(notifications: list[Notification]) -> None:
    raise Killed


@pytest.fixture(autouse=True)
def notified(configure: Any) -> list[Notification]:
    """What people were told, by way of the host's own function."""
    NOTIFIED.clear()
    configure(ALERT_HOOK="tests.outbox.monitoring.test_alerts.hook")
    return NOTIFIED


@pytest.fixture(autouse=True)
def _all_is_well(db: None) -> None:
    all_is_well()


def look(after: timedelta = 30 * SECOND) -> list[tuple[str, str]]:
    """Let time pass, look, and return what was new."""
    set_back(after, Alert)
    set_back(MINUTE, Heartbeat)
    all_heartbeats_fresh()
    return [(notification.kind.value, notification.about) for notification in alerts.watch()]


def all_heartbeats_fresh() -> None:
    for job in ("prune", "rollup", "alerts", "audit"):
        data = Heartbeat.objects.get(name=job).data
        Heartbeat.objects.record(job, **data)
    rescanned(broker_away=Heartbeat.objects.get(name="rescan").data["broker_away"])


def break_broker() -> None:
    rescanned(broker_away=True)


def test_nothing_is_told_while_everything_is_in_order(notified):
    assert look() == []
    assert notified == []
    assert measure().maintenance_jobs["alerts"] is not None


def test_what_is_critical_is_told_at_once_and_once(notified):
    break_broker()

    assert [look(), look(), look()] == [[("new", "broker")], [], []]
    (notification,) = notified
    assert (notification.kind, notification.level, notification.about) == (
        NotificationKind.NEW,
        Level.CRITICAL,
        "broker",
    )
    assert notification.line().startswith("CRITICAL: The broker did not answer")


def test_it_is_told_again_after_hours(notified):
    break_broker()
    look()

    assert look(4 * HOUR + SECOND) == [("reminder", "broker")]
    assert look() == []
    assert notified[-1].line().startswith("Still: The broker did not answer")


def test_when_it_is_over_that_is_told_once(notified):
    break_broker()
    look()
    rescanned()

    assert [look(MINUTE), look(MINUTE), look(MINUTE)] == [[], [("resolved", "broker")], []]
    assert notified[-1].line().startswith("Over: The broker did not answer")
    assert not Alert.objects.exists()


def test_what_flickers_is_told_once(notified):
    for _ in range(5):
        break_broker()
        look()
        rescanned()
        look()

    assert [notification.kind for notification in notified] == [NotificationKind.NEW]


def test_a_warning_is_told_when_it_has_lasted():
    sales.failed()

    assert [look(), look(MINUTE), look(MINUTE), look()] == [[], [], [("new", f"exhausted:{BOOK}")], []]


def test_a_warning_that_passes_is_never_told(notified):
    stuck = sales.failed()
    look()
    stuck.delete()

    assert [look(MINUTE) for _ in range(4)] == [[]] * 4
    assert notified == []


def test_what_gets_worse_is_told_again_at_once(configure, notified):
    sales.failed()
    look()
    look(2 * MINUTE)
    configure(EXHAUSTED_CRITICAL=1)

    assert [look(), look()] == [[("new", f"exhausted:{BOOK}")], []]
    assert [notification.level for notification in notified] == [Level.WARNING, Level.CRITICAL]


def test_what_gets_milder_is_not_told_as_new(configure):
    configure(EXHAUSTED_CRITICAL=1)
    sales.failed()
    look()
    configure(EXHAUSTED_CRITICAL=100)

    assert [look(), look(MINUTE)] == [[], []]
    assert Alert.objects.get().level == Level.WARNING


def test_the_sentence_is_kept_up_to_date():
    break_broker()
    look()
    since = Alert.objects.get().since
    Alert.objects.update(sentence="old words")

    alerts.watch()
    set_back(MINUTE, Heartbeat)
    rescanned(broker_away=True)
    alerts.watch()

    assert (Alert.objects.get().sentence != "old words", Alert.objects.get().since) == (True, since)


def test_only_one_process_looks_at_a_time():
    break_broker()
    first = alerts.watch()

    sales.failed()
    Alert.objects.update(notified_level=0)

    assert ([notification.about for notification in first], alerts.watch()) == (["broker"], [])


def test_workers_look_when_nobody_else_has(notified):
    break_broker()
    assert not alerts.watch_if_overdue()
    assert notified == []
    set_back(2 * MINUTE + SECOND, Heartbeat)
    rescanned(broker_away=True)

    assert alerts.watch_if_overdue()
    assert [notification.about for notification in notified] == ["broker"]
    assert not alerts.watch_if_overdue()


def test_a_worker_covers_for_the_alerts_even_when_its_rescan_fails(monkeypatch, notified):
    def fail() -> bool:
        raise RuntimeError("the broker is on fire")

    break_broker()
    set_back(2 * MINUTE + SECOND, Heartbeat)
    rescanned(broker_away=True)
    monkeypatch.setattr(rescan, "rescan_if_overdue", fail)

    tasks.run_overdue_jobs()

    assert [notification.about for notification in notified] == ["broker"]


def test_a_process_that_dies_before_telling_leaves_it_to_the_next(configure, notified):
    break_broker()
    configure(ALERT_HOOK="tests.outbox.monitoring.test_alerts.deadly_hook")
    with pytest.raises(Killed):
        look()
    configure(ALERT_HOOK="tests.outbox.monitoring.test_alerts.hook")

    assert [look(), look()] == [[("new", "broker")], []]
    assert [notification.about for notification in notified] == ["broker"]


def test_what_nobody_could_be_told_is_tried_again(configure, notified):
    break_broker()
    configure(ALERT_HOOK="tests.outbox.monitoring.test_alerts.broken_hook")
    look()
    configure(ALERT_HOOK="tests.outbox.monitoring.test_alerts.hook")

    assert [look(), look()] == [[("new", "broker")], []]


def test_a_broken_channel_keeps_no_other_from_telling_and_is_a_finding_itself(configure, settings, notified):
    settings.ADMINS = [("Ada", "ada@example.org")]
    configure(ALERT_HOOK="tests.outbox.monitoring.test_alerts.broken_hook")
    break_broker()

    assert [look(), look()] == [[("new", "broker")], []]
    assert len(mail.outbox) == 1
    assert measure().failed_channels == ("hook",)


def test_all_notifications_go_to_the_admins_in_one_mail(settings):
    settings.ADMINS = [("Ada", "ada@example.org")]
    break_broker()
    for _ in range(100):
        sales.failed()

    look()

    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert "CRITICAL: The broker did not answer" in sent.subject
    assert "(and 2 more)" in sent.subject
    assert "\n" not in sent.subject
    assert [line.partition(":")[0] for line in sent.body.split("\n\n")] == ["CRITICAL"] * 3


@pytest.mark.parametrize("given", [None, 3.0])
def test_where_django_has_mailers_the_default_one_is_taken_and_never_waits_for_ever(settings, monkeypatch, given):
    sent = []
    backend = SimpleNamespace(timeout=given, send_messages=sent.extend)
    monkeypatch.setattr(mail, "mailers", SimpleNamespace(default=backend), raising=False)
    settings.ADMINS = [("Ada", "ada@example.org")]
    break_broker()

    look()

    assert [message.to for message in sent] == [["ada@example.org"]]
    assert backend.timeout == (given or alerts.CHANNEL_TIMEOUT)


def test_everything_stands_in_the_log(caplog):
    break_broker()
    with caplog.at_level(logging.INFO, "outbox.alerts"):
        look()

    assert [(record.levelname, record.message[:40]) for record in caplog.records] == [
        ("ERROR", "CRITICAL: The broker did not answer at t")
    ]


def test_an_old_message_is_told_with_its_consumer(notified):
    sales.pending(at=database_time() - 31 * MINUTE)

    look()

    assert [notification.about for notification in notified] == [f"oldest:{BOOK}"]
    assert notified[0].sentence.startswith("shop.book: oldest pending 31 min, limit 30 min, waiting: 1 message.")
