"""A person is forgotten by one command: nothing of her is left in any table, and the audit says that it was done."""

import re
from collections.abc import Iterator
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from awards.claims.claiming import claim
from awards.models import Award, AwardStatus, Block, Claim, Draw, Entitlement, PointsAccount, PointsEntry
from awards.services.revoking import revoke
from outbox import Message, operate
from outbox.models import AuditEntry, HandledAs
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, PERSONAL, a_claimable
from tests.awards.clients.given import a_closed_campaign, an_entitlement
from tests.awards.given import a_campaign, a_draw, a_gift, message_of, points
from tests.awards.test_closed_by_hand import discard, fail

pytestmark = pytest.mark.django_db(transaction=True)

WHO = PERSONAL[0]


def erase(person: str = WHO, *, yes: bool = True) -> str:
    out = StringIO()
    call_command("erase_person", person, reason="letter 12", actor="ada", yes=yes, stdout=out)
    return out.getvalue()


def rows() -> Iterator[tuple[str, str]]:
    """Yield every row of every table, as text."""
    for model in apps.get_models():
        for row in model._base_manager.using("default").values():
            yield model.__name__, str(row)


def where_she_is() -> list[str]:
    words = re.compile("|".join(rf"\b{re.escape(secret)}\b" for secret in PERSONAL))  # not digits amid a digest
    return [f"{table}: {row}" for table, row in rows() if words.search(row)]


def much_of_her(vendor) -> None:
    """Let her have a gift that was claimed, points, an entitlement, a block, a revoked award, and one ended by hand."""
    claim(a_claimable(WHO), ANNA)
    campaign = a_campaign("points")
    points(campaign, 50, stock=3)
    for turn in range(2):
        a_draw(campaign, WHO, request_id=f"points-{turn}")
    deliver_pending(ignore_waits=True)
    taken = Award.objects.select_related("prize__campaign").filter(kind="points").first()
    revoke(taken, actor="ada", reason="Seltsam asked for it", restock=True)
    by_hand = a_campaign("by-hand")
    a_gift(by_hand, stock=1)
    failed = fail(a_draw(by_hand, WHO).award)
    operate.mark_handled(
        failed.pk,
        revision=failed.revision,
        actor="ada",
        reason="sent to Lindenallee",
        outcome=HandledAs.COMPENSATED,
        evidence="to Anna Seltsam",
    )
    deliver_pending(ignore_waits=True)
    an_entitlement(a_closed_campaign("earned"), WHO)
    Block.objects.create(kind="person", subject=WHO, reason="Seltsam draws too much", blocked_by="ada")


def test_nothing_of_her_is_left_in_any_table_and_the_figures_stay(vendor):
    much_of_her(vendor)
    before = (Draw.objects.count(), Award.objects.count(), PointsEntry.objects.count(), Message.objects.count())
    balance = PointsAccount.objects.get().balance

    said = erase()

    assert where_she_is() == []
    assert (Draw.objects.count(), Award.objects.count(), PointsEntry.objects.count(), Message.objects.count()) == before
    assert not Claim.objects.exists()
    assert not Entitlement.objects.usable().exists()
    account = PointsAccount.objects.get()
    assert account.balance == balance == sum(account.pointsentry_set.values_list("points", flat=True))
    assert account.person.startswith("erased-")
    assert account.person in said


def test_the_audit_proves_that_she_was_forgotten_and_by_whom(vendor):
    much_of_her(vendor)

    erase()

    proof = AuditEntry.objects.get(action="erase")
    assert (proof.actor, proof.reason) == ("ada", "letter 12")
    assert proof.subject.startswith(PointsAccount.objects.get().person)
    call_command("outbox_audit", stderr=StringIO())


def test_of_whom_there_is_no_message_the_audit_notes_it_as_well(vendor):
    an_entitlement(a_closed_campaign("earned"), WHO)

    erase()

    proof = AuditEntry.objects.get(action="erase")
    assert (proof.actor, proof.reason) == ("ada", "letter 12")
    assert proof.subject == f"{Entitlement.objects.get().person}: 0 messages"
    assert where_she_is() == []
    call_command("outbox_audit", stderr=StringIO())


def test_without_yes_nothing_is_erased_and_it_says_what_there_is(vendor):
    much_of_her(vendor)
    before = list(rows())

    said = erase(yes=False)

    assert "1 address, 1 entitlement, 1 points account, 1 block" in said
    assert list(rows()) == before


def test_who_still_waits_for_a_prize_is_not_forgotten(vendor):
    award = a_claimable(WHO)

    with pytest.raises(CommandError, match=f"still to be issued or claimed: {award.public_id}"):
        erase()

    assert Award.objects.get().person == WHO


def test_who_has_a_message_at_the_desk_is_not_half_forgotten(vendor):
    campaign = a_campaign()
    a_gift(campaign, stock=1)
    award = a_draw(campaign, WHO).award
    fail(award)
    Award.objects.update(status="revoked")

    with pytest.raises(CommandError, match="The message is not settled yet"):
        erase()

    assert Draw.objects.get().person == WHO


@pytest.mark.parametrize("claimed", [True, False])
def test_a_gift_that_is_opened_again_is_not_sent_to_who_was_forgotten(vendor, claimed):
    if claimed:
        award = a_claimable(WHO)
        claim(award, ANNA)
    else:
        campaign = a_campaign()
        a_gift(campaign, stock=1)
        award = a_draw(campaign, WHO).award
    discard(award)
    deliver_pending(ignore_waits=True)
    erase()
    message = message_of(award)

    operate.reopen(message.pk, revision=message.revision, actor="ada", reason="a mistake")
    operate.retry(message.pk, revision=message_of(award).revision, actor="ada", reason="a mistake")
    deliver_pending("awards.order_gift")

    assert vendor.book.everything() == []
    assert "its winner was forgotten" in message_of(award).last_error
    assert Award.objects.get().status == AwardStatus.WON


def test_who_never_drew_is_told_so():
    with pytest.raises(CommandError, match="there is nothing of this person"):
        erase("nobody")
