"""``manage.py simulate CAMPAIGN``: what a campaign would give away, before it opens."""

import random
from argparse import ArgumentParser
from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from awards.luck import SYSTEM_LUCK
from awards.management.arguments import whole_number
from awards.models import Campaign, Kind, Prize
from awards.simulation import Plan, Result, SimulatedPrize, simulate

MOST_DRAWS = 10_000_000


class Command(BaseCommand):
    """Draws in memory by the campaign's rules, and says what was won. Nothing is written."""

    help = (
        "Simulates draws by the rules of the real ones, spread evenly over the campaign, with the stocks, limits and "
        "budgets of today. Nothing is written, and nobody is told."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the campaign, how many draws, by how many people, and a seed."""
        parser.add_argument("campaign", help="its address, such as summer-raffle")
        parser.add_argument("--draws", type=whole_number(1, MOST_DRAWS), default=100_000, help="how many (100000)")
        parser.add_argument(
            "--people", type=whole_number(1, MOST_DRAWS), help="by how many people, in turn (by default one a draw)"
        )
        parser.add_argument("--seed", type=int, help="the same seed draws the same")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Simulate, and print a line for each prize."""
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            raise CommandError(f"there is no campaign {options['campaign']!r}")
        plan = _plan(campaign, options["draws"], options["people"] or options["draws"])
        seed = options["seed"]
        luck = SYSTEM_LUCK if seed is None else random.Random(seed)  # noqa: S311  # nothing is given away by it
        self._report(plan, simulate(plan, luck, _day_of))

    def _report(self, plan: Plan, result: Result) -> None:
        self.stdout.write(f"{'prize':<32} {'won':>10} {'share':>8} {'value':>14}  gone")
        for prize in plan.prizes:
            won, gone = result.won[prize.pk], result.gone_at.get(prize.pk)
            self.stdout.write(
                f"{prize.name[:32]:<32} {won:>10,} {won / plan.draws:>8.2%} {won * prize.value:>14,.2f}  "
                + (_text(gone) if gone else "–")
            )
        for name, many in (("nothing", result.lost), ("refused: nothing to win", result.refused)):
            self.stdout.write(f"{name:<32} {many:>10,} {many / plan.draws:>8.2%}")
        if result.empty_at is not None:
            self.stdout.write(f"For the first time there was nothing to win at {_text(result.empty_at)}.")
        money, points = result.spent[False], result.spent[True]
        people = f"{plan.draws:,} draws by {plan.people:,} people"
        self.stdout.write(f"{people} give away {money:,.2f} in money and {points:,.0f} points.")


def _plan(campaign: Campaign, draws: int, people: int) -> Plan:
    prizes = [
        SimulatedPrize(
            pk=prize.pk,
            name=prize.name,
            weight=prize.weight,
            stock=prize.stock,
            value=prize.value,
            is_points=prize.kind == Kind.POINTS,
            starts_at=prize.starts_at,
            ends_at=prize.ends_at,
            wins_per_day=prize.wins_per_day,
            wins_per_person=prize.wins_per_person,
            is_fallback=prize.is_fallback,
        )
        for prize in Prize.objects.filter(campaign=campaign).order_by("-weight", "pk")
    ]
    return Plan(
        prizes=prizes,
        losing_weight=campaign.losing_weight,
        begins=campaign.starts_at,
        ends=campaign.ends_at,
        draws=draws,
        people=people,
        budgets={in_points: campaign.budget_left(in_points=in_points) for in_points in (True, False)},
    )


def _text(moment: datetime) -> str:
    return f"{timezone.localtime(moment, timezone.get_default_timezone()):%Y-%m-%d %H:%M}"


def _day_of(moment: datetime) -> date:
    return timezone.localdate(moment, timezone.get_default_timezone())
