"""How fast committed messages become successes: two worker processes, from nothing running to nothing left.

The messages are committed while no worker runs, so that each contestant begins with the same work waiting: rows for
those that have rows, tasks on the broker for Celery alone. Then its processes are started, and the rate counts from the
first award issued to the last. Slower contestants get fewer messages, for it is the rate that is compared.

With ``--against COMMIT`` the engine of that commit is one more contestant. It stands next to today's in every round,
and every other round is in reverse order, so that neither always goes first.
"""

import contextlib
import time

from benchmarks.contestant import Contestant
from benchmarks.contestants import (
    BULK,
    CELERY,
    CELERY_TUNED,
    MAKEGOOD,
    OUTBOX,
    OUTBOX_TUNED,
    PLAIN_SQL,
    PLAIN_SQL_WITH_ORM,
    PROCRASTINATE,
    makegood_at,
)
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round, rounded
from benchmarks.revision import checked_out

PART = "drain"
TIMEOUT_SECONDS = 90.0
POLL_SECONDS = 0.25
"""Between two queries for what is not done: rare, for each query is work for the same database."""
MESSAGES = {
    MAKEGOOD.name: (20_000, 5_000),
    BULK.name: (20_000, 10_000),
    PLAIN_SQL.name: (20_000, 10_000),
    PLAIN_SQL_WITH_ORM.name: (20_000, 5_000),
    OUTBOX.name: (500, 200),
    OUTBOX_TUNED.name: (4_000, 2_000),
    PROCRASTINATE.name: (2_000, 1_000),
    CELERY.name: (800, 400),
    CELERY_TUNED.name: (4_000, 2_000),
}
"""Messages of a round, in full and quick."""
BOUNDED = [MAKEGOOD, BULK, PLAIN_SQL, OUTBOX_TUNED, PROCRASTINATE, CELERY]
"""Those between which a ratio is required; the others are shown in full runs."""
ALL = [*BOUNDED, PLAIN_SQL_WITH_ORM, OUTBOX, CELERY_TUNED]


def run(options: Options) -> list[Ratio]:
    """Drain each contestant in turns and return the ratios."""
    with contextlib.ExitStack() as stack:
        plans = options.pick(ALL, BOUNDED)
        if options.against:
            folder = stack.enter_context(checked_out(options.against))
            plans = [makegood_at(options.against, folder), *plans]
        work = {plan.name: options.pick(*MESSAGES.get(plan.name, MESSAGES[MAKEGOOD.name])) for plan in plans}
        contestants = stack.enter_context(set_up_contestants(plans))
        measurements = {
            contestant: [Measurement(PART, contestant.name, "messages", "messages/s", work=work[contestant.name])]
            for contestant in contestants
        }
        measure_in_turns(
            measurements,
            lambda contestant: [drain(contestant, work[contestant.name])],
            rounds=options.rounds,
            warm_up=0,
            alternate=bool(options.against),
        )
    found = {measurement.contestant: measurement for [measurement] in measurements.values()}
    for measurement in found.values():
        measurement.print_json()
    earlier = plans[0].name if options.against else ""
    return compare(found, earlier)


def drain(contestant: Contestant, messages: int, *, awards: int = 0, behind: int = 0) -> float:
    """Commit the messages, start the contestant's processes, and return the awards issued per second.

    ``awards`` says how many there are, if not one for each message. What is ``behind`` was drained before and stays.
    """
    awards = awards or messages
    # The commands of an earlier commit may not know the argument.
    after = {"behind": behind} if behind else {}
    if not behind:
        contestant.call("clear_tables")
    contestant.call("publish_backlog", messages=messages, **after)
    with contestant.services_running():
        until = time.monotonic() + TIMEOUT_SECONDS
        while unissued := contestant.call("count_unissued", **after):
            contestant.check_services_run()
            if time.monotonic() > until:
                raise contestant.round_failed(
                    f"{unissued} of {awards} awards were not issued within {TIMEOUT_SECONDS} s"
                )
            time.sleep(POLL_SECONDS)
    return (awards - 1) / contestant.check_issued_once(awards, **after)


def compare(found: dict[str, Measurement], earlier: str = "") -> list[Ratio]:
    """Return how many times faster Makegood is than each of the others, and than its ``earlier`` commit, if any."""
    bounds: list[tuple[str, str, float | None]] = [
        (MAKEGOOD.name, earlier, None),
        (earlier, PLAIN_SQL.name, None),
        (MAKEGOOD.name, PLAIN_SQL.name, 0.35),
        (MAKEGOOD.name, PLAIN_SQL_WITH_ORM.name, None),
        (MAKEGOOD.name, OUTBOX_TUNED.name, 8.0),
        (MAKEGOOD.name, PROCRASTINATE.name, 12.0),
        (MAKEGOOD.name, CELERY.name, 5.0),
        (MAKEGOOD.name, CELERY_TUNED.name, None),
        (BULK.name, OUTBOX_TUNED.name, 40.0),
        (MAKEGOOD.name, OUTBOX.name, None),
    ]
    return [
        Ratio(
            PART,
            f"{ours} over {other}",
            ratios_by_round(found[ours], found[other]),
            at_least=bound,
            figures=f"{rounded(found[ours].median)} and {rounded(found[other].median)} messages/s",
        )
        for ours, other, bound in bounds
        if ours in found and other in found
    ]
