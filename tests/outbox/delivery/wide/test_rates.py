"""A rate: how often a consumer is called over all workers together."""

import time
from datetime import timedelta
from itertools import pairwise

from django.db.models.functions import Now

from outbox.models import ConsumerState
from tests.harness.messages import publish_messages, states_of
from tests.outbox.delivery.wide.conftest import all_are, wait_for


def test_calls_are_spread_evenly_and_none_is_saved_up(listen, deliver):
    called = []
    till = listen(lambda _message: called.append(time.monotonic()), atomic=False, concurrency=50, rate="50/s")
    ids = publish_messages(60)

    deliver(till, ids[:1])

    wait_for(all_are("success", ids))
    spans = [later - earlier for earlier, later in pairwise(called)]
    assert 1.1 < called[-1] - called[0] < 1.6, called[-1] - called[0]
    assert sum(span < 0.005 for span in spans) < 10, spans


def test_a_burst_is_called_at_once(listen, deliver):
    called = []
    till = listen(lambda _message: called.append(time.monotonic()), atomic=False, concurrency=50, rate="1/h", burst=5)
    ids = publish_messages(8)

    deliver(till, ids)

    wait_for(all_are("success", ids[:5]))
    deliver(till, ids[5:])
    time.sleep(0.3)
    assert [entry.status for entry in states_of(ids)] == ["success"] * 5 + ["pending"] * 3
    assert called[-1] - called[0] < 1


def test_a_clock_that_was_set_back_holds_up_no_more_than_one_call(listen, deliver):
    till = listen(lambda _message: None, atomic=False, concurrency=50, rate="100/s")
    ConsumerState.objects.create(consumer="test.till", next_call=Now() + timedelta(hours=1))
    ids = publish_messages(5)

    deliver(till, ids)

    wait_for(all_are("success", ids), within=3)


def test_a_list_is_one_call(listen, deliver):
    called = []
    till = listen(lambda many: called.append(len(many)), atomic=False, bulk=True, chunk=4, rate="1/h", burst=2)
    ids = publish_messages(12)

    deliver(till, ids[:4])

    wait_for(all_are("success", ids[:8]))
    time.sleep(0.3)
    assert called == [4, 4]
