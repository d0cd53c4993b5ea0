"""What can be read page by page: campaigns, and the draws, awards and points of a person. Each page costs the same."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from awards.models import Award, Campaign, Draw, PointsAccount, PointsEntry

PER_PAGE = 50
Row = TypeVar("Row", bound=Model)


def campaigns(after: Campaign | None) -> tuple[list[Campaign], bool]:
    """Return a page of campaigns with the database's time, and whether there are more."""
    return _page(Campaign.objects.with_clock(), after)


def draws(person: str, campaign: Campaign | None, after: Draw | None) -> tuple[list[Draw], bool]:
    """Return a page of a person's draws with what they won, and whether there are more."""
    found = Draw.objects.with_award().filter(person=person)
    return _page(found.filter(campaign=campaign) if campaign else found, after)


def awards(person: str, campaign: Campaign | None, after: Award | None) -> tuple[list[Award], bool]:
    """Return a page of a person's awards with what issuing left behind, and whether there are more."""
    found = Award.objects.filter(person=person).select_related(
        "prize__campaign", "pointsentry", "vendororder", "coupon"
    )
    return _page(found.filter(prize__campaign=campaign) if campaign else found, after)


def points(person: str, after: PointsEntry | None) -> tuple[int, list[PointsEntry], bool]:
    """Return a person's balance, a page of the account's lines, and whether there are more."""
    balance = PointsAccount.objects.filter(pk=person).values_list("balance", flat=True).first() or 0
    lines = PointsEntry.objects.filter(account=person).select_related("award", "takes_back__award")
    return (balance, *_page(lines, after))


def _page(rows: QuerySet[Row], after: Row | None) -> tuple[list[Row], bool]:
    newest = rows.order_by("-pk")
    found = list((newest.filter(pk__lt=after.pk) if after else newest)[: PER_PAGE + 1])
    return found[:PER_PAGE], len(found) > PER_PAGE
