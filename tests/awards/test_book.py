"""The book of awards balances whatever becomes of them, and finds what went around the outbox."""

from datetime import timedelta

import pytest
from django.utils import timezone

from awards.claims.claiming import claim
from awards.models import Award, AwardStatus
from awards.services.revoking import revoke
from outbox.books.declaring import get_book
from outbox.books.keeping import read_book
from outbox.models import BookDifference, Message
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, a_claimable, let_time_pass
from tests.awards.given import a_campaign, a_draw, points

pytestmark = pytest.mark.django_db(transaction=True)


def grow_old() -> None:
    """Let all of it have happened two hours ago: what is younger than a minute does not count yet."""
    ago = timezone.now() - timedelta(hours=2)
    Award.objects.update(won_at=ago)
    Message.objects.update(created_at=ago)
    Message.objects.filter(finished_at__isnull=False).update(started_at=ago, finished_at=ago)


def differences() -> set[tuple[str, str]]:
    """Read the book from its beginning, and return what differs now."""
    grow_old()
    book = get_book("awards")
    read_book(book)
    read_book(book, since=timezone.now() - timedelta(days=1))
    return set(BookDifference.objects.filter(gone_at__isnull=True).values_list("kind", "key"))


def test_it_balances_before_and_after_a_claim_an_expiry_and_a_revocation(vendor) -> None:
    campaign = a_campaign()
    points(campaign)
    issued, revoked = (a_draw(campaign, f"{name}@example.com").award for name in ("ada", "bob"))
    waiting, claimed, expired = (a_claimable(f"{name}@example.com") for name in ("cleo", "dan", "eve"))
    revoke(revoked, actor="mia", reason="a test")
    claim(claimed, ANNA)
    let_time_pass(expired)

    deliver_pending()

    assert {award.status for award in Award.objects.filter(pk__in=[issued.pk, claimed.pk])} == {AwardStatus.ISSUED}
    assert Award.objects.get(pk=expired.pk).status == AwardStatus.EXPIRED
    assert Award.objects.get(pk=waiting.pk).status == AwardStatus.WON
    assert differences() == set()


def test_an_award_that_was_written_around_the_outbox_is_found() -> None:
    campaign = a_campaign()
    points(campaign)
    award = a_draw(campaign, "ada@example.com").award
    Message.objects.filter(key=str(award.pk)).delete()

    assert differences() == {("no_message", str(award.pk))}
