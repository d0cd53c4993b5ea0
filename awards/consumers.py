"""What is done about a message: the consumers of the awards' topics, found by the outbox at start-up.

``award.won.<kind>`` is issued: each kind has the consumer that does it, and two more listen to every kind, to tell the
winner (``awards.telling``) and to count the win. ``award.claimable.<kind>`` waits for its winner first, until
``award.claim.due``. None of them knows of the others: each has a row of its own, which succeeds, waits or fails for
itself. The prize is at stake with the consumer that issues it alone.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from awards import conf
from awards.channels import coupon, gift, points
from awards.claims import expiry
from awards.clients import imports
from awards.errors import AwardChanged, ClosingRefused, PoolEmpty
from awards.listeners import (
    CLAIM_DUE,
    CLAIMABLE_COUNTED_BY,
    COUNTED_BY,
    EXPIRED_BY,
    ISSUED_BY,
    REDRAW,
    REDRAWN_BY,
    WRITTEN_BY,
)
from awards.luck import SYSTEM_LUCK
from awards.models import Award, AwardStatus, Kind
from awards.sale import consumers as sale_consumers
from awards.services import closings, statistics
from awards.telling import PROMISED, award_of, tell_client, tell_winner, text_winner
from outbox import Backoff, Book, Closing, Message, Reject, Snooze, Superseded, book, consumer

__all__ = ["count_win", "sale_consumers", "tell_client", "tell_winner", "text_winner"]

log = logging.getLogger("awards.consumers")

GIFTS_AT_ONCE = 20
"""Gifts that one process orders at once: the vendor takes his time, and each waits for him by itself."""
CALLS = 3
"""Calls to the vendor that one try may need: ask, order, and ask again if the order is not answered."""

POOL_WAITS = Backoff(first=timedelta(seconds=30), cap=timedelta(minutes=15), jitter=0)
"""How long an award waits for codes to be added; each wait leaves a row behind, so they grow."""

COUNTS: Any = {"bulk": True, "chunk": 200, "value": False, "rehearsable": True}
"""How wins are counted."""


class OrderStands(Reject):
    """The vendor has taken the order although the award is closed: somebody must cancel it, or issue by it."""

    may_have_acted = True


@book("awards", every=timedelta(minutes=10))
class AwardBook(Book):
    """Every award has its messages, and is issued exactly if the one that issues it has succeeded.

    One that waits for its winner has none yet, and one that nobody claimed never gets any.
    """

    business = Award.objects.filter(Q(claim_until__isnull=True) | Q(claimed_at__isnull=False))
    since = "won_at"
    topic = "award.won.*"
    done = Q(status=AwardStatus.ISSUED)
    closed = Q(status__in=[AwardStatus.REVOKED, AwardStatus.EXPIRED, AwardStatus.COMPENSATED, AwardStatus.CANCELLED])
    settled_by = tuple(ISSUED_BY.values())


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


def _close_if_not_ordered(withdrawn: Sequence[Closing]) -> None:
    """Have the awards follow, unless the vendor may have been told already."""
    if any(closing.message.attempts for closing in withdrawn):
        raise Reject(_("the vendor may have the order already. Let it end, then mark it as handled or discard it."))
    _close(withdrawn)


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
    on_withdrawn=_close,
)
def issue_points(message: Message) -> None:
    """Credit the points, in the settling transaction."""
    award = award_of(message)
    if award.status == AwardStatus.ISSUED or _is_revoked(award):
        return
    _insist_on_won(award)
    points.credit_points(award)


@consumer(
    "award.won.gift",
    name=ISSUED_BY[Kind.GIFT],
    atomic=False,
    concurrency=GIFTS_AT_ONCE,
    timeout=CALLS * conf.vendor_settings().timeouts.longest_call + timedelta(seconds=2),
    retry=Backoff(limit=8, first=timedelta(seconds=5), cap=timedelta(minutes=30)),
    ask=_ask_vendor,
    locked=PROMISED,
    on_handled=_close,
    on_discarded=_close,
    on_reopened=_reopen,
    on_withdrawn=_close_if_not_ordered,
)
def order_gift(message: Message) -> None:
    """Order the gift from the vendor, then write down the order together with the success.

    A first attempt that finds the award revoked has ordered nothing and ends quietly. A later one is for a person, as
    the one before it may have ordered.
    """
    award = award_of(message)
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
    on_withdrawn=_close,
)
def hand_out_coupon(message: Message) -> None:
    """Hand out a code, in the settling transaction. While the pool is empty the award waits, and spends no try."""
    award = award_of(message)
    if award.status == AwardStatus.ISSUED or _is_revoked(award):
        return
    _insist_on_won(award)
    try:
        coupon.issue_coupon(award)
    except PoolEmpty as empty:
        raise Snooze(POOL_WAITS.wait(message.attempts, uniform=0), str(empty)) from empty


@consumer("award.claimable.*", name=CLAIMABLE_COUNTED_BY, **COUNTS)
@consumer("award.won.*", name=COUNTED_BY, **COUNTS)
def count_win(messages: Sequence[Message]) -> None:
    """Count what was won, in the settling transaction: one statement for each prize and day of the chunk.

    What must be claimed is counted when it is won, and not again when it is claimed.
    """
    awards = Award.objects.in_bulk([int(message.key) for message in messages if message.key.isdecimal()])
    for message in messages:
        if not message.key.isdecimal() or int(message.key) not in awards:
            raise Reject(f"there is no award {message.key}")
    new = {message.key for message in messages if message.consumer == CLAIMABLE_COUNTED_BY}
    statistics.count_wins(award for pk, award in awards.items() if award.claim_until is None or str(pk) in new)


def _insist_on_expiry(closed: Sequence[Closing]) -> None:
    """Refuse to close what would expire an award that waits for its winner: it would wait for ever."""
    ids = [int(closing.message.key) for closing in closed if closing.message.key.isdecimal()]
    for award in Award.objects.filter(pk__in=ids).order_by("pk"):
        if award.is_unclaimed:
            said = _(
                "award %(id)s still waits for its winner, and nothing else would expire it. Leave the message or retry "
                "it, or revoke the award."
            )
            raise Reject(said % {"id": award.public_id})


def _reopen_expiry(reopened: Sequence[Closing]) -> None:
    """Let it be opened again: the award's own row decides what is left to do."""


