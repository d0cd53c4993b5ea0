"""Each fault, planted, is named by every place that speaks of the rescan: status, desk, alert and ``/readyz``."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import translation

from outbox import tasks
from outbox.broker.connection import BrokerConnection
from outbox.broker.queues import celery_app, control_queue, queue_name
from outbox.delivery import sessions
from outbox.models import Heartbeat
from outbox.monitoring import alerts
from outbox.monitoring.causes import Cause, Evidence, diagnose, sentence
from outbox.monitoring.health import health, measure
from tests.harness.clock import HOUR, SECOND
from tests.harness.ports import free_port
from tests.harness.program import eventually
from tests.harness.rows import all_is_well, rescanned


def on_status() -> str:
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("outbox_status", stdout=said)
    return said.getvalue()


def on_readyz() -> str:
    return " ".join(Client().get("/readyz").json()["reasons"])


def on_operations() -> str:
    client = Client()
    person = get_user_model()._default_manager.create_superuser("night shift", password="none")
    client.force_login(person)
    try:
        with translation.override("en"):
            return client.get("/admin/outbox/").content.decode()
    finally:
        person.delete()


def in_an_alert() -> str:
    return " ".join(notification.sentence for notification in alerts.watch())


SURFACES = [on_status, on_readyz, on_operations, in_an_alert]


class Planted:
    """The faults, each under the hand of a test."""

    def __init__(self, channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._channel, self._monkeypatch = channel, monkeypatch
        self._consumers: list[str] = []

    def broker_away(self) -> None:
        self._at(f"amqp://guest:guest@127.0.0.1:{free_port()}//")

    def vhost_gone(self) -> None:
        self._at("amqp://guest:guest@127.0.0.1/gone")

    def wrong_password(self) -> None:
        self._at("amqp://guest:no@127.0.0.1//")

    def control_worker_away(self) -> None:
        control_queue()(self._channel).declare()

    def control_queue_gone(self) -> None:
        self._channel.queue_delete(queue_name("control"))

    def beat_away(self) -> None:
        control_queue()(self._channel).declare()
        self._take_from_it(no_ack=True)

    def control_worker_stuck(self) -> None:
        control_queue()(self._channel).declare()
        self._channel.basic_qos(0, 1, False)
        self._take_from_it()
        for _call in range(3):
            celery_app().send_task("outbox.rescan", queue=control_queue(), ignore_result=True)
        passive = {"queue": queue_name("control"), "passive": True}
        assert eventually(lambda: self._channel.queue_declare(**passive).message_count == 2, within=10)

    def rescan_failing(self) -> None:
        broken = mock.patch("outbox.tasks.rescan.rescan", side_effect=OperationalError("canceling: lock timeout"))
        with broken, pytest.raises(OperationalError):
            tasks.run_rescan()

    def over(self) -> None:
        for tag in self._consumers:
            self._channel.basic_cancel(tag)
        self._channel.queue_delete(queue_name("control"))

    def _take_from_it(self, **options: Any) -> None:
        options["callback"] = lambda _message: None
        self._consumers.append(self._channel.basic_consume(queue_name("control"), **options))

    def _at(self, url: str) -> None:
        self._monkeypatch.setitem(celery_app().conf, "broker_write_url", url)


@pytest.fixture
def planted(rabbit: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    planted = Planted(rabbit, monkeypatch)
    yield planted
    planted.over()


SENTENCES = {
    "broker_away": "The broker is away (",
    "vhost_gone": "RabbitMQ does not let us in (NOT_ALLOWED",
    "wrong_password": "RabbitMQ does not let us in (ACCESS_REFUSED",
    "control_worker_away": "start the control worker.",
    "control_queue_gone": "start the control worker.",
    "beat_away": "nobody calls it: start celery-beat.",
    "control_worker_stuck": "does not get on (2 calls wait)",
    "rescan_failing": "Each rescan fails (OperationalError: canceling: lock timeout)",
}


@pytest.mark.services
@pytest.mark.django_db
@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.__name__)
@pytest.mark.parametrize("fault", SENTENCES)
def test_an_overdue_rescan_names_its_cause_everywhere(planted: Planted, fault: str, surface: Callable[[], str]):
    all_is_well()
    rescanned(90 * SECOND)
    getattr(planted, fault)()

    said = surface().replace("&#x27;", "'")

    assert SENTENCES[fault] in said
    assert "Is celery-beat running" not in said


@pytest.mark.services
@pytest.mark.usefixtures("transactional_db", "rabbit")
def test_a_database_that_takes_nothing_is_named_and_nothing_is_left_of_the_look():
    all_is_well()
    rescanned(90 * SECOND)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        said = [on_status(), on_readyz()]
    finally:
        sessions.drop(connection)  # not to be kept by a pool

    for text in said:
        assert "The database answers and takes nothing (InternalError: cannot execute INSERT in a read-only" in text
    assert not Heartbeat.objects.filter(name__startswith="look ").exists()


@pytest.mark.django_db
def test_a_failure_is_the_cause_only_until_a_rescan_succeeds():
    broken = mock.patch("outbox.tasks.rescan.rescan", side_effect=ValueError("bad row"))
    with broken, pytest.raises(ValueError, match="bad row"):
        tasks.run_rescan()
    failing = measure().cause
    Heartbeat.objects.filter(name="rescan that failed").update(at="2000-01-01T00:00:00Z")
    rescanned(HOUR)

    assert failing.startswith("Each rescan fails (ValueError: bad row)")
    assert "bad row" not in measure().cause


@pytest.mark.django_db
def test_a_failure_within_a_transaction_of_the_caller_s_leaves_it_usable():
    broken = mock.patch("outbox.tasks.rescan.rescan", side_effect=ValueError("bad row"))
    with transaction.atomic(), broken, pytest.raises(ValueError, match="bad row"):
        tasks.run_rescan()

    assert Heartbeat.objects.get(name="rescan that failed").data == {"error": "ValueError: bad row"}


@pytest.mark.services
@pytest.mark.django_db
def test_a_rescan_that_workers_do_in_place_of_others_is_a_warning_that_says_who_is_missing(planted: Planted):
    all_is_well()
    Heartbeat.objects.record("rescan by a worker")
    planted.control_worker_away()

    [finding] = [finding for finding in health().findings if finding.subject == "cover"]

    assert finding.level.word == "warning"
    assert finding.sentence.startswith("A worker had to do the rescan 0 s ago. No worker takes from the queue ")


@pytest.mark.django_db
def test_nothing_is_looked_at_while_all_is_well(monkeypatch: pytest.MonkeyPatch):
    all_is_well()
    monkeypatch.setattr(BrokerConnection, "_open", mock.Mock(side_effect=AssertionError("the broker was asked")))

    assert measure().cause == ""


CASES: dict[Cause, dict[str, Any]] = {
    Cause.DATABASE_TAKES_NOTHING: {"unwritable": "DataError: full", "broker_away": "no", "failed": "full"},
    Cause.DOOR_CLOSED: {"refused": {"code": 403, "said": "no"}, "failed": "KeyError: 1"},
    Cause.NO_TRUST: {"distrusted": "expired", "failed": "KeyError: 1"},
    Cause.BROKER_AWAY: {"broker_away": "no", "failed": "KeyError: 1"},
    Cause.RESCAN_FAILS: {"failed": "KeyError: 1", "takers": 0},
    Cause.QUEUE_REFUSED: {"refused": {"code": 403, "said": "no"}, "refused_queue": "mine.control"},
    Cause.EXCHANGE_REFUSED: {
        "refused": {"code": 403, "said": "no", "user": "u", "vhost": "/"},
        "refused_queue": "celeryev",
        "takers": 0,
    },
    Cause.NO_WORKER: {"takers": 0, "waiting": 7, "server_up": SECOND},
    Cause.DATABASE_WAS_AWAY: {"takers": 1, "waiting": 7, "server_up": SECOND},
    Cause.WORKER_STUCK: {"takers": 1, "waiting": 7},
    Cause.BEAT_SILENT: {"takers": 1},
    Cause.UNKNOWN: {},
}


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.name)
def test_of_several_signs_the_one_that_others_rest_upon_is_the_cause(cause: Cause):
    assert diagnose(Evidence(**CASES[cause])) is cause
    assert sentence(Evidence(**CASES[cause]))
