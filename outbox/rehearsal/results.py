"""What a rehearsal came to: one result a message, and the failures by what they have in common."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from outbox.models.said import storable

SAMPLES = 5
"""Ids that a group of failures names."""
MOST_GROUPS = 200
"""Groups that a summary tells apart; what is further counts as one more, so that a summary is never large."""
OTHERS = "…"
"""The title of that one."""
ERROR_LENGTH = 2_000
"""Characters of an error that a group keeps."""


class Outcome(StrEnum):
    """What a retry of one message would come to."""

    SUCCESS = "success"
    FAILED = "failed"
    """The handler raises, or what it writes cannot be committed."""
    PUT_OFF = "put off"
    """The handler says that it is not the time yet (``Snooze``, ``Unavailable``)."""
    BUSY = "busy"
    """Somebody else holds the message, or a row that the handler waits for."""
    GONE = "gone"
    """The message is settled, or removed."""
    REFUSED = "refused"
    """The handler does what no rollback undoes, so nothing can be said."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one message came to. ``failure`` is the digest of its failure group, ``title`` what people read of it."""

    message_id: int
    outcome: Outcome
    error: str = ""
    failure: str = ""
    title: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Result":
        """Return what ``as_json`` has written."""
        return cls(**{**values, "outcome": Outcome(values["outcome"])})


@dataclass(slots=True)
class Group:
    """Results with one cause: how many, the error of the first, and the ids of a few."""

    outcome: Outcome
    failure: str
    title: str
    error: str
    count: int = 0
    ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """How many messages came to what, and what those have in common that would not succeed, the most frequent first.

    ``together`` has how many of one chunk succeed when they are called in one transaction, each after what the others
    have written, and how many that were: what is used up in common (a budget, a pool of codes) shows only there.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    together: tuple[int, int] | None = None
    _groups: dict[tuple[Outcome, str], Group] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count one more."""
        self.counts[result.outcome] += 1
        if result.outcome is Outcome.SUCCESS:
            return
        result = replace(result, title=storable(result.title), error=storable(result.error, most=ERROR_LENGTH))
        of = result.outcome, result.failure or result.title
        if of not in self._groups and len(self._groups) >= MOST_GROUPS:
            # Under the title, as it is read back: what is added then must find it again.
            of, result = (result.outcome, OTHERS), replace(result, failure="", title=OTHERS, error=OTHERS)
        group = self._groups.setdefault(of, Group(result.outcome, result.failure, result.title, result.error))
        group.count += 1
        if len(group.ids) < SAMPLES:
            group.ids.append(result.message_id)

    @property
    def groups(self) -> list[Group]:
        """Return what has gone wrong, the most frequent first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    @property
    def total(self) -> int:
        """Return how many messages there are results of."""
        return self.counts.total()

    def as_counts(self) -> dict[str, int]:
        """Return how many messages came to what, by the name of the outcome."""
        return {outcome.value: many for outcome, many in self.counts.items()}

    def as_json(self, *, with_errors: bool = True) -> dict[str, Any]:
        """Return it as JSON can carry it; without the errors, in which names of persons may be, but with the titles."""
        together = None if self.together is None else {"succeed": self.together[0], "of": self.together[1]}
        groups = [{**asdict(group), "outcome": group.outcome.value} for group in self.groups]
        if not with_errors:
            groups = [{**group, "error": ""} for group in groups]
        return {"counts": self.as_counts(), "groups": groups, "together": together}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Summary":
        """Return what ``as_json`` has written."""
        together = values["together"]
        summary = cls(
            Counter({Outcome(name): many for name, many in values["counts"].items()}),
            together and (together["succeed"], together["of"]),
        )
        for written in values["groups"]:
            group = Group(**{**written, "outcome": Outcome(written["outcome"])})
            summary._groups[group.outcome, group.failure or group.title] = group
        return summary

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Summary":
        """Return the summary of these results."""
        summary = cls()
        for result in results:
            summary.add(result)
        return summary


def count_all(summaries: Iterable[Summary]) -> Counter[Outcome]:
    """Return how many messages came to what in all of these together."""
    return sum((summary.counts for summary in summaries), start=Counter[Outcome]())
