"""What a campaign would give away: many draws by the rules of real ones, in memory. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from awards import rules
from awards.luck import Luck
from awards.rules import Moment


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedPrize:
    """A prize as it stands in a simulation, in which its stock goes down."""

    pk: int
    name: str
    weight: int
    stock: int | None
    value: Decimal
    is_points: bool
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    wins_per_day: int | None = None
    wins_per_person: int | None = None
    is_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is simulated: the draws, spread evenly from ``begins`` to ``ends`` over so many people in turn."""

    prizes: Sequence[SimulatedPrize]
    losing_weight: int
    begins: datetime
    ends: datetime
    draws: int
    people: int
    budgets: dict[bool, Decimal | None]
    """What is left of them, None without limit: True is points, False is money."""


@dataclass(slots=True)
class Result:
    """What came of it. ``refused`` draws found nothing to win; ``empty_at`` is when there first was none."""

    won: "Counter[int]" = field(default_factory=Counter)
    gone_at: dict[int, datetime] = field(default_factory=dict)
    lost: int = 0
    refused: int = 0
    empty_at: datetime | None = None
    spent: dict[bool, Decimal] = field(default_factory=lambda: {True: Decimal(0), False: Decimal(0)})
    """What it gave away: True is points, False is money."""


class _Course:
    """A simulation under way: what was won by day and by person."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.result = plan, Result()
        self.by_day: Counter[tuple[int, date]] = Counter()
        self.by_person: Counter[tuple[int, int]] = Counter()

    def draw(self, at: datetime, today: date, person: int, luck: Luck) -> None:
        """Draw once."""
        winnable = [
            prize for prize in self.plan.prizes if rules.can_be_won(prize, self._moment(prize, at, today, person))
        ]
        outcome = rules.draw(winnable, self.plan.losing_weight, luck, _take)
        prize = outcome.prize
        if outcome.is_empty:
            self.result.empty_at = self.result.empty_at or at
            prize = next((each for each in self.plan.prizes if each.is_fallback), None)
            self.result.refused += prize is None
        elif prize is None:
            self.result.lost += 1
        if prize is not None:
            self._give(prize, at, today, person)

    def _moment(self, prize: SimulatedPrize, at: datetime, today: date, person: int) -> Moment:
        budget = self.plan.budgets[prize.is_points]
        return Moment(
            at=at,
            won_today=self.by_day[prize.pk, today],
            won_by_person=self.by_person[prize.pk, person],
            left=None if budget is None else budget - self.result.spent[prize.is_points],
        )

    def _give(self, prize: SimulatedPrize, at: datetime, today: date, person: int) -> None:
        self.result.won[prize.pk] += 1
        self.result.spent[prize.is_points] += prize.value
        self.by_day[prize.pk, today] += 1
        self.by_person[prize.pk, person] += 1
        if prize.stock == 0:
            self.result.gone_at.setdefault(prize.pk, at)


def simulate(plan: Plan, luck: Luck, day_of: Callable[[datetime], date]) -> Result:
    """Make the plan's draws one after the other; its prizes' stocks go down meanwhile."""
    course = _Course(plan)
    step = (plan.ends - plan.begins) / plan.draws
    for turn in range(plan.draws):
        at = plan.begins + turn * step
        course.draw(at, day_of(at), turn % plan.people, luck)
    return course.result


def _take(prize: SimulatedPrize) -> bool:
    if prize.stock is not None:
        prize.stock -= 1
    return True
