"""Entitlements by the list: parts of a list are written by workers, and the import says how far they have come."""

from collections.abc import Sequence
from datetime import datetime

from django.db import router, transaction
from django.db.models import F

from awards.models import Campaign, Entitlement, EntitlementImport, ImportPart
from outbox import Draft, publish_many

TOPIC = "entitlements.listed"
LINES_IN_A_PART = 1_000


def begin_import(
    campaign: Campaign, entries: Sequence[tuple[str, str]], *, actor: str, expires_at: datetime | None
) -> EntitlementImport:
    """Keep the list and have workers write it, each entry as (person, source); return the import.

    The messages name the parts alone, so no person stands in them.
    """
    with transaction.atomic(using=router.db_for_write(EntitlementImport)):
        begun = EntitlementImport.objects.create(
            campaign=campaign, actor=actor, expires_at=expires_at, lines=len(entries)
        )
        parts = ImportPart.objects.bulk_create(
            ImportPart(part_of=begun, lines=list(entries[start : start + LINES_IN_A_PART]))
            for start in range(0, len(entries), LINES_IN_A_PART)
        )
        publish_many([Draft(TOPIC, key=part.pk, payload={"import": begun.pk}) for part in parts])
    return begun


def write_part(part_id: int) -> None:
    """Write the entitlements of a part that are not there yet, and count them. Call it inside a transaction.

    The part is locked first: whoever is forgotten at this moment stands in it by another name, or is renamed later.
    """
    locked = ImportPart.objects.select_for_update(of=("self",)).select_related("part_of")
    part = locked.filter(pk=part_id).first()
    if part is None:
        return  # its campaign was deleted
    listed = part.part_of
    sources = [source for _person, source in part.lines]
    mine = Entitlement.objects.filter(campaign=listed.campaign_id, source__in=sources)
    before = mine.count()
    Entitlement.objects.bulk_create(
        (
            Entitlement(
                campaign_id=listed.campaign_id,
                person=person,
                source=source,
                given_by=listed.actor,
                expires_at=listed.expires_at,
            )
            for person, source in part.lines
        ),
        ignore_conflicts=True,
    )
    added = mine.count() - before
    EntitlementImport.objects.filter(pk=listed.pk).update(done=F("done") + len(sources), added=F("added") + added)
    part.delete()
