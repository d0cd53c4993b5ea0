"""Rows are started and locked by id, so two threads that update the same rows never wait for each other in a circle."""

import threading
from concurrent.futures import TimeoutError
from datetime import timedelta

import pytest
from django.db import connection, transaction

from outbox.delivery import starting
from outbox.models import Message
from outbox.models.sql.calls import renew_each, succeed_each
from tests.harness.messages import publish_messages, set_message
from tests.harness.threads import TIMEOUT, beside, in_thread

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]


def is_free(id):
    with transaction.atomic():
        return Message.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=id).exists()


def test_rows_are_started_in_the_order_of_publishing_wherever_they_lie(listen):
    consumer = listen()
    ids = publish_messages(4)
    for id in (ids[0], ids[2]):
        set_message(id, headers={"moved": "yes"})

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan TO off; SET LOCAL enable_bitmapscan TO off")
        rows = starting.start_named(consumer, ids)

    assert [row.id for row in rows] == ids


@pytest.mark.parametrize("update", [succeed_each, lambda fences: renew_each(fences, timedelta(minutes=1))])
def test_who_waits_for_a_row_has_locked_none_behind_it(listen, update):
    consumer = listen()
    ids = publish_messages(3)
    fences = [row.fence for row in starting.start_named(consumer, ids)]
    # The first is the last on its page now, and in a list that goes backwards.
    set_message(ids[0], headers={"moved": "yes"})
    backwards = sorted(fences, reverse=True)

    held, goes_on = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Message.objects.select_for_update(no_key=True).get(pk=ids[1])
            held.set()
            goes_on.wait(TIMEOUT)

    with beside(hold):
        assert held.wait(TIMEOUT)
        with beside(lambda: update(backwards)) as updated:
            with pytest.raises(TimeoutError):
                updated.result(0.5)
            free = [id for id in ids if in_thread(lambda id=id: is_free(id))]
            goes_on.set()
    assert free == [ids[2]]
    assert updated.result() == set(ids)
