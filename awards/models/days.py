"""What is counted by the day: a row has the last day, and how often on it.

Who began before midnight may come after somebody who began later, and must not set the row back to the day before. So
a later day than one's own counts as the same, and stays.
"""

from datetime import date

from django.db.models import Case, F, Q, When


def begins(today: date, *, day: str) -> Q:
    """Keep the rows in whose column ``day`` today has not been counted yet."""
    return Q(**{f"{day}__isnull": True}) | Q(**{f"{day}__lt": today})


def one_more(today: date, *, day: str, times: str) -> dict[str, Case]:
    """Return what to write into the columns ``day`` and ``times`` to count one more."""
    begun = {f"{day}__gte": today}
    return {
        day: Case(When(**begun, then=F(day)), default=today),
        times: Case(When(**begun, then=F(times) + 1), default=1),
    }


def times_on(today: date, *, day: date | None, times: int) -> int:
    """Return how many of the ``times`` on ``day`` count as today's."""
    return 0 if day is None or day < today else times
