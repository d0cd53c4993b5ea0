"""Counts as the desk shows them: exact, or up to where counting stopped."""

from dataclasses import dataclass

from outbox.monitoring.measurements import CAP


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """How many there are; ``more`` if counting stopped there."""

    counted: int
    more: bool = False


def capped(counted: int) -> BoundedCount:
    """Return a count that stopped at ``CAP``."""
    return BoundedCount(min(counted, CAP - 1), more=counted >= CAP)
