"""Luck: one ticket out of many, by weight. Pure; the source of chance is passed in."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

P = TypeVar("P", covariant=True)


class Luck(Protocol):
    """A source of chance, such as ``random.SystemRandom()`` or a seeded ``random.Random(7)``."""

    def randrange(self, start: int, /) -> int:
        """Return a whole number from 0 to ``start`` - 1, each as likely as the others."""
        ...


SYSTEM_LUCK: Luck = random.SystemRandom()
"""The operating system's own source, which nobody can foretell."""


@dataclass(frozen=True, slots=True)
class Ticket(Generic[P]):
    """What may be drawn, and how likely: a ticket of weight 2 is drawn twice as often as one of weight 1."""

    prize: P
    weight: int


def draw_number(tickets: Sequence[Ticket[P]], luck: Luck) -> int:
    """Return a number from 0 to the sum of all weights - 1, each as likely as the others.

    Raises ``ValueError`` for a negative weight, or if no ticket has any weight.
    """
    if any(ticket.weight < 0 for ticket in tickets):
        raise ValueError("a ticket's weight must not be negative")
    total = sum(ticket.weight for ticket in tickets)
    if not total:
        raise ValueError("nothing to choose from: no ticket has any weight")
    return luck.randrange(total)


def ticket_of(tickets: Sequence[Ticket[P]], number: int) -> Ticket[P]:
    """Return the ticket that a number means. The weights are whole numbers from 0.

    The choice is exact, without rounding; the order of the tickets decides nothing but which number means which
    ticket. Raises ``ValueError`` for a number beyond all of them.
    """
    for ticket in tickets:
        if number < ticket.weight:
            return ticket
        number -= ticket.weight
    raise ValueError(f"the source of chance answered out of range by {number + 1}")
