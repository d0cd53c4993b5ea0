"""One row that finds the world down for days never opens the breaker; it asks less and less and leaves few rows."""

from datetime import timedelta

import pytest
from django.db.models import F

from outbox.delivery import chunks
from outbox.models import Attempt, ConsumerState, Message
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_it_asks_less_and_less_spends_no_try_and_leaves_a_handful_of_rows(listen):
    listen()
    id = publish_message(do="unavailable")
    waits = []

    for _ in range(50):
        chunks.deliver("test.till", [id])
        row = Message.objects.get(pk=id)
        last = Attempt.objects.filter(message=id).latest("id")
        waits.append(round((row.not_before - last.ended_at).total_seconds()))
        let_pass(timedelta(seconds=31), id)
        Attempt.objects.update(ended_at=F("ended_at") - timedelta(seconds=31))

    row = Message.objects.get(pk=id)
    assert waits[:5] == [5, 10, 20, 30, 30]
    assert set(waits[5:]) == {30}
    assert (row.attempts, row.attempt_limit) == (50, 53)
    assert Attempt.objects.count() <= 22
    assert Attempt.objects.order_by("id").first().number == 1
    assert not ConsumerState.objects.open().exists()
