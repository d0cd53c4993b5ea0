"""Closed by hand, neither an expiry nor a redraw leaves an award that waits for ever, or a piece that is nowhere."""

from decimal import Decimal

import pytest

from awards.models import Award, AwardStatus, Campaign, Draw
from awards.services.revoking import revoke
from outbox import Message, operate
from outbox.delivery import chunks
from outbox.errors import NotAllowed
from outbox.models import HandledAs
from outbox.testing import deliver_pending
from tests.awards.claims.given import a_claimable, let_time_pass, stock_of
from tests.awards.given import Sequence, a_campaign, a_draw

pytestmark = pytest.mark.django_db(transaction=True)


def give_up(message: Message) -> Message:
    """Let the machine give up on a message."""
    at = message.created_at
    Message.objects.filter(pk=message.pk).update(
        status="failed",
        attempts=message.attempt_limit,
        started_at=at,
        finished_at=at,
        exhausted_at=at,
        lease_until=None,
    )
    return message


def a_failed_expiry() -> tuple[Award, Message]:
    """Return an award whose time is over, and the message on which the machine has given up."""
    award = a_claimable(stock=3)
    let_time_pass(award)
    due = Message.objects.get(topic="award.claim.due", key=str(award.pk))
    return award, give_up(due)


def a_failed_redraw() -> tuple[Award, Message]:
    """Return an expired award in a campaign that redraws, and the message on which the machine has given up."""
    award = a_claimable(stock=3, redraws_expired=True, losing_weight=5, budget_money=Decimal(100))
    let_time_pass(award)
    deliver_pending("awards.expire_claim")
    return award, give_up(Message.objects.get(topic="award.redraw"))


def discard(message: Message) -> Message:
    return operate.discard(message.pk, revision=message.revision, actor="ada", reason="a test")


def withdraw(message: Message) -> Message:
    return operate.withdraw(message.pk, revision=message.revision, actor="ada", reason="a test")


def handle(message: Message) -> Message:
    told = {"outcome": HandledAs.NOT_DUE, "evidence": "by phone"}
    return operate.mark_handled(message.pk, revision=message.revision, actor="ada", reason="a test", **told)


@pytest.mark.parametrize("close", [discard, handle])
def test_an_award_is_not_left_waiting_for_ever(close):
    award, due = a_failed_expiry()

    with pytest.raises(NotAllowed, match=f"award {award.public_id} still waits for its winner"):
        close(due)

    due.refresh_from_db()
    assert (due.resolution, due.exhausted_at is None) == ("", False)
    operate.retry(due.pk, revision=due.revision, actor="ada", reason="mended")
    chunks.deliver("awards.expire_claim", [due.pk])
    award.refresh_from_db()
    assert (award.status, stock_of(award)) == (AwardStatus.EXPIRED, 3)


def test_what_would_expire_an_award_is_not_withdrawn_at_the_desk():
    award = a_claimable(stock=3)
    due = Message.objects.get(topic="award.claim.due", key=str(award.pk))

    with pytest.raises(NotAllowed, match=f"award {award.public_id} still waits for its winner"):
        withdraw(due)

    due.refresh_from_db()
    assert (due.status, due.resolution) == ("pending", "")


def test_a_redraw_that_is_withdrawn_puts_its_piece_back():
    award = a_claimable(stock=3, redraws_expired=True, losing_weight=5, budget_money=Decimal(100))
    let_time_pass(award)
    deliver_pending("awards.expire_claim")
    before = stock_of(award)

    withdraw(Message.objects.get(topic="award.redraw"))

    assert (before, stock_of(award)) == (2, 3)


def test_once_nothing_waits_it_may_be_closed_and_opened_again():
    award, due = a_failed_expiry()
    revoke(Award.objects.select_related("prize__campaign").get(pk=award.pk), actor="ada")

    closed = discard(due)

    assert closed.resolution == "discarded"
    operate.reopen(due.pk, revision=closed.revision, actor="ada", reason="a mistake")
    due.refresh_from_db()
    assert due.resolution == ""


@pytest.mark.parametrize("close", [discard, handle])
def test_a_piece_for_which_nobody_is_drawn_any_more_is_in_stock_again_and_not_spent(close):
    award, message = a_failed_redraw()
    assert (stock_of(award), Campaign.objects.get().spent_money) == (2, award.value)

    closed = close(message)

    assert (stock_of(award), Campaign.objects.get().spent_money) == (3, 0)
    with pytest.raises(NotAllowed, match="the piece is back in stock"):
        operate.reopen(message.pk, revision=closed.revision, actor="ada", reason="a mistake")
    assert stock_of(award) == 3


@pytest.mark.parametrize("close", [discard, handle])
def test_a_piece_is_let_go_whatever_ids_the_requests_of_draws_have(close):
    award, message = a_failed_redraw()
    elsewhere = a_campaign("elsewhere")
    for campaign in award.prize.campaign, elsewhere:
        Draw.objects.create(campaign=campaign, request_id=f"redraw-{award.public_id}", person="mallory", digest="x")

    close(message)

    assert stock_of(award) == 3


def replay(message: Message) -> Message:
    return operate.replay(message.pk, revision=message.revision, actor="ada", reason="a test")


@pytest.mark.parametrize("found_somebody", [True, False])
def test_a_redraw_that_is_over_gives_nothing_and_puts_nothing_back_when_it_is_replayed(found_somebody):
    award = a_claimable(stock=3, redraws_expired=True, losing_weight=5, budget_money=Decimal(100))
    if found_somebody:
        a_draw(award.prize.campaign, "carla", luck=Sequence(0))
    let_time_pass(award)
    deliver_pending("awards.expire_claim")
    deliver_pending("awards.redraw")
    left = (stock_of(award), Campaign.objects.get().spent_money)
    a_draw(award.prize.campaign, "bertha", luck=Sequence(0))

    again = replay(Message.objects.get(topic="award.redraw"))
    deliver_pending("awards.redraw")
    again.refresh_from_db()
    refused = again.last_error
    discard(again)

    assert left == ((2, award.value) if found_somebody else (3, 0))
    assert "nobody can be drawn for it any more" in refused
    assert Draw.objects.exclude(redraw_of=None).count() == found_somebody
    assert (stock_of(award), Campaign.objects.get().spent_money) == left
