"""One event, many systems; and an award that two want to change is changed by one."""

import pytest
from django.db import transaction
from django.db.models import F

from awards.models import Award, AwardStatus
from outbox import Message, Reject, consumer, registry
from outbox.testing import deliver_pending
from tests.awards.given import LISTENERS, a_campaign, a_draw, a_gift, an_award_of_points, points

pytestmark = pytest.mark.django_db


@pytest.fixture
def newcomers():
    """Two systems that nobody has heard of so far: one for every award, one that fails, for points alone."""
    heard = []

    @consumer("award.#", name="loyalty.hear")
    def hear(message: Message) -> None:
        heard.append((message.topic, message.key, message.payload["prize"]))

    @consumer("award.won.points", name="loyalty.refuse")
    def refuse(_message: Message) -> None:
        raise Reject("we have no room")

    yield heard
    registry.forget_consumer("loyalty.hear")
    registry.forget_consumer("loyalty.refuse")


def test_a_consumer_is_added_and_nothing_else_is_changed(newcomers):
    campaign = a_campaign()
    points(campaign, 50, weight=1)
    award = a_draw(campaign, "anna").award

    deliver_pending(ignore_waits=True)

    told = Message.objects.filter(key=str(award.pk)).values_list("consumer", "status")
    assert newcomers == [("award.won.points", str(award.pk), "50 points")]
    assert dict(told) == {
        "awards.issue_points": "success",
        **dict.fromkeys(LISTENERS, "success"),
        "loyalty.hear": "success",
        "loyalty.refuse": "failed",
    }
    assert Award.objects.get().status == AwardStatus.ISSUED


def test_a_topic_reaches_those_who_asked_for_it_and_nobody_else(newcomers):
    campaign = a_campaign()
    a_gift(campaign, stock=1)
    award = a_draw(campaign, "anna").award

    reached = set(Message.objects.filter(key=str(award.pk)).values_list("consumer", flat=True))

    assert reached == {"awards.order_gift", *LISTENERS, "loyalty.hear"}


@pytest.mark.parametrize("act", ["issue", "revoke"])
def test_an_award_that_was_changed_since_it_was_read_is_left_alone_though_it_still_waits(act):
    read = an_award_of_points()
    Award.objects.update(version=F("version") + 1)

    with transaction.atomic():
        done = getattr(Award.objects, act)(read)

    now = Award.objects.get()
    assert not done
    assert (now.status, now.version, now.issued_at) == (AwardStatus.WON, 2, None)


@pytest.mark.parametrize(("first", "second", "left"), [("issue", "revoke", "issued"), ("revoke", "issue", "revoked")])
def test_of_two_who_read_the_same_award_one_changes_it(first, second, left):
    award = an_award_of_points()
    mine, theirs = Award.objects.get(pk=award.pk), Award.objects.get(pk=award.pk)

    done = [getattr(Award.objects, first)(mine), getattr(Award.objects, second)(theirs)]

    now = Award.objects.get()
    assert done == [True, False]
    assert (now.status, now.version) == (left, 2)
