"""A snapshot that somebody holds: 200,000 messages later the engine is as fast as beside it, where nobody holds one.

PostgreSQL keeps whatever an open snapshot might still see: a report, a dump, a session that was forgotten. What is
settled stays in the index of due times, and a search that begins at its beginning reads all of it again. Two
installations drain backlog after backlog in turns, in databases of their own; in one of them a snapshot is held from
the first message on. Nothing is cleared away in between, and no process lives from one backlog to the next.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import psycopg2

from benchmarks.contestant import Contestant
from benchmarks.contestants import MAKEGOOD
from benchmarks.drain import drain
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, print_progress, ratios_by_round, rounded

PART = "snapshot"
HELD = replace(MAKEGOOD, name=f"{MAKEGOOD.name} beside a snapshot")
AT_LEAST = 0.9
JUDGED = 3
"""Rounds that are judged: the last, behind which most is left."""


def run(options: Options) -> list[Ratio]:
    """Drain both in turns and return how much of its rate the engine keeps beside a snapshot."""
    messages, rounds = options.pick((20_000, 10), (5_000, 4))
    free = Measurement(PART, MAKEGOOD.name, "messages", "messages/s", work=messages)
    held = Measurement(PART, HELD.name, "messages", "messages/s", work=messages)
    with set_up_contestants([MAKEGOOD, HELD]) as [without, beside]:
        for contestant in (without, beside):
            contestant.call("clear_tables")
        with snapshot_held(beside):
            for turn in range(rounds):
                behind = turn * messages
                sides = [(free, without), (held, beside)]
                for measurement, contestant in reversed(sides) if turn % 2 else sides:
                    measurement.rounds.append(drain(contestant, messages, behind=behind))
                rates = f"{rounded(free.rounds[-1])} and {rounded(held.rounds[-1])} messages/s"
                print_progress(f"  {behind + messages} messages: {rates}")
    for measurement in (free, held):
        measurement.print_json()
    ratios = ratios_by_round(held, free)
    return [
        Ratio(
            PART,
            f"rate beside a snapshot over that without, after {rounds * messages} messages",
            ratios[-JUDGED:],
            at_least=AT_LEAST,
            figures=", ".join(str(rounded(ratio)) for ratio in ratios),
        )
    ]


@contextlib.contextmanager
def snapshot_held(contestant: Contestant) -> Iterator[None]:
    """Hold a snapshot of the contestant's database, as a report does that runs for long."""
    with contextlib.closing(psycopg2.connect(contestant.database.url)) as session:
        session.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
        yield
