"""What a process counts in memory and writes down together: requests let in and refused, and refusals by code.

A row that every request writes to would cost more than all that is refused saves. What a killed process has not written
down is lost; it is a figure for people, and nothing is decided by it.
"""

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta

from django.db.models.functions import Now

from awards.models import Refusal, SaleSecond

KEPT = timedelta(days=7)
"""For how long it is known how many came in each second."""

_lock = threading.Lock()
_seconds: Counter[tuple[int, datetime, bool]] = Counter()
_refusals: Counter[tuple[int, str, date]] = Counter()


def count_request(campaign_id: int, *, admitted: bool) -> None:
    """Count a request that the door has let in or refused."""
    with _lock:
        _seconds[campaign_id, datetime.now(UTC).replace(microsecond=0), admitted] += 1


def count_refusal(campaign_id: int, code: str, day: date) -> None:
    """Count a draw that was refused behind the door."""
    with _lock:
        _refusals[campaign_id, code, day] += 1


def write_down() -> None:
    """Add what was counted to the rows. What cannot be written stays counted."""
    with _lock:
        seconds, refusals = Counter(_seconds), Counter(_refusals)
        _seconds.clear()
        _refusals.clear()
    try:
        _write(seconds, refusals)
    except Exception:
        with _lock:
            _seconds.update(seconds)
            _refusals.update(refusals)
        raise


def forget_earlier_sales() -> None:
    """Remove the figures that nobody looks at any more, of all sales: one that ends with its campaign has no last act.

    Called by whatever opens or closes a sale. No index has the seconds alone, so draws never wait for it.
    """
    SaleSecond.objects.filter(second__lt=Now() - KEPT).delete()


def forget() -> None:
    """Forget what was counted; for tests."""
    with _lock:
        _seconds.clear()
        _refusals.clear()


def _write(seconds: "Counter[tuple[int, datetime, bool]]", refusals: "Counter[tuple[int, str, date]]") -> None:
    for campaign, second in sorted({(campaign, second) for campaign, second, _ in seconds}):
        admitted, refused = seconds.pop((campaign, second, True), 0), seconds.pop((campaign, second, False), 0)
        SaleSecond.objects.add(campaign, second, admitted=admitted, refused=refused)
    for campaign, code, day in sorted(refusals):
        Refusal.objects.count_many(campaign, code, day, refusals.pop((campaign, code, day)))
