"""Pruning where a host's own models have foreign keys to ours: Django's rules hold, and nothing stops it for ever."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

from outbox.maintenance.pruning import Pruned, prune
from outbox.models import Attempt, Heartbeat, Message
from tests.harness.clock import database_time
from tests.harness.rows import attempt, sales

pytestmark = pytest.mark.usefixtures("transactional_db")

LONG_AGO = timedelta(days=31)


@pytest.fixture
def host_model(transactional_db: None) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a host's model with a foreign key to ours, and its table."""
    made: list[Any] = []

    def make(on_delete: Any, *, to: str = "outbox.Message", name: str = "Note", **options: Any) -> Any:
        key = models.ForeignKey(to, on_delete, related_name="+", **options)
        meta = type("Meta", (), {"app_label": "shop"})
        model = type(name, (models.Model,), {"of": key, "Meta": meta, "__module__": __name__})
        with connection.schema_editor() as editor:
            editor.create_model(model)
        made.append(model)
        return model

    yield make
    for model in reversed(made):
        with connection.schema_editor() as editor:
            editor.delete_model(model)
        del apps.all_models["shop"][model._meta.model_name]
    apps.clear_cache()


def old_messages(many: int) -> list[Message]:
    return [sales.success(at=database_time() - LONG_AGO) for _ in range(many)]


def left() -> set[int]:
    return set(Message.objects.values_list("pk", flat=True))


def test_rows_that_cascade_go_with_the_message(host_model):
    note = host_model(models.CASCADE)
    first, _second = old_messages(2)
    attempt(first, outcome="failed", at=database_time())
    note.objects.create(of=first)

    assert prune() == Pruned(2, more=False)
    assert (left(), note.objects.count(), Attempt.objects.count()) == (set(), 0, 0)


def test_rows_that_are_set_to_null_stay_without_it(host_model):
    note = host_model(models.SET_NULL, null=True)
    [one] = old_messages(1)
    note.objects.create(of=one)

    assert prune() == Pruned(1, more=False)
    assert list(note.objects.values_list("of", flat=True)) == [None]


@pytest.mark.parametrize("on_delete", [models.PROTECT, models.RESTRICT])
def test_a_protected_message_is_kept_and_said_and_all_others_go(host_model, caplog, on_delete):
    note = host_model(on_delete)
    messages = old_messages(5)
    note.objects.create(of=messages[1])

    assert prune() == Pruned(4, more=False, protected=1)
    assert left() == {messages[1].pk}
    assert Heartbeat.objects.get(name="prune").data == {"messages": 4, "protected": 1}
    assert "1 old messages are kept, as rows of other apps protect them" in caplog.text
    assert prune() == Pruned(0, more=False, protected=1)


def test_a_message_that_is_protected_by_a_row_of_a_row_is_kept_and_all_others_go(host_model):
    note = host_model(models.CASCADE)
    remark = host_model(models.PROTECT, to="shop.Note", name="Remark")
    messages = old_messages(5)
    remark.objects.create(of=note.objects.create(of=messages[3]))

    assert prune() == Pruned(4, more=False, protected=1)
    assert left() == {messages[3].pk}


@pytest.mark.services
def test_a_message_that_only_the_database_protects_is_kept_and_all_others_go(host_model):
    note = host_model(models.DO_NOTHING)
    messages = old_messages(5)
    note.objects.create(of=messages[0])

    assert prune() == Pruned(4, more=False, protected=1)
    assert left() == {messages[0].pk}


def test_more_protected_messages_than_a_batch_do_not_stop_the_others(host_model, monkeypatch):
    monkeypatch.setattr("outbox.maintenance.pruning.MESSAGE_BATCH", 2)
    note = host_model(models.RESTRICT)
    messages = old_messages(7)
    for one in messages[:5]:
        note.objects.create(of=one)

    prune()

    assert left() == {one.pk for one in messages[:5]}


def test_rows_that_hang_on_an_attempt_go_with_it(host_model):
    note = host_model(models.CASCADE, to="outbox.Attempt")
    [one] = old_messages(1)
    note.objects.create(of=attempt(one, outcome="failed", at=database_time()))

    assert prune() == Pruned(1, more=False)
    assert note.objects.count() == 0
