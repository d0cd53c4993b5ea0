"""The places of a process in which it asks checks: none is lost, and no half message has them all."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from outbox import prepare
from outbox.external.halves import asking, running
from outbox.models import Half, HalfAnswer, Heartbeat
from tests.harness.program import eventually

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.fixture(autouse=True)
def _ready(listen, monkeypatch):
    listen()
    monkeypatch.setattr(running, "_places", running._Places())


@pytest.fixture
def hanging(checked):
    """A check that hangs for order-1, and says True of all others."""
    go_on = threading.Event()
    check = checked(None, timeout=timedelta(seconds=0.2))
    check.answers = [True]
    called = check.__class__.__call__

    def ask(half):
        return go_on.wait(30) and None if half.key == "order-1" else called(check, half)

    object.__setattr__(asking.check_backs.get("test.check"), "function", ask)
    yield
    go_on.set()
    eventually(lambda: running._places.free == running.AT_ONCE, within=10)


def prepared(key):
    """A half message whose producer has died in its block."""
    with pytest.raises(TimeoutError), prepare("test.sold", key=key, payload={}, check="test.check") as half:
        raise TimeoutError
    return Half.objects.get(write_id=half.write_id)


def said(half):
    return Counter(HalfAnswer.objects.filter(half=half).values_list("said", flat=True))


def is_published(half):
    return Half.objects.filter(pk=half.pk, state="published").exists()


def test_a_database_that_refuses_a_pass_takes_no_place_away(checked, monkeypatch):
    checked(True)
    half, claim = prepared("order-2"), asking.claim

    def refuse(*_args, **_options):
        raise OperationalError("could not extend file: No space left on device")

    monkeypatch.setattr(asking, "claim", refuse)
    with pytest.raises(OperationalError):
        running.go_on()
    monkeypatch.setattr(asking, "claim", claim)

    assert running.go_on() == 1
    eventually(lambda: is_published(half), within=10)


def test_a_thread_that_cannot_be_started_takes_no_place_away(checked, monkeypatch):
    checked(True)
    half = prepared("order-2")

    def refuse(*_args, **_options):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(running.threading, "Thread", refuse)
        for _ in range(running.AT_ONCE):
            Half.objects.update(check_at=Now(), asked_at=None)
            with pytest.raises(RuntimeError):
                running.go_on()
    Half.objects.update(check_at=Now(), asked_at=None)

    assert running.go_on() == 1
    eventually(lambda: is_published(half), within=10)


@pytest.mark.usefixtures("hanging")
def test_a_process_without_a_free_place_leaves_its_turn_to_others(monkeypatch):
    monkeypatch.setattr(running, "AT_ONCE", 1)
    prepared("order-1")
    running.go_on()
    prepared("order-2")
    Heartbeat.objects.all().delete()

    assert (running.go_on(), running.go_on_if_overdue()) == (0, False)

    assert not Heartbeat.objects.filter(name__in=[running.HEARTBEAT, running.TAKEOVER]).exists()


@pytest.mark.usefixtures("hanging")
def test_one_half_message_whose_check_hangs_leaves_places_to_the_others():
    hangs = prepared("order-1")
    for _ in range(3 * running.AT_ONCE):
        Half.objects.filter(state="open").update(check_at=Now())
        running.go_on()
    other = prepared("order-2")

    running.go_on()

    eventually(lambda: is_published(other), within=10)
    assert running._places.free == running.AT_ONCE - running.OF_ONE
    assert (Half.objects.get(pk=hangs.pk).state, said(hangs)) == ("unknown", {"silent": 3})
