"""What the operators' desk is told about our messages: which award, who won it, and what has come of it."""

from collections.abc import Mapping, Sequence

from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from awards.admin.exact_search import awards_meant_by
from awards.channels.mail import address_of
from awards.listeners import CLAIMABLE_TOLD_BY, TOLD_BY
from awards.models import Award
from awards.persons import mask
from awards.selectors import awards as selectors
from outbox import Message
from outbox.admin import Description, Fact, admin_url, describe, find

SIGN_LENGTH = 3


@describe("award.#")
def describe_awards(messages: Sequence[Message]) -> Mapping[int, Description]:
    """Describe a page of messages with one query. The winner is masked; the award's own page has the full name."""
    awards = selectors.awards_by_key(message.key for message in messages)
    return {message.pk: _description(awards[message.key], message) for message in messages if message.key in awards}


def _description(award: Award, message: Message) -> Description:
    address = admin_url("awards_award_change", award.pk)
    winner = mask_text(award.person)
    return Description(
        label=f"{award.prize.name} · {winner}",
        url=address,
        facts=[
            Fact(_("Award"), str(award.public_id), address),
            Fact(_("Person"), winner),
            Fact(_("Prize"), award.prize.name, admin_url("awards_campaign_change", award.prize.campaign_id)),
            Fact(_("Value"), f"{award.value:.2f}"),
            Fact(_("Status"), award.get_status_display()),
        ],
        results=[
            *_points(award),
            *_order_fact(award),
            *_coupon_fact(award),
            *_claim_fact(award),
            *_by_hand_fact(award),
            *_mail_fact(award, message),
        ],
    )


def _points(award: Award) -> list[Fact]:
    entry = getattr(award, "pointsentry", None)
    if entry is None:
        return []
    return [Fact(_("Points credited"), str(entry.points), admin_url("awards_pointsentry_change", entry.pk))]


def _order_fact(award: Award) -> list[Fact]:
    order = getattr(award, "vendororder", None)
    if order is None:
        return []
    return [Fact(_("Vendor's order"), order.number, admin_url("awards_vendororder_change", order.pk))]


def _coupon_fact(award: Award) -> list[Fact]:
    coupon = getattr(award, "coupon", None)
    if coupon is None:
        return []
    return [Fact(_("Coupon"), coupon.masked, admin_url("awards_coupon_change", coupon.pk))]


def _claim_fact(award: Award) -> list[Fact]:
    """Say whether an award that must be claimed was claimed, and roughly to where it goes."""
    if award.claim_until is None:
        return []
    claim = getattr(award, "claim", None)
    if claim is not None:
        return [Fact(_("Claimed"), claim.masked, admin_url("awards_claim_change", claim.pk))]
    return [Fact(_("Claimed"), _("no"))]


def _by_hand_fact(award: Award) -> list[Fact]:
    """Say what an operator has made of the award, and where its piece is."""
    if not award.closed_from:
        return []
    stock = [_("its piece is back in stock")] if award.stock_returned else []
    return [Fact(_("By hand"), ", ".join([award.get_status_display(), *stock]))]


def _mail_fact(award: Award, message: Message) -> list[Fact]:
    """Say why a message to the winner is a success although nobody got a mail."""
    if message.consumer not in (TOLD_BY, CLAIMABLE_TOLD_BY) or address_of(award.person):
        return []
    return [Fact(_("Mail"), _("none; the winner gave a name and no e-mail address"))]


@find("award.#")
def find_awards(text: str) -> list[int]:
    """Return the awards that somebody means by an award's number, a vendor's order or a person, the newest first."""
    return awards_meant_by(text)


def mask_text(person: str) -> str:
    """Return a name or an e-mail address of which only the first letter and the domain can be read.

    The sign at the end tells one person from another with the same letter. Nobody can work out the person from it: it
    is short, and made with the project's secret.
    """
    sign = salted_hmac("awards.mask", person).hexdigest()[:SIGN_LENGTH]
    return f"{mask(person)} #{sign}"
