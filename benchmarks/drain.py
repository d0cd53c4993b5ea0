"""How fast committed messages become successes: two worker processes, from nothing running to nothing left.

The messages are committed while no worker runs, so that each side begins with the same work waiting: rows for those
that have rows, tasks on the broker for Celery alone. Then its processes are started, and the rate counts from the first
award issued to the last. Slower sides get fewer messages, for it is the rate that is compared.
"""

import time
from collections.abc import Sequence

from benchmarks import sides
from benchmarks.measuring import Figure, Options, Ratio, in_turns, over, shortened
from benchmarks.side import Plan, Side
from benchmarks.surroundings import put_up

PART = "drain"
LIMIT_SECONDS = 90.0
POLL = 0.25
"""Seconds between two looks at whether all is done: rare, for each look is work for the same database."""
MESSAGES = {
    sides.MAKEGOOD.name: (20_000, 5_000),
    sides.BULK.name: (20_000, 10_000),
    sides.LIMIT.name: (20_000, 10_000),
    sides.LIMIT_ORM.name: (20_000, 5_000),
    sides.OUTBOX.name: (500, 200),
    sides.OUTBOX_TUNED.name: (4_000, 2_000),
    sides.PROCRASTINATE.name: (2_000, 1_000),
    sides.CELERY.name: (800, 400),
    sides.CELERY_TUNED.name: (4_000, 2_000),
}
"""Messages of a round, in full and quick."""
JUDGED = [sides.MAKEGOOD, sides.BULK, sides.LIMIT, sides.OUTBOX_TUNED, sides.PROCRASTINATE, sides.CELERY]
"""Those between which a ratio is required; the others are shown in full runs."""
ALL = [*JUDGED, sides.LIMIT_ORM, sides.OUTBOX, sides.CELERY_TUNED]


def run(options: Options, plans: Sequence[Plan] = ()) -> list[Ratio]:
    """Drain each side in turns and return the ratios."""
    plans = plans or options.pick(ALL, JUDGED)
    work = {plan.name: options.pick(*MESSAGES[plan.name]) for plan in plans}
    with put_up(plans) as put:
        figures = {
            side: [Figure(PART, side.plan.name, "messages", "messages/s", work=work[side.plan.name])] for side in put
        }
        in_turns(figures, lambda side: [drain(side, work[side.plan.name])], rounds=options.rounds, warm_up=0)
    found = {figure.side: figure for [figure] in figures.values()}
    for figure in found.values():
        figure.say()
    return ratios(found)


def drain(side: Side, messages: int, *, awards: int = 0) -> float:
    """Lay the work in, start the side's processes, and return awards per second (of ``awards``, if not one each)."""
    awards = awards or messages
    side.ask("clear")
    side.ask("fill", messages=messages)
    with side.working():
        until = time.monotonic() + LIMIT_SECONDS
        while left := side.ask("left"):
            if time.monotonic() > until:
                raise side.failure(f"{left} of {awards} awards were not issued within {LIMIT_SECONDS} s")
            time.sleep(POLL)
    return (awards - 1) / side.check(awards)


def ratios(found: dict[str, Figure]) -> list[Ratio]:
    """Return how many times faster Makegood is than each of the others."""
    makegood, bulk = found[sides.MAKEGOOD.name], found.get(sides.BULK.name)
    bounds = [
        (makegood, sides.OUTBOX_TUNED, 8.0),
        (makegood, sides.PROCRASTINATE, 12.0),
        (makegood, sides.CELERY, 5.0),
        (makegood, sides.CELERY_TUNED, None),
        (makegood, sides.LIMIT, 0.35),
        (makegood, sides.LIMIT_ORM, None),
        (bulk, sides.OUTBOX_TUNED, 40.0),
        (makegood, sides.OUTBOX, None),
    ]
    return [
        Ratio(
            PART,
            f"{ours.side} over {plan.name}",
            over(ours, found[plan.name]),
            at_least=bound,
            figures=f"{shortened(ours.median)} and {shortened(found[plan.name].median)} messages/s",
        )
        for ours, plan, bound in bounds
        if ours is not None and plan.name in found
    ]
