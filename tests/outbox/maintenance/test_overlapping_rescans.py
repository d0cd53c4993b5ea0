"""Rescans on top of each other, beats that are dead, workers that take their place: each row is sent once."""

from collections import Counter
from datetime import timedelta
from time import sleep

import pytest
from django.db import transaction

from outbox.delivery import starting
from outbox.maintenance import recovery, rescan
from outbox.maintenance.rescan import RescanResult
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import MessageState, publish_message, publish_messages, states_of
from tests.harness.threads import at_once, in_thread

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


SENT = MessageState("pending", attempts=0, attempt_limit=3, sends=1)


@pytest.mark.services
def test_four_overlapping_rescans_send_every_row_once(listen, link, monkeypatch):
    monkeypatch.setattr(rescan, "CLAIM", 20)
    listen(chunk=5, high_water=1000)
    ids = publish_messages(400)
    let_pass(timedelta(seconds=5))

    sweeps = at_once(*[rescan.rescan] * 4)

    assert Counter(id for hint in link.sent for id in hint.ids) == Counter(ids)
    assert sum(sweep.sent for sweep in sweeps) == 400
    assert states_of(ids) == [SENT] * 400


@pytest.mark.services
def test_four_overlapping_rescans_bring_every_lost_row_back_once(till, link):
    ids = publish_messages(50)
    starting.start_named(till, ids)
    let_pass(timedelta(seconds=11))

    recovered = at_once(*[lambda: recovery.recover_all(["test.till"])] * 4)

    assert sum(entry.lost for entry in recovered) == 50
    assert {entry[:4] for entry in states_of(ids)} == {("pending", 1, 4, 1)}


@pytest.mark.services
def test_a_row_that_somebody_else_holds_is_skipped_without_waiting(till, link):
    held, free = publish_messages(2)
    let_pass(timedelta(seconds=5))

    with transaction.atomic():
        Message.objects.select_for_update(no_key=True).get(pk=held)
        sweep = in_thread(rescan.rescan)

    assert sweep == RescanResult(sent=1)
    assert link.sent_ids == [(free,)]


@pytest.mark.services
def test_of_many_workers_that_find_the_rescan_overdue_one_does_it(till, link, monkeypatch):
    rescan.rescan()
    let_pass(timedelta(seconds=6))
    # Nobody's pass is on record before all have found it overdue.
    make_a_pass = rescan.rescan
    monkeypatch.setattr(rescan, "rescan", lambda: (sleep(0.5), make_a_pass()))

    did = at_once(*[rescan.rescan_if_overdue] * 6)

    assert sorted(did) == [False] * 5 + [True]


def test_a_rescan_that_is_not_overdue_is_not_repeated(till, link):
    rescan.rescan()
    let_pass(timedelta(seconds=1))

    did = rescan.rescan_if_overdue()

    assert not did


def test_workers_go_on_covering_as_long_as_beat_is_dead(till, link):
    rescan.rescan()
    did = []

    for _ in range(3):
        let_pass(timedelta(seconds=6))
        did += [rescan.rescan_if_overdue(), rescan.rescan_if_overdue()]

    assert did == [True, False] * 3


def test_the_first_rescan_ever_may_be_a_worker_s(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))

    did = rescan.rescan_if_overdue()

    assert did
    assert link.sent_ids == [(id,)]
