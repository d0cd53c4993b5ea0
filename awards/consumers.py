"""What is done about a message: the consumers of the topics ``award.won.<kind>``, found by the outbox at start-up.

Each kind has the consumer that issues it; two more listen to every kind, to tell the winner and to count the win. None
of them knows of the others: each has a row of its own, which succeeds, waits or fails for itself. The prize is at stake
with the consumer that issues it alone.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from awards import conf
from awards.channels import coupon, gift, mail, points
from awards.errors import AwardChanged, ClosingRefused, MailDelayed, MailRefused, MailServerUnavailable, PoolEmpty
from awards.listeners import COUNTED_BY, ISSUED_BY, TOLD_BY
from awards.models import Award, AwardStatus, Kind
from awards.services import closings, statistics
from outbox import Backoff, Closing, Message, Reject, Snooze, Superseded, Unavailable, consumer

log = logging.getLogger("awards.consumers")

GIFTS_AT_ONCE = 20
"""Gifts that one process orders at once: the vendor takes his time, and each waits for him by itself."""
CALLS = 3
"""Calls to the vendor that one try may need: ask, order, and ask again if the order is not answered."""

POOL_WAITS = Backoff(first=timedelta(seconds=30), cap=timedelta(minutes=15), jitter=0)
"""How long an award waits for codes to be added; each wait leaves a row behind, so they grow."""
MAIL_WAITS = Backoff(first=timedelta(minutes=2), cap=timedelta(hours=1), jitter=0)
"""How long a mail waits that the server puts off. Greylisting ends within minutes, a full mailbox within days."""


PROMISED = ("award", "person", "prize", "value")
"""Keys of the payload that are what was won. Nobody edits them; the award's own row decides anyway."""


class OrderStands(Reject):
    """The vendor has taken the order although the award is closed: somebody must cancel it, or issue by it."""

    may_have_acted = True


def _account(message: Message) -> str:
    """Return whose account a message touches. Chunks take the accounts in this order, so they never deadlock."""
    return str(message.payload.get("person")) if isinstance(message.payload, dict) else ""


def _close(closed: Sequence[Closing]) -> None:
    """Have the awards follow what an operator has done with the messages that issue them."""
    try:
        closings.close_awards(closed)
    except ClosingRefused as error:
        raise Reject(str(error)) from error


def _reopen(reopened: Sequence[Closing]) -> None:
    """Have the awards follow back."""
    try:
        closings.reopen_awards(reopened)
    except ClosingRefused as error:
        raise Reject(str(error)) from error


def _ask_vendor(message: Message) -> str | None:
    """Return the order that the vendor has for a gift, if any."""
    return gift.number_at_vendor(message.idempotency_key)


@consumer(
    "award.won.points",
    name=ISSUED_BY[Kind.POINTS],
    sort=_account,
    rehearsable=True,
    locked=PROMISED,
    on_handled=_close,
    on_discarded=_close,
    on_reopened=_reopen,
)
def issue_points(message: Message) -> None:
    """Credit the points, in the settling transaction."""
    award = _award(message)
    if award.status == AwardStatus.ISSUED or _is_revoked(award):
        return
    _insist_on_won(award)
    points.credit_points(award)


@consumer(
    "award.won.gift",
    name=ISSUED_BY[Kind.GIFT],
    atomic=False,
    concurrency=GIFTS_AT_ONCE,
    timeout=CALLS * conf.vendor_settings().longest_call + timedelta(seconds=2),
    retry=Backoff(limit=8, first=timedelta(seconds=5), cap=timedelta(minutes=30)),
    ask=_ask_vendor,
    locked=PROMISED,
    on_handled=_close,
    on_discarded=_close,
    on_reopened=_reopen,
)
def order_gift(message: Message) -> None:
    """Order the gift from the vendor, then write down the order together with the success.

    A first attempt that finds the award revoked has ordered nothing and ends quietly. A later one is for a person, as
    the one before it may have ordered.
    """
    award = _award(message)
    if award.status == AwardStatus.ISSUED or (message.attempts == 1 and _is_revoked(award)):
        return
    _insist_on_won(award)
    order = gift.order(
        award,
        idempotency_key=message.idempotency_key,
        ask_first=message.attempts > 1,
        record=message.record_exchange,
    )
    try:
        with message.settling():
            gift.record(award, order, idempotency_key=message.idempotency_key)
    except AwardChanged as error:
        gift.keep_evidence(award, order, idempotency_key=message.idempotency_key)
        raise OrderStands(f"{error}; cancel the vendor's order {order.number} or issue it by hand") from error
    except Superseded:
        if Award.objects.filter(pk=award.pk).exclude(closed_from="").exists():
            gift.keep_evidence(award, order, idempotency_key=message.idempotency_key)
        raise


