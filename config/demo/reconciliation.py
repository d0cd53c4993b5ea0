"""The reconciliation after a demo: what was won, held against what really reached people.

What is lost or doubled is counted from the points' ledger, the coupons and the vendor's own book, never from the
messages. Those are asked only for what they know best: which awards wait for a person, or have been dealt with by one.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from awards.models import Award, Coupon, Draw, Kind, PointsAccount, PointsEntry
from outbox import Message

ISSUERS = ("awards.issue_points", "awards.hand_out_coupon", "awards.order_gift")
"""The consumers that issue; others who hear of an award, such as the one that tells the winner, do not count here."""


Effects = Counter[tuple[uuid.UUID, Kind]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What became of the draws of one run; ``won`` is issued + failed + handled unless something is lost or doubled."""

    draws: int
    won: int
    issued: int
    """Awards with exactly their effect."""
    handled: int
    """Awards that a person has dealt with."""
    failed: int
    """Awards without an effect, whose message is exhausted and waits at the operators' desk."""
    lost: int
    """Awards without an effect that nobody can see at the desk."""
    doubled: int
    """Effects beyond one per award: second ones, shipments for nothing, balances that are not the sum."""
    lost_attempts: int
    """Attempts that ended because their worker was killed."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return not self.lost and not self.doubled


def reconcile(*, run: str, shipped: Iterable[str], since: int) -> Reconciliation:
    """Count the draws whose request ids begin with ``run``.

    ``shipped`` is the vendor's own book of the time: the award (its public id) of every order really shipped, once
    per order. ``since`` is the last message id of before the run.
    """
    awards = Award.objects.filter(draw__request_id__startswith=f"{run}-")
    won = list(awards.values_list("pk", "public_id", "kind"))
    effects = _effects(shipped)
    messages = Message.objects.filter(consumer__in=ISSUERS)
    exhausted = _awards_of(messages.filter(exhausted_at__isnull=False).values_list("key", flat=True))
    resolved = _awards_of(messages.exclude(resolution="").values_list("key", flat=True))
    counted: Counter[str] = Counter()
    for pk, public_id, kind in won:
        counted[_fate(effects[public_id, Kind(kind)], failed=pk in exhausted, handled=pk in resolved)] += 1
    of_the_run = Message.objects.filter(pk__gt=since)
    return Reconciliation(
        draws=Draw.objects.filter(request_id__startswith=f"{run}-").count(),
        won=len(won),
        issued=counted["issued"],
        handled=counted["handled"],
        failed=counted["failed"],
        lost=counted["lost"],
        doubled=_surplus(effects) + _unbalanced_accounts(),
        lost_attempts=of_the_run.filter(attempt__outcome="lost").count(),
    )


def handled_by(*, since: int) -> dict[str, int]:
    """Return how many messages after ``since`` were last held by which process."""
    messages = Message.objects.filter(pk__gt=since, attempts__gt=0).values_list("worker").annotate(rows=Count("pk"))
    by_pid: Counter[str] = Counter()
    for worker, rows in messages:
        by_pid[str(pid_in(worker))] += rows
    return dict(by_pid)


def pid_in(worker: str) -> int:
    """Return the process id in a worker's name: host, process, and perhaps thread, joined by colons."""
    return int(worker.split(":")[1])


def _fate(effects: int, *, failed: bool, handled: bool) -> str:
    if handled:
        return "handled"
    if effects:
        return "issued" if effects == 1 else "doubled"
    return "failed" if failed else "lost"


def _effects(shipped: Iterable[str]) -> Effects:
    """Return how many effects of which kind each award has had."""
    entries = PointsEntry.objects.values_list("award__public_id", flat=True)
    coupons = Coupon.objects.filter(award__isnull=False).values_list("award__public_id", flat=True)
    effects = Counter((award, Kind.POINTS) for award in entries)
    effects.update((award, Kind.COUPON) for award in coupons)
    effects.update((uuid.UUID(award), Kind.GIFT) for award in shipped)
    return effects


def _surplus(effects: Effects) -> int:
    """Count second effects, and those for awards that do not exist or are of another kind."""
    awarded = Counter((public_id, Kind(kind)) for public_id, kind in Award.objects.values_list("public_id", "kind"))
    return (effects - awarded).total()


def _awards_of(keys: Iterable[str]) -> set[int]:
    return {int(key) for key in keys if key.isdecimal()}


def _unbalanced_accounts() -> int:
    """Count accounts whose balance is not the sum of their entries."""
    summed = PointsAccount.objects.annotate(booked=Coalesce(Sum("pointsentry__points"), 0))
    return summed.filter(~Q(balance=F("booked"))).count()
