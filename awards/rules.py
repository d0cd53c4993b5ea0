"""The rules of a draw: what can be won at a moment, how it is drawn, and the proof of it. Pure.

A draw and a simulation go by the same functions, so that the one shows what the other does.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from awards import luck as lots
from awards.luck import Luck, Ticket

VERSION_LENGTH = 12


class Winnable(Protocol):
    """What the rules must know of a prize."""

    @property
    def pk(self) -> int:
        """The key by which a proof names it."""
        ...

    @property
    def weight(self) -> int:
        """How likely it is; 0 takes it out."""
        ...

    @property
    def stock(self) -> int | None:
        """How many there are; None without limit."""
        ...

    @property
    def value(self) -> Decimal:
        """What one is worth."""
        ...

    @property
    def starts_at(self) -> datetime | None:
        """From when it can be won."""
        ...

    @property
    def ends_at(self) -> datetime | None:
        """Until when it can be won."""
        ...

    @property
    def wins_per_day(self) -> int | None:
        """How often at most on one day."""
        ...

    @property
    def wins_per_person(self) -> int | None:
        """How often at most by one person."""
        ...


P = TypeVar("P", bound=Winnable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How things stand for one prize when somebody draws; ``left`` is what the budget has left, None without limit."""

    at: datetime
    won_today: int
    won_by_person: int
    left: Decimal | None


def can_be_won(prize: Winnable, moment: Moment) -> bool:
    """Tell whether a draw at that moment can win the prize."""
    return (
        prize.weight > 0
        and prize.stock != 0
        and (prize.starts_at is None or prize.starts_at <= moment.at)
        and (prize.ends_at is None or moment.at < prize.ends_at)
        and (prize.wins_per_day is None or moment.won_today < prize.wins_per_day)
        and (prize.wins_per_person is None or moment.won_by_person < prize.wins_per_person)
        and (moment.left is None or prize.value <= moment.left)
    )


@dataclass(frozen=True, slots=True)
class Outcome(Generic[P]):
    """What a draw came to: a prize, nothing, or that there was nothing to draw for; and the rounds that it took."""

    prize: P | None
    is_empty: bool = False
    rounds: list[dict[str, Any]] = field(default_factory=list)


def draw(prizes: Sequence[P], losing_weight: int, luck: Luck, take: Callable[[P], bool]) -> Outcome[P]:
    """Draw one ticket among the prizes and the losing one.

    ``take`` takes a piece of the prize that was drawn, and says whether there was one. If others took it first, the
    prize is left out and luck is asked again, in a round more; with none left, there is nothing to draw for.
    """
    left, rounds = list(prizes), list[dict[str, Any]]()
    while left:
        tickets: list[Ticket[P | None]] = [Ticket(None, losing_weight), *(Ticket(each, each.weight) for each in left)]
        number = lots.draw_number(tickets, luck)
        prize = lots.ticket_of(tickets, number).prize
        rounds.append(
            {
                "tickets": [[None if each.prize is None else each.prize.pk, each.weight] for each in tickets],
                "number": number,
                "prize": None if prize is None else prize.pk,
            }
        )
        if prize is None or take(prize):
            return Outcome(prize, rounds=rounds)
        left.remove(prize)
    return Outcome(None, is_empty=True, rounds=rounds)


def proof_of(outcome: Outcome[Any], *, fallback: int | None = None) -> dict[str, Any]:
    """Return what is kept with a draw: its rounds, the fallback prize if it came to that, and the code's version."""
    return {"code": code_version(), "rounds": outcome.rounds, "fallback": fallback}


def replay(proof: Mapping[str, Any]) -> int | None:
    """Return the prize that the proof comes to when its numbers are looked up once more; None for nothing.

    Raises ``ValueError`` if what it says does not follow from its numbers.
    """
    prize: int | None = None
    for turn in proof["rounds"]:
        prize = lots.ticket_of([Ticket(*ticket) for ticket in turn["tickets"]], turn["number"]).prize
        if prize != turn["prize"]:
            raise ValueError("the number means another ticket")
    fallback = proof.get("fallback")
    return prize if fallback is None else int(fallback)


@cache
def code_version() -> str:
    """Return the fingerprint of the code that draws: of this file and of ``luck.py``."""
    files = [Path(__file__), Path(lots.__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:VERSION_LENGTH]
