"""``make bench``: every question in turn, or those named; a JSON object per line, a table at the end."""

import argparse
import importlib
import json
import signal
import sys
import time
from collections.abc import Sequence

from benchmarks.contestant import RoundFailed
from benchmarks.environment import describe_environment, missing_services
from benchmarks.measurements import Options, Ratio, print_progress
from benchmarks.report import print_table
from benchmarks.revision import CommitNotFound, resolve_commit

QUIET_LOAD = 0.5
"""Load per processor before the start above which the figures are not to be trusted."""
PARTS = [
    "drain",
    "forwarding",
    "ingest",
    "latency",
    "producer",
    "growth",
    "fan_out",
    "order",
    "backlog",
    "snapshot",
    "web",
    "sale",
]
NAMED_ONLY = ["outside"]
"""Parts that run only when they are named: their time is that of calls that wait."""


def parse_arguments(argv: Sequence[str] | None = None) -> tuple[list[str], Options]:
    """Return the parts to run and their options; raises ``CommitNotFound`` if there is no commit to compare with."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Makegood beside its peers.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=_which_parts())
    parser.add_argument("--quick", action="store_true", help="little work and few rounds, for CI: under 3 minutes")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each contestant (default 5, quick 1)")
    parser.add_argument("--rows", type=int, default=0, help="finished rows of the largest table in growth")
    parser.add_argument("--chart", action="store_true", help="have growth write docs/pages/pictures/growth.svg")
    parser.add_argument("--against", metavar="COMMIT", default="", help="let drain measure this commit beside today's")
    given = parser.parse_args(argv)
    parts = given.parts or PARTS
    if unknown := sorted(set(parts) - {*PARTS, *NAMED_ONLY}):
        parser.error(f"no such part: {', '.join(unknown)}")
    if given.against and "drain" not in parts:
        parser.error("--against is an option of the part drain")
    return parts, Options(
        quick=given.quick,
        rounds=given.rounds or (1 if given.quick else 5),
        rows=given.rows or (200_000 if given.quick else 1_000_000),
        chart=given.chart,
        against=resolve_commit(given.against) if given.against else "",
    )


def _which_parts() -> str:
    return f"which ones: {', '.join(PARTS)} (default: all of these), {', '.join(NAMED_ONLY)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts; return 1 if a required ratio falls short, 2 if something that is needed is missing."""
    try:
        parts, options = parse_arguments(argv)
    except CommitNotFound as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that databases and queues are removed
    if problems := missing_services():
        print("\n".join(["PostgreSQL and RabbitMQ are needed:", *problems]), file=sys.stderr)
        return 2
    environment = describe_environment()
    print(json.dumps({"about": environment}), flush=True)
    if environment["load_before"] > QUIET_LOAD * (environment["processors"] or 1):
        print_progress(
            f"WARNING: something else is running here (load {environment['load_before']}); figures will be too low."
        )
    print_progress(
        "Slower contestants get fewer messages a round, for it is rates that are compared; `work` says how many."
    )
    ratios: list[Ratio] = []
    for name in parts:
        began = time.monotonic()
        print_progress(f"{name} ...")
        try:
            ratios += importlib.import_module(f"benchmarks.{name}").run(options)
        except RoundFailed as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
        print_progress(f"{name} took {time.monotonic() - began:.0f} s")
    print_table(ratios)
    return 0 if all(ratio.is_met for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
