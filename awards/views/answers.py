"""What calls are answered, as the document of the API says it."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.urls import reverse
from ninja import Schema
from pydantic import Field, WithJsonSchema

from awards.models import Award, Campaign, Draw, PointsEntry, Prize

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Kinds = Literal["points", "gift", "coupon"]
Statuses = Literal["won", "issued", "revoked", "expired", "compensated", "cancelled"]
NEXT = "Give it as `after`; null: these were the last."


class PrizeOut(Schema):
    """What was won."""

    name: str
    kind: Kinds
    value: str = Field(description="Points, or what it is worth in money.", examples=["12.50"])


class WonOut(Schema):
    """The award of a draw that won."""

    id: Id
    prize: PrizeOut
    url: str = Field(description="Where to ask how the award stands.")


class DrawOut(Schema):
    """A draw, as it is answered for ever."""

    id: Id
    campaign: str
    person: str = Field(description="Who drew, as it is written down: an e-mail address in small letters.")
    outcome: Literal["won", "lost"]
    award: WonOut | None = Field(description="Null: it lost.")


class ListedDraw(DrawOut):
    """A draw in a list."""

    drawn_at: Moment


class DrawPage(Schema):
    """Draws, the newest first."""

    draws: list[ListedDraw]
    next: Id | None = Field(description=NEXT)


class LinkOut(Schema):
    """A link to draw by."""

    url: str
    expires_at: Moment


class EntitlementOut(Schema):
    """The right to a draw."""

    id: Id
    campaign: str
    person: str
    source: str
    used: bool
    link: LinkOut


class EntryOut(Schema):
    """Points that were credited."""

    points: int
    booked_at: Moment


class OrderOut(Schema):
    """What the vendor has taken."""

    number: str
    recorded_at: Moment


class CouponOut(Schema):
    """A code that was handed out; its winner sees the whole of it."""

    code: str = Field(description="The last characters.", examples=["••••ABCD"])
    issued_at: Moment


class AwardOut(Schema):
    """How an award stands, and what issuing it left behind. It does not say whose it is."""

    id: Id
    status: Statuses
    prize: PrizeOut
    won_at: Moment
    issued_at: Moment | None
    claim_until: Moment | None = Field(description="Until when its winner must say where it goes; null: not needed.")
    claimed_at: Moment | None
    points_entry: EntryOut | None
    vendor_order: OrderOut | None
    coupon: CouponOut | None


class ListedAward(AwardOut):
    """An award in a list."""

    campaign: str
    url: str


class AwardPage(Schema):
    """Awards, the newest first."""

    awards: list[ListedAward]
    next: Id | None = Field(description=NEXT)


class CampaignOut(Schema):
    """A campaign."""

    campaign: str = Field(description="Its name in addresses.", examples=["summer"])
    name: str
    description: str
    phase: Literal["off", "not_begun", "running", "over"] = Field(description="One can draw while it is `running`.")
    starts_at: Moment
    ends_at: Moment
    access: Literal["link", "signed_in", "open"] = Field(description="Who may draw on its page.")
    needs_entitlement: bool
    draws_per_person: int | None = Field(description="Null: no limit.")
    draws_per_day: int | None = Field(description="Of each person; null: no limit.")
    url: str = Field(description="Its public page.")


class CampaignPage(Schema):
    """Campaigns, the newest first."""

    campaigns: list[CampaignOut]
    next: str | None = Field(description=NEXT)


class OfferedPrize(PrizeOut):
    """What can be won."""

    available: bool = Field(description="Whether a piece is left, and the time to win it is not over.")
    starts_at: Moment | None = Field(description="From when it can be won; null: as long as the campaign runs.")
    ends_at: Moment | None
    claim_days: int | None = Field(description="Within how many days a winner must say where it goes; null: no need.")


class PrizeList(Schema):
    """The prizes of a campaign, the rarest first."""

    prizes: list[OfferedPrize]


class LedgerEntry(Schema):
    """A line of an account."""

    id: Id
    points: int = Field(description="Negative: taken back.")
    booked_at: Moment
    award: Id | None = Field(description="What they were credited for, or were credited for and taken back.")


class PointsOut(Schema):
    """A person's points: the balance is the sum of all lines, the newest of which come first."""

    person: str
    balance: int
    entries: list[LedgerEntry]
    next: Id | None = Field(description=NEXT)


