"""How long a message is of use, and what becomes of one that is not any more."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from outbox import publish
from outbox.errors import InvalidMessage
from outbox.maintenance import rescan
from outbox.models import Attempt, Message
from tests.harness.clock import let_pass

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

MINUTE = timedelta(minutes=1)


def publish_within(**spans):
    with transaction.atomic():
        [id] = publish("test.sold", key="one", payload={}, **spans)
    return Message.objects.get(pk=id)


def test_the_consumers_deadline_counts_from_when_a_message_may_be_started(listen):
    listen(deadline=10 * MINUTE)

    message = publish_within(delay=30 * MINUTE)

    assert message.expires_at - message.not_before == 10 * MINUTE


def test_within_counts_from_publishing(listen):
    listen(deadline=10 * MINUTE)

    message = publish_within(delay=MINUTE, within=3 * MINUTE)

    assert message.expires_at - message.created_at == 3 * MINUTE


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ({"delay": MINUTE, "within": MINUTE}, "is over before the delay"),
        ({"within": timedelta(0)}, "greater than zero"),
        ({"within": 5}, "greater than zero"),
        ({"within": timedelta.max}, "up to 3650 days"),
        ({"delay": timedelta.max}, "from zero to 3650 days"),
    ],
)
def test_spans_that_cannot_be_meant_are_refused(listen, spans, said):
    listen()

    with pytest.raises(InvalidMessage, match=said):
        publish_within(**spans)


def test_what_is_overdue_and_was_never_called_is_closed_and_is_no_work(listen, link):
    listen(overdue="discard")
    message = publish_within(within=MINUTE)
    let_pass(2 * MINUTE, message.pk)

    rescan.rescan()

    message.refresh_from_db()
    assert (message.status, message.resolution, message.reason) == ("failed", "overdue", "expired")
    assert message.exhausted_at is None


def test_what_is_overdue_and_may_have_acted_is_work_for_a_person(listen, link):
    listen(overdue="discard", atomic=False)
    message = publish_within(within=MINUTE)
    Message.objects.filter(pk=message.pk).update(
        status="started", attempts=1, started_at=Now(), lease_until=Now() - MINUTE
    )
    let_pass(2 * MINUTE, message.pk)

    rescan.rescan()
    rescan.rescan()

    message.refresh_from_db()
    assert (message.status, message.resolution) == ("failed", "")
    assert message.exhausted_at is not None


def test_what_is_overdue_and_was_tried_before_is_work_for_a_person(listen, link):
    listen(overdue="discard", atomic=False)
    message = publish_within(within=MINUTE)
    Message.objects.filter(pk=message.pk).update(attempts=1)
    Attempt.objects.create(message=message, number=1, outcome="failed")
    let_pass(2 * MINUTE, message.pk)

    rescan.rescan()

    message.refresh_from_db()
    assert (message.status, message.resolution) == ("failed", "")


def test_as_a_rule_what_is_overdue_fails_visibly(listen, link):
    listen()
    message = publish_within(within=MINUTE)
    let_pass(2 * MINUTE, message.pk)

    rescan.rescan()

    message.refresh_from_db()
    assert (message.status, message.resolution, message.reason) == ("failed", "", "expired")


def test_what_is_closed_as_overdue_lets_the_next_of_its_key_go_on(listen, link, dispatched):
    listen(overdue="discard")
    with transaction.atomic():
        [first] = publish("test.sold", key="first", payload={}, within=MINUTE, ordering_key="k")
    with transaction.atomic():
        [later] = publish("test.sold", key="later", payload={}, ordering_key="k")
    let_pass(2 * MINUTE, first)

    rescan.rescan()

    assert Message.objects.get(pk=first).resolution == "overdue"
    assert [hint.ids for hint in link.sent] == [(later,)]


@pytest.mark.parametrize("path", ["{id}/change/", "?tab=overdue", "?tab=all"])
def test_what_is_closed_as_overdue_has_its_place_at_the_desk(listen, link, admin_client, path):
    listen(overdue="discard")
    message = publish_within(within=MINUTE)
    let_pass(2 * MINUTE, message.pk)
    rescan.rescan()

    page = admin_client.get(f"/admin/outbox/message/{path.format(id=message.pk)}")

    assert page.status_code == 200
    assert "Overdue" in page.content.decode()
