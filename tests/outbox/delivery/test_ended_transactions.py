"""What a handler has committed by itself is settled even if the database goes away in between."""

import pytest
from django.db import connection

from outbox.delivery import chunks
from outbox.models import Message
from outbox.models.sql import statements
from tests.harness.messages import effects, publish_messages, state_of
from tests.harness.threads import backend, terminate
from tests.shop.consumers import leave_effect

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]


@pytest.fixture
def session_ends_before(monkeypatch):
    """Return a function after which one call of a statement of ours meets a session that has just been ended."""
    ended = []

    def end_before(name):
        ask = getattr(statements, name)

        def end_then_ask(*args, **kwargs):
            if armed and name not in ended:
                ended.append(name)
                terminate(backend())
            return ask(*args, **kwargs)

        monkeypatch.setattr(statements, name, end_then_ask)

    armed = []
    end_before.armed, end_before.ended = armed, ended
    return end_before


def test_rows_before_a_foreign_commit_have_one_effect_though_sessions_end_before_they_are_settled(
    listen, session_ends_before
):
    def handler(message):
        leave_effect(message)
        if message.pk == ids[2]:
            with connection.cursor() as cursor:
                cursor.execute("COMMIT")
            session_ends_before.armed.append(True)

    listen(handler)
    ids = publish_messages(5)
    for name in ("was_committed", "lock", "succeed"):
        session_ends_before(name)

    chunks.deliver("test.till", ids)

    assert sorted(session_ends_before.ended) == ["lock", "succeed", "was_committed"]
    assert effects() == [(id, 1) for id in ids]
    assert state_of(ids[2]).reason == "ended_transaction"
    assert set(Message.objects.exclude(pk=ids[2]).values_list("status", "attempts")) == {("success", 1)}
