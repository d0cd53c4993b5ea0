"""What is done about a promise: the consumers of the topics ``award.won.<kind>``, found by the outbox at start-up."""

from datetime import timedelta

from awards import conf
from awards.channels import gift, points
from awards.errors import AwardChanged
from awards.models import Award, AwardStatus
from outbox import Backoff, Message, Reject, consumer

CALLS = 3
"""Calls to the vendor that one try may need: ask, order, and ask again if the order is not answered."""


def _account(message: Message) -> str:
    """Return whose account a message touches. Chunks take the accounts in this order, so they never deadlock."""
    return str(message.payload.get("person")) if isinstance(message.payload, dict) else ""


@consumer("award.won.points", name="awards.issue_points", sort=_account)
def issue_points(message: Message) -> None:
    """Credit the points, in the settling transaction."""
    award = _award(message)
    if award.status != AwardStatus.ISSUED:
        _insist_on_won(award)
        points.issue(award)


@consumer(
    "award.won.gift",
    name="awards.order_gift",
    atomic=False,
    timeout=CALLS * conf.vendor().longest_call + timedelta(seconds=2),
    retry=Backoff(limit=8, first=timedelta(seconds=5), cap=timedelta(minutes=30)),
)
def order_gift(message: Message) -> None:
    """Order the gift from the vendor, then write down the order together with the success."""
    award = _award(message)
    if award.status == AwardStatus.ISSUED:
        return
    _insist_on_won(award)
    order = gift.order(award, idempotency_key=message.idempotency_key, ask_first=message.attempts > 1)
    try:
        with message.settling():
            gift.record(award, order, idempotency_key=message.idempotency_key)
    except AwardChanged as error:
        gift.keep_evidence(award, order, idempotency_key=message.idempotency_key)
        raise Reject(f"{error}; cancel the vendor's order {order.number} or issue it by hand") from error


def _award(message: Message) -> Award:
    """Return the award that a message is about: the one of its key, which, unlike the payload, nobody can edit."""
    award = Award.objects.filter(pk=int(message.key)).first() if message.key.isdecimal() else None
    if award is None:
        raise Reject(f"there is no award {message.key}")
    return award


def _insist_on_won(award: Award) -> None:
    if award.status != AwardStatus.WON:
        raise Reject(f"award {award.public_id} is {award.status}, so it must not be issued")
