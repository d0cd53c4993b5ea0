"""Rounds in turns, medians and spreads, and the ratios that are held against what is required."""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.contestant import RoundFailed

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    quick: bool = False
    rounds: int = 5
    rows: int = 1_000_000
    chart: bool = False
    against: str = ""
    """The full hash of a commit to drain beside today's code."""

    def pick(self, full: T, quick: T) -> T:
        """Return how much work there is: little if it must be quick."""
        return quick if self.quick else full


@dataclass
class Measurement:
    """What one contestant came to in one measure, round by round."""

    part: str
    contestant: str
    measure: str
    unit: str
    rounds: list[float] = field(default_factory=list)
    work: int = 0
    """How many messages (or rows, or requests) one round had."""

    @property
    def median(self) -> float:
        """Return the value that is quoted."""
        return statistics.median(self.rounds)

    def print_json(self) -> None:
        """Print it as one JSON object on a line of its own."""
        print(
            json.dumps(
                {
                    "part": self.part,
                    "contestant": self.contestant,
                    "measure": self.measure,
                    "unit": self.unit,
                    "median": rounded(self.median),
                    "least": rounded(min(self.rounds)),
                    "most": rounded(max(self.rounds)),
                    "rounds": len(self.rounds),
                    "work": self.work,
                }
            ),
            flush=True,
        )


@dataclass(frozen=True)
class Ratio:
    """One line of the final table: what was measured, and the bound that is required of it, if any."""

    part: str
    name: str
    rounds: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"
    figures: str = ""
    """The figures behind it, in words."""

    @property
    def measured(self) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.rounds)

    @property
    def required(self) -> str:
        """Return the bound in words, or a dash."""
        if self.at_least is not None:
            return f">= {self.at_least:g}{self.unit}"
        return f"<= {self.at_most:g}{self.unit}" if self.at_most is not None else "-"

    @property
    def is_met(self) -> bool:
        """Tell whether the measured value keeps the bound; what has none is met."""
        if self.at_least is not None and self.measured < self.at_least:
            return False
        return self.at_most is None or self.measured <= self.at_most


def measure_in_turns(
    measurements: dict[S, list[Measurement]],
    measure: Callable[[S], Sequence[float]],
    *,
    rounds: int,
    warm_up: int = 1,
    alternate: bool = False,
) -> None:
    """Measure each contestant once, then each again, until all have ``rounds``.

    ``measure`` returns a value for each of the contestant's measurements. With ``alternate`` every other round is in
    reverse order, so that none always follows the same one. A failed round is reported and not counted.
    Raises ``RoundFailed`` if Makegood fails, or a peer twice in a row.
    """
    for turn in range(-warm_up, rounds):
        order = list(measurements.items())
        for contestant, kept in reversed(order) if alternate and turn % 2 else order:
            values = _measure_once_more_on_failure(contestant, measure)
            if turn >= 0:
                for measurement, value in zip(kept, values, strict=True):
                    measurement.rounds.append(value)
                print_progress(f"  round {turn + 1}: {kept[0].contestant}: {rounded(values[0])} {kept[0].unit}")


def _measure_once_more_on_failure(contestant: S, measure: Callable[[S], Sequence[float]]) -> Sequence[float]:
    try:
        return measure(contestant)
    except RoundFailed as error:
        if error.ours:
            raise
        print_progress(f"  A ROUND FAILED and is not counted: {error}")
        return measure(contestant)


def ratios_by_round(above: Measurement, below: Measurement) -> list[float]:
    """Return the ratio round by round: each is of two values measured right after each other."""
    return [a / b for a, b in zip(above.rounds, below.rounds, strict=True)]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rounded(value: float) -> float:
    """Return a number with the digits that mean something."""
    return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")


def print_progress(text: str) -> None:
    """Print how far the run has come, to standard error, where it does not mix with the results."""
    print(text, file=sys.stderr, flush=True)
