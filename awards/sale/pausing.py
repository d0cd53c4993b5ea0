"""Consumers that rest while a sale is on: what follows a win can wait, the sale cannot.

A sale remembers which it has paused (``Sale.at_rest``), from when it is opened until it is closed. Several sales may
have the same one at rest: it goes on when the last of them ends or is closed. What a person has paused or resumed
meanwhile stays as that person wants it.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.core.management import CommandError, call_command
from django.db import connections, router, transaction
from django.db.models import Q

from awards.listeners import DRAWN_BY, GIVEN_BACK_BY, SOLD_OUT_BY, STOCK_WRITTEN_BY, WARMED_BY
from awards.models import Sale

log = logging.getLogger("awards.sale")

NEEDED = frozenset({DRAWN_BY, GIVEN_BACK_BY, SOLD_OUT_BY, STOCK_WRITTEN_BY, WARMED_BY})
"""What a sale itself lives on."""
MACHINE = "flash sale"
"""Who has done it, as the audit keeps it."""
LONGEST = timedelta(days=365)
"""For which the operators' command pauses at most."""
MOST_SECONDS = 999_999
"""Which that command takes; what is longer is told in minutes."""


def pause_consumers(sale: Sale) -> list[str]:
    """Pause what a sale names that was opened, until its campaign ends; return which rest for it.

    Once from its opening to its closing: a prewarming in between pauses nothing anew.
    """
    with transaction.atomic(using=router.db_for_write(Sale)):
        own, others = _read_sales(sale)
        if own is None or not own.is_on or own.at_rest is not None:
            return []
        at_rest = [name for name in _pausable(own) if _pause(name, own, others)]
        Sale.objects.filter(pk=own.pk).update(at_rest=at_rest)
        return at_rest


def resume_consumers(sale: Sale) -> None:
    """Let all go on that the sale has paused, whatever it names by now. What another sale has at rest, rests."""
    with transaction.atomic(using=router.db_for_write(Sale)):
        own, others = _read_sales(sale)
        if own is None:
            return
        _resume(own.at_rest or [], own, others, "the sale is closed")
        Sale.objects.filter(pk=own.pk).update(at_rest=None)


def follow_list(sale: Sale) -> None:
    """Pause and resume at once what was added to the list of a sale that is on, and what was taken off it.

    ``sale`` has the list as it will be. Call it in the transaction that writes it, and before that: see
    ``lock_pausing``.
    """
    with transaction.atomic(using=router.db_for_write(Sale)):
        own, others = _read_sales(sale)
        if own is None or own.at_rest is None:
            return
        named = _pausable(sale)
        _resume([name for name in own.at_rest if name not in named], own, others, "the sale names it no longer")
        at_rest = [name for name in named if name in own.at_rest or _pause(name, own, others)]
        Sale.objects.filter(pk=own.pk).update(at_rest=at_rest)


def follow_end(sale: Sale, *, before: datetime) -> None:
    """Have what rests for the sale rest until its campaign ends, whose end was ``before`` and was changed.

    What a person has resumed meanwhile goes on. If the campaign was over, all of it goes on, and rests again.
    """
    with transaction.atomic(using=router.db_for_write(Sale)):
        own, others = _read_sales(sale)
        if own is None:
            return
        was_over = before <= own.clock
        for name in own.at_rest or []:
            resumed = _said("outbox_resume", name, f"--paused-by={MACHINE}", reason="the campaign ends at another time")
            if resumed or was_over:
                _paused_for(name, max([own, *_with_at_rest(name, others)], key=_end_of))


def lock_pausing() -> None:
    """Let nobody else pause or resume for a sale until the transaction ends.

    So of two sales that are opened, or closed, at the same moment, one is the first. No row is locked for it, as draws
    share that of their sale. Take it before any row of a sale or a prize.
    """
    connection = connections[router.db_for_write(Sale)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('awards.sale.pausing'), 0)")


def _read_sales(sale: Sale) -> tuple[Sale | None, list[Sale]]:
    """Return the sale as it is now, None if it is gone, and the others that go on and have consumers at rest."""
    lock_pausing()
    concerned = Sale.objects.with_clock().filter(Q(pk=sale.pk) | Q(at_rest__isnull=False)).order_by("pk")
    found = {each.pk: each for each in concerned.select_related("campaign")}
    own = found.pop(sale.pk, None)
    return own, [other for other in found.values() if other.campaign.ends_at > other.clock]


def _pausable(sale: Sale) -> list[str]:
    """Return what it names and can do without; in order, as the rows of consumers are locked in turn."""
    return sorted(name for name in sale.consumers_to_pause if name not in NEEDED)


def _pause(name: str, own: Sale, others: Sequence[Sale]) -> bool:
    """Have it rest until the last sale ends that wants so; tell whether it rests for ``own``, too."""
    rivals = _with_at_rest(name, others)
    last = max([own, *rivals], key=_end_of)
    if rivals and last is own:
        _said("outbox_resume", name, f"--paused-by={MACHINE}", reason="another sale goes on for longer")
    return _paused_for(name, last) or bool(rivals)


def _resume(names: Iterable[str], own: Sale, others: Sequence[Sale], reason: str) -> None:
    for name in names:
        last = max(_with_at_rest(name, others), key=_end_of, default=None)
        if last is not None and _end_of(last) >= _end_of(own):
            continue  # it rests until then already
        if _said("outbox_resume", name, f"--paused-by={MACHINE}", reason=reason) and last is not None:
            _paused_for(name, last)


def _with_at_rest(name: str, sales: Iterable[Sale]) -> list[Sale]:
    return [sale for sale in sales if name in (sale.at_rest or [])]


def _end_of(sale: Sale) -> float:
    return sale.campaign.ends_at.timestamp()


def _paused_for(name: str, sale: Sale) -> bool:
    """Pause it until the campaign of the sale ends, unless somebody has paused it; tell whether that was done."""
    rest = min(sale.campaign.ends_at - sale.clock, LONGEST)
    if rest <= timedelta(0):
        return False
    seconds = max(1, int(rest.total_seconds()))
    span = f"{seconds}s" if seconds <= MOST_SECONDS else f"{math.ceil(rest / timedelta(minutes=1))}m"
    return _said("outbox_pause", name, "--unless-paused", f"--for={span}", reason=f"the sale {sale.campaign.slug}")


def _said(command: str, name: str, *arguments: str, reason: str) -> bool:
    """Carry out the operators' command; a consumer that is unknown, or is a person's concern, is left as it is."""
    try:
        call_command(command, name, *arguments, f"--reason={reason}", f"--actor={MACHINE}", verbosity=0)
    except CommandError as error:
        log.warning("%s", error)
        return False
    return True
