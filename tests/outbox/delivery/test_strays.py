"""Rows whose start was committed while its answer was lost: given back and done, not left for a whole lease."""

import time

import pytest
from django.db import OperationalError

from outbox.delivery import atomic, chunks
from outbox.models import Attempt
from outbox.models.sql import runs, statements
from tests.harness.messages import MessageState, effects, publish_messages, states_of
from tests.outbox.delivery.ordering import KEY, start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

FREE = MessageState("success", attempts=2, attempt_limit=4)
"""Started twice, and no try is spent."""


@pytest.fixture
def lose_answer(monkeypatch):
    """Have the answer to the first start of a kind that starts something be lost; return the ids that it started."""
    lost = []

    def of(kind):
        run = kind.run

        def then_break(self, *args, **options):
            rows = run(self, *args, **options)
            if rows and not lost:
                lost.extend(row.id for row in rows)
                raise OperationalError("the connection broke")
            return rows

        monkeypatch.setattr(kind, "run", then_break)
        return lost

    return of


@pytest.mark.parametrize("atomic", [True, False])
def test_what_a_hint_names_is_started_again_at_once(listen, lose_answer, atomic):
    listen(atomic=atomic)
    ids = publish_messages(2)
    lost = lose_answer(statements.Start)

    chunks.deliver("test.till", ids)

    assert lost
    assert [id for id, _count in effects()] == ids
    assert [state for id, state in zip(ids, states_of(ids), strict=True) if id in lost] == [FREE] * len(lost)
    assert Attempt.objects.count() == 0


def test_what_else_is_due_is_started_again_by_the_next_hint(listen, lose_answer):
    listen()
    ids = publish_messages(3)
    lost = lose_answer(statements.Start)
    chunks.deliver("test.till", [])
    assert sorted(lost) == ids

    chunks.deliver("test.till", [])

    assert states_of(ids) == [FREE] * 3
    assert Attempt.objects.count() == 0


@pytest.mark.services
def test_what_stands_behind_a_head_is_started_again_by_the_next_hint(listen, lose_answer, one_chunk):
    listen()
    ids = publish_messages(3, ordering_key=KEY)
    lost = lose_answer(runs.StartBehind)
    chunks.deliver("test.till", [ids[0]])
    assert lost == ids[1:]

    chunks.deliver("test.till", [ids[1]])

    assert [id for id, _count in effects()] == ids
    assert states_of(ids)[1] == FREE
    assert Attempt.objects.count() == 0


@pytest.mark.services
def test_what_comes_next_is_started_again_after_a_commit_whose_answer_was_lost(called, monkeypatch):
    till = called(chunk=4)
    ids = publish_messages(6, ordering_key=KEY)
    run = start(till, [ids[0]], room=3)
    commit, lost = atomic._in_one_transaction, []

    def lose_the_answer(*args, **options):
        lost.append(commit(*args, **options))
        monkeypatch.setattr(atomic, "_in_one_transaction", commit)
        raise OperationalError("the connection broke")

    monkeypatch.setattr(atomic, "_in_one_transaction", lose_the_answer)
    chunks.deliver_together(till, run, go_on_until=time.monotonic() + 60)
    assert [row.id for row in lost[0].following] == ids[4:]

    chunks.deliver("test.till", [ids[4]])

    assert called.ids == ids
    assert states_of(ids[4:]) == [FREE] * 2
    assert Attempt.objects.count() == 0
