"""What may be saved and is hardly meant, in words for whoever has just saved it."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from awards.models import Campaign, Prize


def warn(request: HttpRequest, doubts: Iterable[str]) -> None:
    """Show each doubt above the next page."""
    for doubt in doubts:
        messages.warning(request, doubt)


def doubts_about_campaign(campaign: Campaign) -> list[str]:
    """Return what is odd about a campaign as it is saved, its prizes' own oddities left aside."""
    said = []
    if campaign.ends_at <= timezone.now():
        said.append(_("The end of the campaign is in the past, so nobody can draw."))
    if not Prize.objects.filter(campaign=campaign).exists():
        said.append(_("The campaign has no prize yet, so nobody can draw."))
    return said


def doubts_about_prize(prize: Prize) -> list[str]:
    """Return what is odd about a prize as it is saved."""
    said = []
    if not prize.weight and not prize.is_fallback:
        said.append(_("%(prize)s has the weight 0, so nobody wins it."))
    begins, ends, campaign = prize.starts_at, prize.ends_at, prize.campaign
    if (begins and begins >= campaign.ends_at) or (ends and ends <= campaign.starts_at):
        said.append(_("%(prize)s can only be won while the campaign does not run, so nobody wins it."))
    elif ends and ends <= timezone.now() < campaign.ends_at:
        said.append(_("The time in which %(prize)s can be won is over."))
    return [each % {"prize": prize.name} for each in said]
