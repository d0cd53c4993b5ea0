"""Forgetting a person: addresses are deleted, names become a name that says nothing, and messages are erased."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import router, transaction
from django.db.models import QuerySet

from awards.errors import PersonInUse
from awards.listeners import SALE_DRAW
from awards.models import (
    Award,
    AwardStatus,
    Block,
    Campaign,
    Claim,
    Draw,
    Entitlement,
    ImportPart,
    Participation,
    PointsAccount,
    PointsEntry,
    QueuedRefusal,
    StockChange,
)
from outbox import Message

ERASED = "erased-"
"""What names begin with that stand for nobody."""
MESSAGES_AT_ONCE = 1_000
NAMED = 10
"""Awards that an error names."""

EraseMessages = Callable[[list[int], str], None]
"""Erases what settled messages say, for good, and notes in the audit who has erased what, of whom by the new name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What there is of a person."""

    draws: int
    awards: int
    claims: int
    entitlements: int
    accounts: int
    blocks: int
    messages: list[int]

    @property
    def any(self) -> bool:
        """Whether there is anything."""
        return any([self.draws, self.awards, self.claims, self.entitlements, self.accounts, self.blocks, self.messages])


def traces_of(person: str) -> Traces:
    """Return what there is of ``person``, written as draws write it."""
    awards = Award.objects.filter(person=person)
    return Traces(
        draws=Draw.objects.filter(person=person).count(),
        awards=awards.count(),
        claims=Claim.objects.filter(award__person=person).count(),
        entitlements=Entitlement.objects.filter(person=person).count(),
        accounts=PointsAccount.objects.filter(pk=person).count(),
        blocks=Block.objects.filter(subject=person).count(),
        messages=_messages_of(person),
    )


def erase_person(person: str, *, erase_messages: EraseMessages) -> str:
    """Forget ``person`` for good, and return the name that stands in its place.

    In one transaction: addresses and blocks are deleted; draws, awards, entitlements and the account get another name;
    reasons that managers wrote are emptied; and what the messages say is erased. Figures, statuses and dates stay.
    Raises ``PersonInUse`` while an award is still to be issued or claimed, and whatever ``erase_messages`` raises.
    A draw at the same moment is waited for, or waits and is the first of somebody new.
    """
    alias = f"{ERASED}{secrets.token_hex(8)}"
    with transaction.atomic(using=router.db_for_write(Award)):
        _hold(person)
        awards = Award.objects.filter(person=person)
        if owed := list(awards.filter(status=AwardStatus.WON).values_list("public_id", flat=True)[:NAMED]):
            raise PersonInUse("still to be issued or claimed: " + ", ".join(map(str, owed)))
        messages = _messages_of(person)
        _empty_reasons(awards)
        Claim.objects.filter(award__person=person).delete()
        Block.objects.filter(subject=person).delete()
        _rename_account(person, alias)
        _rename_participations(person, alias)
        _rename_in_lists(person, alias)  # first, as what is written of them meanwhile is an entitlement
        Entitlement.objects.filter(person=person).withdraw()
        Entitlement.objects.filter(person=person).update(person=alias)
        Draw.objects.filter(person=person).update(person=alias, digest="")
        QueuedRefusal.objects.filter(person=person).update(person=alias, digest="")
        awards.update(person=alias)
        for start in range(0, max(len(messages), 1), MESSAGES_AT_ONCE):  # without a message the audit notes it as well
            erase_messages(messages[start : start + MESSAGES_AT_ONCE], alias)
    return alias


def _hold(person: str) -> None:
    """Hold back whatever would give the person an award, and wait for what is under way.

    Draws and redraws lock the person's row in their campaign. Where there is none yet, one is written, as a first draw
    at the same moment writes it as well. Operators, who may open an award again, lock the award.
    """
    campaigns = Campaign.objects.order_by("pk").values_list("pk", flat=True)
    rows = [Participation(campaign_id=campaign, person=person) for campaign in campaigns]
    Participation.objects.bulk_create(rows, ignore_conflicts=True)
    list(Participation.objects.filter(person=person).order_by("campaign").select_for_update())
    list(Award.objects.filter(person=person).order_by("pk").select_for_update(no_key=True))


def _rename_participations(person: str, alias: str) -> None:
    """Put the other name where the person has drawn, and delete what stands where they have not."""
    mine = Participation.objects.filter(person=person)
    mine.filter(draws=0).delete()
    mine.update(person=alias)


def _messages_of(person: str) -> list[int]:
    """Return the messages about the person's awards, and those by which draws of theirs waited in a queue."""
    keys = [str(pk) for pk in Award.objects.filter(person=person).values_list("pk", flat=True)]
    ours = Message.objects.filter(key__in=keys, topic__startswith="award.").values_list("pk", flat=True)
    queued = Message.objects.filter(topic=SALE_DRAW, payload__person=person).values_list("pk", flat=True)
    return sorted([*ours, *queued])


def _empty_reasons(awards: QuerySet[Award]) -> None:
    """Empty what managers wrote about the awards, there and in the book of the stock."""
    awards.exclude(reason="").update(reason="")
    for public_id in awards.values_list("public_id", flat=True):
        told = StockChange.objects.filter(reason__contains=str(public_id))
        told.update(reason=f"award {public_id}: erased")


def _rename_account(person: str, alias: str) -> None:
    """Move the account and its entries to another name; its balance stays the sum of its entries."""
    account = PointsAccount.objects.select_for_update().filter(pk=person).first()
    if account is None:
        return
    PointsAccount.objects.create(
        person=alias, balance=account.balance, debt_limit=account.debt_limit, opened_at=account.opened_at
    )
    PointsEntry.objects.filter(account_id=person).update(account_id=alias)
    account.delete()


def _rename_in_lists(person: str, alias: str) -> None:
    """Put the other name into lists of entitlements that workers have not written yet."""
    for part in ImportPart.objects.select_for_update().order_by("pk"):
        lines = _renamed(part.lines, person, alias)
        if lines != part.lines:
            ImportPart.objects.filter(pk=part.pk).update(lines=lines)


def _renamed(lines: Iterable[list[str]], person: str, alias: str) -> list[list[str]]:
    return [[alias if who == person else who, source] for who, source in lines]
