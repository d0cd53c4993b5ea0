"""Giving people rights to draw."""

from datetime import datetime

from django.db import IntegrityError, router, transaction

from awards.errors import SourceTaken
from awards.models import Campaign, Entitlement
from awards.persons import identity


def give(
    campaign: Campaign, *, person: str, source: str, given_by: str, expires_at: datetime | None = None
) -> tuple[Entitlement, bool]:
    """Give ``person`` the right to one draw that ``source`` has earned; return it, and whether it is new.

    The same source again in this campaign gives nothing more. Raises ``InvalidPerson``, and ``SourceTaken`` if it has
    earned somebody else's.
    """
    person = identity(person, ignores_tags=campaign.ignores_tags)
    try:
        with transaction.atomic(using=router.db_for_write(Entitlement)):
            given = Entitlement.objects.create(
                campaign=campaign, person=person, source=source, given_by=given_by, expires_at=expires_at
            )
    except IntegrityError:
        known = Entitlement.objects.filter(campaign=campaign, source=source).first()
        if known is None:
            raise
        known.campaign = campaign
        if known.person != person:
            raise SourceTaken(f"{source!r} has earned an entitlement for somebody else") from None
        return known, False
    return given, True