class QueuedOut(Schema):
    """A draw that waits in the queue of a flash sale."""

    status: str = Field(description="`queued`")
    url: str = Field(description="Where to ask what it came to.")


def draw_content(drawn: Draw) -> dict[str, Any]:
    """Return the draw as it will be answered for ever; the award's status has an address of its own."""
    won = drawn.won
    return {
        "id": str(drawn.public_id),
        "campaign": drawn.campaign.slug,
        "person": drawn.person,
        "outcome": "won" if won else "lost",
        "award": {"id": str(won.public_id), "prize": _prize(won), "url": address_of(won)} if won else None,
    }


def listed_draw(drawn: Draw) -> dict[str, Any]:
    """Return a draw with its time."""
    return {**draw_content(drawn), "drawn_at": drawn.drawn_at.isoformat()}


def award_content(found: Award) -> dict[str, Any]:
    """Return how an award stands; it must have been read with all that issuing left behind."""
    entry, order = getattr(found, "pointsentry", None), getattr(found, "vendororder", None)
    coupon = getattr(found, "coupon", None)
    return {
        "id": str(found.public_id),
        "status": found.status,
        "prize": _prize(found),
        "won_at": found.won_at.isoformat(),
        "issued_at": _moment(found.issued_at),
        "claim_until": _moment(found.claim_until),
        "claimed_at": _moment(found.claimed_at),
        "points_entry": {"points": entry.points, "booked_at": entry.booked_at.isoformat()} if entry else None,
        "vendor_order": {"number": order.number, "recorded_at": order.recorded_at.isoformat()} if order else None,
        # Masked, as answers are logged on the way; the draw's page shows it to its winner.
        "coupon": {"code": coupon.masked, "issued_at": coupon.issued_at.isoformat()} if coupon else None,
    }


def listed_award(found: Award) -> dict[str, Any]:
    """Return an award with its campaign and its address."""
    return {**award_content(found), "campaign": found.prize.campaign.slug, "url": address_of(found)}


def campaign_content(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign, read ``with_clock``."""
    return {
        "campaign": campaign.slug,
        "name": campaign.name,
        "description": campaign.description,
        "phase": campaign.phase.value,
        "starts_at": campaign.starts_at.isoformat(),
        "ends_at": campaign.ends_at.isoformat(),
        "access": campaign.access,
        "needs_entitlement": campaign.needs_entitlement,
        "draws_per_person": campaign.draws_per_person,
        "draws_per_day": campaign.draws_per_day,
        "url": reverse("awards:campaign", args=[campaign.slug]),
    }


def offered_prize(prize: Prize, now: datetime) -> dict[str, Any]:
    """Return a prize that can be won."""
    return {
        "name": prize.name,
        "kind": prize.kind,
        "value": _amount(prize.value),
        "available": prize.stock != 0 and (prize.ends_at is None or now < prize.ends_at),
        "starts_at": _moment(prize.starts_at),
        "ends_at": _moment(prize.ends_at),
        "claim_days": prize.claim_days,
    }


def ledger_lines(entries: Iterable[PointsEntry]) -> list[dict[str, Any]]:
    """Return lines of an account, read with their awards and with what they take back."""
    return [
        {
            "id": str(entry.transfer),
            "points": entry.points,
            "booked_at": entry.booked_at.isoformat(),
            "award": str(credit.award.public_id) if credit.award else None,
        }
        for entry in entries
        for credit in [entry.takes_back or entry]
    ]


def address_of(won: Award) -> str:
    """Return where a program asks how the award stands."""
    return reverse("awards:api-award", args=[won.public_id])


def _prize(won: Award) -> dict[str, str]:
    return {"name": won.prize.name, "kind": won.kind, "value": _amount(won.value)}


def _amount(value: Decimal) -> str:
    return f"{value:.2f}"


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