@consumer(
    CLAIM_DUE,
    name=EXPIRED_BY,
    isolated=True,
    value=False,
    on_handled=_insist_on_expiry,
    on_discarded=_insist_on_expiry,
    on_reopened=_reopen_expiry,
    on_withdrawn=_insist_on_expiry,
)
def expire_claim(message: Message) -> None:
    """Expire an award that nobody has claimed, in the settling transaction. Called early, it waits for its date."""
    rest = expiry.expire(award_of(message).pk)
    if rest is not None:
        raise Snooze(rest, "it can still be claimed")


def _give_up_redraw(closed: Sequence[Closing]) -> None:
    """Let the pieces go for which an operator wants nobody drawn. A replay holds none."""
    for closing in closed:
        if closing.message.key.isdecimal() and not closing.message.replay:
            expiry.give_up_redraw(int(closing.message.key))


def _refuse_redraw(_reopened: Sequence[Closing]) -> None:
    """Refuse to draw for a piece that somebody else may have won by now."""
    raise Reject(_("the piece is back in stock, so nobody can be drawn for it any more."))


@consumer(
    REDRAW,
    name=REDRAWN_BY,
    isolated=True,
    value=False,
    on_handled=_give_up_redraw,
    on_discarded=_give_up_redraw,
    on_reopened=_refuse_redraw,
    on_withdrawn=_give_up_redraw,
)
def redraw_prize(message: Message) -> None:
    """Draw once more for a prize that nobody has claimed, in the settling transaction.

    A replay is refused: the piece was won or let go by the message that came first.
    """
    if message.replay:
        raise Reject("the piece was drawn for, or is back in stock, so nobody can be drawn for it any more")
    expiry.redraw(award_of(message).pk, SYSTEM_LUCK)


@consumer(imports.TOPIC, name=WRITTEN_BY, isolated=True, value=False)
def write_entitlements(message: Message) -> None:
    """Write a part of a list of entitlements, in the settling transaction."""
    if not message.key.isdecimal():
        raise Reject(f"there is no part {message.key}")
    imports.write_part(int(message.key))


def _is_revoked(award: Award) -> bool:
    """Tell whether the award was revoked while its message was under way, so that nothing is left to do."""
    if award.status != AwardStatus.REVOKED:
        return False
    log.info("award %s was revoked in the meantime; nothing is issued", award.public_id)
    return True


def _insist_on_won(award: Award) -> None:
    if award.status != AwardStatus.WON:
        raise Reject(f"award {award.public_id} is {award.status}, so it must not be issued")
