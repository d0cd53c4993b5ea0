"""What the tests of claims begin with: an award that waits for its winner, an address, and time that is over."""

import uuid
from datetime import timedelta

from django.db.models.functions import Now

from awards.claims.claiming import Recipient
from awards.models import Award, Prize
from outbox import Message
from tests.awards.given import a_campaign, a_draw, a_gift

ANNA = Recipient(
    name="Anna Seltsam",
    street="Lindenallee 7",
    postcode="04109",
    city="Leipzig",
    country="Germany",
    phone="+49 341 998877",
)
FORM = {field: getattr(ANNA, field) for field in ("name", "street", "postcode", "city", "country", "phone")}
PERSONAL = ("anna.seltsam@example.com", "Seltsam", "Lindenallee", "04109", "998877")
"""What must be nowhere once she is forgotten."""


def a_claimable(person: str = PERSONAL[0], *, stock: int | None = 3, **rules) -> Award:
    """Return an award of a gift that is to be claimed within 7 days."""
    campaign = a_campaign(f"raffle-{uuid.uuid4()}", **rules)
    a_gift(campaign, stock=stock, claim_days=7)
    return a_draw(campaign, person).award


def let_time_pass(award: Award, by: timedelta = timedelta(0)) -> None:
    """Let the award's time be over in so long, or at once, and the message that says so be due."""
    Award.objects.filter(pk=award.pk).update(claim_until=Now() + by)
    Message.objects.filter(key=str(award.pk), topic="award.claim.due").update(not_before=Now(), due_at=Now())
    award.refresh_from_db()


def stock_of(award: Award) -> int | None:
    return Prize.objects.values_list("stock", flat=True).get(pk=award.prize_id)
