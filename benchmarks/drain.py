"""How fast committed messages become successes: two worker processes, from nothing running to nothing left.

The messages are committed while no worker runs, so that each contestant begins with the same work waiting: rows for
those that have rows, tasks on the broker for Celery alone. Then its processes are started, and the rate counts from the
first award issued to the last. Slower contestants get fewer messages, for it is the rate that is compared.
"""

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
)
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round, rounded

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
    plans = options.pick(ALL, BOUNDED)
    work = {plan.name: options.pick(*MESSAGES[plan.name]) for plan in plans}
    with set_up_contestants(plans) as contestants:
        measurements = {
            contestant: [Measurement(PART, contestant.name, "messages", "messages/s", work=work[contestant.name])]
            for contestant in contestants
        }
        measure_in_turns(
            measurements,
            lambda contestant: [drain(contestant, work[contestant.name])],
            rounds=options.rounds,
            warm_up=0,
        )
    found = {measurement.contestant: measurement for [measurement] in measurements.values()}
    for measurement in found.values():
        measurement.print_json()
    return compare(found)


def drain(contestant: Contestant, messages: int, *, awards: int = 0) -> float:
    """Commit the messages, start the contestant's processes, and return the awards issued per second.

    ``awards`` says how many there are, if not one for each message.
    """
    awards = awards or messages
    contestant.call("clear_tables")
    contestant.call("publish_backlog", messages=messages)
    with contestant.services_running():
        until = time.monotonic() + TIMEOUT_SECONDS
        while unissued := contestant.call("count_unissued"):
            if time.monotonic() > until:
                raise contestant.round_failed(
                    f"{unissued} of {awards} awards were not issued within {TIMEOUT_SECONDS} s"
                )
            time.sleep(POLL_SECONDS)
    return (awards - 1) / contestant.check_issued_once(awards)


def compare(found: dict[str, Measurement]) -> list[Ratio]:
    """Return how many times faster Makegood is than each of the others."""
    makegood, bulk = found[MAKEGOOD.name], found.get(BULK.name)
    bounds = [
        (makegood, OUTBOX_TUNED, 8.0),
        (makegood, PROCRASTINATE, 12.0),
        (makegood, CELERY, 5.0),
        (makegood, CELERY_TUNED, None),
        (makegood, PLAIN_SQL, 0.35),
        (makegood, PLAIN_SQL_WITH_ORM, None),
        (bulk, OUTBOX_TUNED, 40.0),
        (makegood, OUTBOX, None),
    ]
    return [
        Ratio(
            PART,
            f"{ours.contestant} over {plan.name}",
            ratios_by_round(ours, found[plan.name]),
            at_least=bound,
            figures=f"{rounded(ours.median)} and {rounded(found[plan.name].median)} messages/s",
        )
        for ours, plan, bound in bounds
        if ours is not None and plan.name in found
    ]