@consumer(
    "award.won.coupon",
    name=ISSUED_BY[Kind.COUPON],
    deadline=timedelta(days=90),
    rehearsable=True,
    locked=PROMISED,
    on_handled=_close,
    on_discarded=_close,
    on_reopened=_reopen,
)
def hand_out_coupon(message: Message) -> None:
    """Hand out a code, in the settling transaction. While the pool is empty the award waits, and spends no try."""
    award = _award(message)
    if award.status == AwardStatus.ISSUED or _is_revoked(award):
        return
    _insist_on_won(award)
    try:
        coupon.issue_coupon(award)
    except PoolEmpty as empty:
        raise Snooze(POOL_WAITS.wait(message.attempts, uniform=0), str(empty)) from empty


@consumer(
    "award.won.*",
    name=TOLD_BY,
    atomic=False,
    timeout=timedelta(seconds=60),
    retry=Backoff(limit=8, first=timedelta(seconds=30), cap=timedelta(hours=1)),
    deadline=timedelta(days=3),
    value=False,
    locked=PROMISED,
)
def tell_winner(message: Message) -> None:
    """Send the winner a mail. Who gave a name and no e-mail address gets none, and neither does a revoked award."""
    award = _award(message, "draw__campaign", "prize")
    if award.status not in (AwardStatus.WON, AwardStatus.ISSUED) or not mail.address_of(award.person):
        return
    try:
        mail.send_mail_to_winner(award, idempotency_key=message.idempotency_key, language=_language(message))
    except MailServerUnavailable as error:
        raise Unavailable(str(error)) from error
    except MailDelayed as error:
        raise Snooze(MAIL_WAITS.wait(message.attempts, uniform=0), str(error)) from error
    except MailRefused as error:
        raise Reject(str(error)) from error


@consumer("award.won.*", name=COUNTED_BY, bulk=True, chunk=200, value=False, rehearsable=True)
def count_win(messages: Sequence[Message]) -> None:
    """Count what was won, in the settling transaction: one statement for each prize and day of the chunk."""
    awards = Award.objects.in_bulk([int(message.key) for message in messages if message.key.isdecimal()])
    for message in messages:
        if not message.key.isdecimal() or int(message.key) not in awards:
            raise Reject(f"there is no award {message.key}")
    statistics.count_wins(awards.values())


def _language(message: Message) -> str:
    """Return the language of the draw, as far as the payload says."""
    return str(message.payload.get("language")) if isinstance(message.payload, dict) else ""


def _award(message: Message, *related: str) -> Award:
    """Return the award that a message is about: the one of its key, which, unlike the payload, nobody can edit."""
    awards = Award.objects.select_related(*related) if related else Award.objects.all()
    award = awards.filter(pk=int(message.key)).first() if message.key.isdecimal() else None
    if award is None:
        raise Reject(f"there is no award {message.key}")
    return award


def _is_revoked(award: Award) -> bool:
    """Tell whether the award was revoked while its message was under way, so that nothing is left to do."""
    if award.status != AwardStatus.REVOKED:
        return False
    log.info("award %s was revoked in the meantime; nothing is issued", award.public_id)
    return True


def _insist_on_won(award: Award) -> None:
    if award.status != AwardStatus.WON:
        raise Reject(f"award {award.public_id} is {award.status}, so it must not be issued")
