"""Make one mutant after the other; the tests named beside it must fail.

``python -m tests.mutants [--jobs N] [word …]`` makes all, or those whose rule contains a word, ``N`` at a time. It
needs PostgreSQL and RabbitMQ. A replacement must fit the code exactly once and leave no name undefined, and a test must
fail, not merely stumble over an import, so that the catalogue breaks loudly when the code moves on.
"""

import argparse
import queue
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.catalogue import MUTANTS
from tests.mutants.copies import Copy, copies
from tests.mutants.mutant import Mutant


def main(arguments: list[str] | None = None) -> int:
    """Make the mutants and return 0 if every one was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only mutants whose rule contains one of these")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in MUTANTS if not options.words or any(word in mutant.rule for word in options.words)]
    with copies(max(1, min(options.jobs, len(mutants)))) as made:
        problems = stale(made[0], mutants) + red_without_any(made, mutants)
        if not problems:
            problems = unnoticed(made, mutants)
    print(f"{len(mutants)} mutants" + (f", {problems} PROBLEMS" if problems else ", every one was noticed"))
    return 1 if problems else 0


def stale(copy: Copy, mutants: list[Mutant]) -> int:
    """Count, and tell of, mutants that no longer fit the code."""
    count = 0
    for mutant in mutants:
        for problem in copy.stale(mutant):
            count += 1
            print(f"STALE {mutant.rule}: {problem}", flush=True)
    return count


def red_without_any(made: list[Copy], mutants: list[Mutant]) -> int:
    """Count, and tell of, tests that do not even pass in a copy that is sound; makes the databases as well."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    shares = [tests[number :: len(made)] for number in range(len(made))]
    with ThreadPoolExecutor(len(made)) as pool:
        results = [item for share in pool.map(Copy.run, made, shares) for item in share.items()]
    red = [(test, result) for test, result in results if result != "passed"]
    for test, result in red:
        print(f"WITHOUT ANY MUTANT {test}: {result}", flush=True)
    return len(red)


def unnoticed(made: list[Copy], mutants: list[Mutant]) -> int:
    """Make the mutants, one at a time in each copy; return how many were not noticed."""
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in made:
        free.put(copy)

    def examine(mutant: Mutant) -> bool:
        copy = free.get()
        try:
            return is_noticed(copy, mutant)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(made)) as pool:
        return list(pool.map(examine, mutants)).count(False)


def is_noticed(copy: Copy, mutant: Mutant) -> bool:
    """Make one mutant, run its tests, take it out again; tell whether all of them failed."""
    began = time.monotonic()
    with copy.broken_by(mutant):
        results = copy.run(mutant.tests)
    blind = [f"{test}: {result}" for test, result in results.items() if result != "failed"]
    outcome = "NOT NOTICED by " + ", ".join(blind) if blind else f"noticed by {len(results)}"
    print(f"{'ok ' if not blind else 'BAD'} {mutant.rule}: {outcome} ({time.monotonic() - began:.0f} s)", flush=True)
    return not blind


if __name__ == "__main__":
    sys.exit(main())
